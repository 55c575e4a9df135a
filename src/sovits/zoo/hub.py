"""``pull``: official files by their name in the catalogue, into the models folder.

One process fetches a file at a time (a lock), a file appears complete and checked or not at all, and an interrupted
download goes on where it stopped. Where the catalogue states no SHA-256, that of the first download is shown and
recorded in ``sovits-models.json``; from then on another content under the same name is an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sovits.core.atomic import output_error, replacing
from sovits.core.errors import CorruptFileError, MissingWeightsError, OptionError, OutputError, SovitsError
from sovits.core.hashing import file_hash
from sovits.core.locks import try_lock
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.zoo.catalog import HUBS, Catalog, CatalogFile, official
from sovits.zoo.downloads import Patience, download

#: The record of what was fetched, in the models folder.
RECORD = "sovits-models.json"
_LOCKS = ".locks"
_BLOCK = 1 << 20
_LARGEST_MEMBER = 16 << 30


@dataclass(frozen=True)
class Pulled:
    """What became of one file.

    Attributes:
        name: in the catalogue.
        path: where it lies.
        bytes, sha256: of it.
        fetched: whether it was downloaded now; else it was there.
        first_seen: whether nothing vouches for its hash but this first download.
    """

    name: str
    path: Path
    bytes: int
    sha256: str
    fetched: bool
    first_seen: bool


class Hub:
    """The catalogue, the folder that files go to, and the way there.

    Args:
        models: the models folder.
        catalog: the official one if not given.
        hubs: other addresses for ``huggingface``, ``modelscope`` and ``github``, mirrors in order.
        offline: never touch the network; say which file goes where instead.
    """

    def __init__(
        self,
        models: Path,
        *,
        catalog: Catalog | None = None,
        hubs: Mapping[str, tuple[str, ...]] | None = None,
        offline: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self._models = models
        self.catalog = catalog or official()
        self._hubs = {**HUBS, **(hubs or {})}
        self._offline = offline
        self._patience = patience or Patience()

    def place(self, file: CatalogFile) -> Path:
        """Where a file belongs."""
        return self._models / file.place

    def here(self, file: CatalogFile) -> bool:
        """Whether a file lies in its place, with the size that is stated for it."""
        path = self.place(file)
        return path.is_file() and (file.bytes is None or path.stat().st_size == file.bytes)

    def pull(
        self, name: str, *, replace: bool = False, progress: Progress = SILENT, cancel: Cancel | None = None
    ) -> Pulled:
        """Make sure that an official file is in its place.

        Args:
            name: in the catalogue.
            replace: whether a file of another content in that place is replaced; else that is an error.

        Raises:
            OptionError: no such name.
            MissingWeightsError: it cannot be fetched, or is not there in offline mode.
            CorruptFileError: what came has not the stated (or recorded) hash; nothing is kept.
            OutputError: the models folder cannot be written, or another file is in its place.
            CancelledError: the caller asked to stop; the download can be continued.
        """
        file = self.catalog.find(name)
        cancel = cancel or Cancel()
        if not file.file_name or file.path.endswith("/"):
            raise MissingWeightsError(f"'{name}' is a folder, not one file", hint=f"fetch it by hand from {file.page}")
        if not replace and (found := self._found(file, progress)):
            return found
        if self._offline:
            raise MissingWeightsError(
                f"offline: the official file '{name}' is not in its place: {file.facts()}", hint=self._by_hand(file)
            )
        if not self.catalog.addresses(file, self._hubs):
            raise MissingWeightsError(f"no address is known for '{name}'", hint=self._by_hand(file))
        target = self.place(file)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._locked(_lock_name(file), progress, cancel):
                # Another process may have fetched it while this one waited.
                if not replace and (found := self._found(file, progress)):
                    return found
                if file.member:
                    return self._out_of_archive(file, progress, cancel)
                return self._fetch(file, target, progress, cancel)
        except MissingWeightsError as error:
            raise MissingWeightsError(f"'{name}': {error.message}", hint=error.hint or self._by_hand(file)) from error
        except OSError as error:
            raise output_error(target, error) from error

    def recorded(self) -> dict[str, dict[str, Any]]:
        """What was fetched so far: name to ``sha256``, ``bytes``, ``address`` and ``date``.

        Raises:
            OptionError: the record cannot be read.
        """
        path = self._models / RECORD
        if not path.is_file():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {str(name): dict(row) for name, row in found.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise OptionError(
                f"the record {path} cannot be read: {error}",
                hint="remove it; hashes of files without a published one are then recorded anew",
            ) from error

    def _by_hand(self, file: CatalogFile) -> str:
        """Which file goes where, exactly."""
        return self.catalog.by_hand(file, self.place(file), self._hubs)

    def _found(self, file: CatalogFile, progress: Progress) -> Pulled | None:
        """The file if it is there and right.

        Raises:
            OutputError: another file is in its place.
        """
        path = self.place(file)
        if not path.is_file():
            return None
        with progress.stage(f"checking {file.file_name}"):
            seen = file_hash(path)
        known = file.sha256 or self.recorded().get(file.name, {}).get("sha256", "")
        if known and seen != known:
            # Several entries may share a place (the same encoder, small and large): say which one it is.
            other = next((entry.name for entry in self.catalog.files.values() if entry.sha256 == seen), "")
            what = f"'{other}'" if other else f"a file with SHA-256 {seen}"
            raise OutputError(
                f"{path} holds {what}, not '{file.name}' (SHA-256 {known})",
                hint="add --force to replace it, or keep it if it was meant to be there",
            )
        return Pulled(file.name, path, path.stat().st_size, seen, fetched=False, first_seen=not known)

    def _fetch(self, file: CatalogFile, target: Path, progress: Progress, cancel: Cancel) -> Pulled:
        part = target.with_name(f".{_plain(file)}.part")
        known = file.sha256 or self.recorded().get(file.name, {}).get("sha256", "")
        address = download(
            self.catalog.addresses(file, self._hubs),
            part,
            size=file.bytes,
            verified=bool(known),
            patience=self._patience,
            progress=progress,
            cancel=cancel,
            label=file.file_name,
        )
        return self._accept(file, part, target, known, address, progress)

    def _accept(
        self, file: CatalogFile, part: Path, target: Path, known: str, address: str, progress: Progress
    ) -> Pulled:
        """Check a complete download and give it its name; a wrong one is deleted."""
        with progress.stage(f"checking {file.file_name}"):
            seen, md5, size = _digests(part)
        state = part.with_name(f"{part.name}.json")
        wrong = (known and seen != known) or (file.md5 and md5 != file.md5) or (file.bytes and size != file.bytes)
        if wrong:
            part.unlink(missing_ok=True)
            state.unlink(missing_ok=True)
            raise CorruptFileError(
                f"what {address} sent for '{file.name}' has the wrong content: {size} bytes, SHA-256 {seen}; "
                f"expected {file.facts() if file.sha256 or not known else f'SHA-256 {known}, as fetched before'}",
                hint="nothing was kept; try again or use a mirror"
                + ("" if file.sha256 else f"; if the file was renewed on purpose, take it out of {RECORD}"),
            )
        part.replace(target)
        state.unlink(missing_ok=True)
        self._record(file, seen, size, address)
        return Pulled(file.name, target, size, seen, fetched=True, first_seen=not known)

    def _out_of_archive(self, file: CatalogFile, progress: Progress, cancel: Cancel) -> Pulled:
        """Fetch the archive, take out every member that the catalogue names, and delete it."""
        whole = self.catalog.archive_of(file)
        part = self.place(file).with_name(f".{_lock_name(file)}.part")
        known = whole.sha256 if whole else ""
        address = download(
            file.addresses(self._hubs),
            part,
            size=whole.bytes if whole else None,
            verified=bool(known),
            patience=self._patience,
            progress=progress,
            cancel=cancel,
            label=file.archive[2].rsplit("/", 1)[-1],
        )
        state = part.with_name(f"{part.name}.json")
        try:
            if known and (seen := file_hash(part)) != known:
                raise CorruptFileError(
                    f"what {address} sent has the wrong content: SHA-256 {seen}, expected {known}",
                    hint="nothing was kept; try again or use a mirror",
                )
            done = self._member(file, part, address, progress, cancel)
            for other in self.catalog.members_of(file):
                if other.name != file.name and not self.place(other).exists():
                    with contextlib.suppress(SovitsError):
                        self._member(other, part, address, progress, cancel)
            return done
        finally:
            if not cancel.cancelled:
                part.unlink(missing_ok=True)
                state.unlink(missing_ok=True)

    def _member(self, file: CatalogFile, archive: Path, address: str, progress: Progress, cancel: Cancel) -> Pulled:
        target = self.place(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{_plain(file)}.member.part")
        known = file.sha256 or self.recorded().get(file.name, {}).get("sha256", "")
        try:
            _extract(archive, file, part, address, cancel)
            return self._accept(file, part, target, known, f"{address}#{file.member}", progress)
        finally:
            part.unlink(missing_ok=True)

    def _record(self, file: CatalogFile, sha256: str, size: int, address: str) -> None:
        row = {"sha256": sha256, "bytes": size, "address": address, "date": datetime.now(UTC).strftime("%Y-%m-%d")}
        with self._locked("record", SILENT, Cancel()):
            rows = {**self.recorded(), file.name: row}
            with replacing(self._models / RECORD) as beside:
                beside.write_text(json.dumps(rows, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @contextlib.contextmanager
    def _locked(self, name: str, progress: Progress, cancel: Cancel) -> Iterator[None]:
        """Hold a lock of this name among all processes; the system lets go of it when a process dies."""
        folder = self._models / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("a+b") as handle:
            if not try_lock(handle.fileno()):
                with progress.stage(f"waiting for another process that fetches {name}"):
                    while not try_lock(handle.fileno()):
                        cancel.check()
                        time.sleep(0.05)
            yield


def _extract(archive: Path, file: CatalogFile, part: Path, address: str, cancel: Cancel) -> None:
    """One member of a zip archive, which is asked for by the name in the catalogue and goes to a place of ours."""
    largest = file.bytes or _LARGEST_MEMBER
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(file.member) as source, part.open("wb") as sink:
            written = 0
            while block := source.read(_BLOCK):
                cancel.check()
                written += len(block)
                if written > largest:
                    raise CorruptFileError(f"'{file.member}' in {address} is larger than {largest} bytes")
                sink.write(block)
    except KeyError as error:
        raise CorruptFileError(
            f"the archive {address} holds no '{file.member}'", hint=f"look at {file.page} for the file"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise CorruptFileError(f"the archive {address} is damaged: {error}", hint="try again") from error


def _digests(path: Path) -> tuple[str, str, int]:
    """SHA-256, md5 and size of a file, read once."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return sha256.hexdigest(), md5.hexdigest(), size


def _lock_name(file: CatalogFile) -> str:
    """One for all entries that write the same file: those of one archive, and those of one place."""
    if file.member:
        return "archive-" + hashlib.sha256("/".join(file.archive).encode()).hexdigest()[:16]
    return file.place.replace("/", "_")


def _plain(file: CatalogFile) -> str:
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in file.name)
