"""One file over HTTP: resumable, bounded, and honest about what went wrong.

Bytes go to ``<name>.part``; a second run continues there. Beside it ``<name>.part.json`` remembers from which address
and which state of it (ETag) the bytes came, so that halves of two different files are never joined.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from sovits.core.atomic import output_error
from sovits.core.errors import LimitExceededError, MissingWeightsError, OutputError
from sovits.core.progress import SILENT, Cancel, Progress, Stage

_BLOCK = 1 << 18
#: Bytes that have to stay free on the disk.
_SPARE = 64 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 60.0
_AGENT = "sovits"


@dataclass(frozen=True)
class Patience:
    """How persistent a download is.

    Attributes:
        attempts: tries in a row that bring nothing; every new byte starts the count again.
        wait: seconds before going on; doubled for each further try that brings nothing.
        timeout: seconds without any byte.
        largest: bytes that a file of unknown size may have.
    """

    attempts: int = 5
    wait: float = 1.0
    timeout: float = 30.0
    largest: int = 32 << 30


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 8

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new != "https"):
            raise _Refused(f"{req.full_url} leads to {newurl!r}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Refused(Exception):
    """A reason not to try this address again."""


class _Interrupted(Exception):
    """A reason to try again; ``wait`` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def _opener() -> urllib.request.OpenerDirector:
    # Only what is needed: no file:, ftp: or data: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def download(
    addresses: list[str],
    part: Path,
    *,
    size: int | None = None,
    verified: bool = False,
    patience: Patience | None = None,
    progress: Progress = SILENT,
    cancel: Cancel | None = None,
    label: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Fetch into ``part``, continuing what lies there already.

    Args:
        addresses: tried in order; the next one is asked when one refuses or keeps failing.
        size: of the whole file, if known; another size is refused before anything is fetched.
        verified: whether the caller checks a hash; bytes of one address may then be continued from another.
        label: what is fetched, for the progress bar.

    Returns:
        The address that the file came from.

    Raises:
        MissingWeightsError: no address gave the file; says what each answered.
        LimitExceededError: larger than ``patience.largest``.
        OutputError: the disk is full, or ``part`` cannot be written.
        CancelledError: the caller asked to stop; ``part`` stays.
    """
    patience, cancel = patience or Patience(), cancel or Cancel()
    failures: list[str] = []
    for address in addresses:
        if urlsplit(address).scheme not in ("http", "https"):
            failures.append(f"{address}: only http and https addresses are fetched")
            continue
        transfer = _Transfer(address, part, size, verified, patience, progress, cancel, label or part.name)
        try:
            transfer.run(sleep)
            return address
        except _Refused as error:
            failures.append(f"{address}: {error}")
    raise MissingWeightsError("cannot fetch it: " + "; ".join(failures))


class _Transfer:
    """The way of one file from one address."""

    def __init__(
        self,
        address: str,
        part: Path,
        size: int | None,
        verified: bool,
        patience: Patience,
        progress: Progress,
        cancel: Cancel,
        label: str,
    ) -> None:
        self._address, self._part, self._size = address, part, size
        self._verified = verified
        self._patience, self._progress, self._cancel, self._label = patience, progress, cancel, label
        self._state = part.with_name(f"{part.name}.json")

    def run(self, sleep: Callable[[float], None]) -> None:
        failed = 0
        while True:
            self._cancel.check()
            before = self._held()
            try:
                self._attempt()
                return
            except _Interrupted as error:
                failed = 0 if self._held() > before else failed + 1
                if failed >= self._patience.attempts:
                    raise _Refused(f"{error} ({failed} tries)") from error
                sleep(min(max(error.wait, self._patience.wait * 2.0**failed), _LONGEST_WAIT))

    def _held(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _remembered(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._state.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return {str(name): str(value) for name, value in found.items()}
        return {}

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def _attempt(self) -> None:
        held = self._held()
        state = self._remembered()
        if held and state.get("address") != self._address and not self._verified:
            # Bytes of another address, and nothing would tell whether it is the same file.
            self._forget()
            held = 0
        if self._size is not None and held == self._size:
            return
        if self._size is not None and held > self._size:
            self._forget()
            held = 0
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if held:
            headers["Range"] = f"bytes={held}-"
            if state.get("address") == self._address and state.get("state"):
                headers["If-Range"] = state["state"]
        request = urllib.request.Request(self._address, headers=headers)
        try:
            with _opener().open(request, timeout=self._patience.timeout) as response:
                self._receive(response, held)
        except urllib.error.HTTPError as error:
            error.close()
            self._answer(error, held)
        except urllib.error.URLError as error:
            raise _Interrupted(f"no connection: {error.reason}") from error
        except TimeoutError as error:
            raise _Interrupted(f"nothing came for {self._patience.timeout:g} s") from error
        except (http.client.HTTPException, OSError) as error:
            raise _Interrupted(f"the connection broke: {error or type(error).__name__}") from error

    def _answer(self, error: urllib.error.HTTPError, held: int) -> None:
        """What an answer that is no file means."""
        if error.code == 416 and held:
            # Asked to go on behind the end: what lies here is whole, or not of this file.
            total = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
            if total and int(total[1]) == held and self._size in (None, held):
                return
            self._forget()
            raise _Interrupted("the file there is shorter than what lies here; starting again")
        if error.code in _TRANSIENT:
            raise _Interrupted(f"the server answers {error.code} {error.reason}", _retry_after(error.headers))
        words = {
            401: "it asks for a login",
            403: "access is forbidden",
            404: "there is no such file",
            410: "it is gone",
        }
        raise _Refused(f"the server answers {error.code}, {words.get(error.code, str(error.reason))}")

    def _receive(self, response: Any, held: int) -> None:
        total, start = _extent(response, held)
        if start not in (0, held):
            raise _Refused("the server sends another part than the one asked for")
        if total is not None and self._size is not None and total != self._size:
            raise _Refused(f"the server offers {total} bytes, the catalogue says {self._size}")
        if total is not None and total > self._patience.largest:
            raise LimitExceededError(f"{self._address} has {total:,} bytes, the limit is {self._patience.largest:,}")
        if start == 0 and held:
            self._forget()  # the server starts from the beginning: no ranges there, or the file has changed
        total = total if total is not None else self._size
        self._require_room((total or 0) - start)
        self._remember(response)
        with (
            _writing(self._part) as sink,
            self._progress.stage(self._label, float(total) if total else None, "B") as stage,
        ):
            stage.advance(float(start))
            self._copy(response, sink, stage, start, total)
        if total is not None and self._held() < total:
            raise _Interrupted(f"the connection ended after {self._held()} of {total} bytes")

    def _copy(self, response: Any, sink: IO[bytes], stage: Stage, start: int, total: int | None) -> None:
        limit = total if total is not None else self._patience.largest
        done = start
        # read1 gives what is there: a slow line shows progress and can be stopped between packets.
        while block := response.read1(_BLOCK):
            self._cancel.check()
            done += len(block)
            if done > limit:
                raise LimitExceededError(f"{self._address} sends more than {limit:,} bytes")
            try:
                sink.write(block)
            except OSError as error:
                raise output_error(self._part, error) from error
            stage.advance(float(len(block)))

    def _remember(self, response: Any) -> None:
        etag = response.headers.get("ETag", "")
        # If-Range takes a strong tag or a date.
        strong = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        state = {"address": self._address, "state": strong}
        try:
            self._state.write_text(json.dumps(state), encoding="utf-8")
        except OSError as error:
            raise output_error(self._part, error) from error

    def _require_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._part.parent).free
        if needed + _SPARE > free:
            raise OutputError(
                f"{self._label} needs {needed:,} more bytes in {self._part.parent}, {free:,} are free",
                hint="free some space, or choose another models folder (SOVITS_MODELS)",
            )


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[IO[bytes]]:
    try:
        # Without a buffer: what was received is on its way to the disk when the process is killed.
        sink = path.open("ab", buffering=0)
    except OSError as error:
        raise output_error(path, error) from error
    with sink:
        yield sink


def _extent(response: Any, held: int) -> tuple[int | None, int]:
    """Size of the whole file if stated, and the position of the first byte that comes."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None:
            raise _Refused("the server sends a part without saying which")
        return (None if found[3] == "*" else int(found[3])), int(found[1])
    if response.status != 200:
        raise _Refused(f"the server answers {response.status}")
    length = response.headers.get("Content-Length", "")
    return (int(length) if length.isdigit() else None), 0


def _retry_after(headers: Any) -> float:
    stated = headers.get("Retry-After", "")
    if stated.isdigit():
        return float(stated)
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
    return 0.0
