"""Unpacking of zip and tar archives that nobody vouches for.

A member never chooses where it goes: folders inside the archive become numbers, of its own name only the last part is
kept, and links, devices, absolute names and names with ``..`` end the unpacking. Sizes are counted while bytes come
out, so that an archive that lies about them, or repeats one byte a million times, is stopped.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from sovits.core.atomic import output_error
from sovits.core.errors import CorruptFileError, LimitExceededError, OptionError, PathError, UnsafeFileError
from sovits.core.progress import Cancel

_BLOCK = 1 << 20
#: What a header inside a tar archive may take; file contents are read in smaller blocks.
_LARGEST_READ = 8 << 20
_NAME_LENGTH = 200
_TAMPERED = "no program makes such an archive; do not use it"
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class ArchiveLimits:
    """Bounds on an archive.

    Attributes:
        members: entries of any kind.
        bytes: all unpacked files together.
        ratio: unpacked bytes per byte of the archive; weights hardly shrink, so real archives stay below 3.
        free_bytes: unpacked bytes that are always allowed, whatever the ratio (configs do shrink).
    """

    members: int = 5000
    bytes: int = 32 << 30
    ratio: float = 50.0
    free_bytes: int = 64 << 20


DEFAULT = ArchiveLimits()


def is_archive(path: Path) -> bool:
    """Whether a file is an archive to unpack, and not a weight file (which may be a zip archive inside).

    Raises:
        PathError: not readable.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as handle:
            start = handle.read(512)
    except OSError as error:
        raise PathError(f"cannot read {path}: {error.strerror}") from error
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        try:
            with zipfile.ZipFile(path) as archive:
                return not any(name.rsplit("/", 1)[-1] == "data.pkl" for name in archive.namelist())
        except (OSError, *_DAMAGED):
            # A damaged one: its name tells which of the two kinds of message helps.
            return path.suffix.lower() == ".zip"
    packed = start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))
    return packed or start[257:262] == b"ustar" or path.suffix.lower() in (".zip", ".tar", ".tgz", ".7z", ".rar")


def unpack(
    path: Path,
    into: Path,
    *,
    wanted: frozenset[str] | None = None,
    limits: ArchiveLimits = DEFAULT,
    cancel: Cancel | None = None,
) -> dict[Path, str]:
    """Unpack the regular files of an archive.

    Args:
        path: a zip file, or a tar file, plain or packed with gzip, bzip2 or xz.
        into: an empty folder; every folder of the archive becomes a numbered one in it.
        wanted: suffixes (lower case) of the members to unpack; ``None``: all.

    Returns:
        Unpacked file -> its name in the archive.

    Raises:
        UnsafeFileError: a link, a device, or a name that leads outside.
        LimitExceededError: too many members, or too much comes out.
        CorruptFileError: damaged or encrypted.
        OptionError: a kind of archive that is not unpacked here.
    """
    cancel = cancel or Cancel()
    try:
        size = path.stat().st_size
        budget = _Budget(path, min(limits.bytes, max(limits.free_bytes, int(size * limits.ratio))))
        with _members(path, budget) as members:
            return _unpack(path, members, into, wanted, limits, budget, cancel)
    except _DAMAGED as error:
        raise CorruptFileError(f"{path} is damaged: {error}", hint="download it again") from error
    except RuntimeError as error:  # zipfile's word for a password
        raise CorruptFileError(f"{path} cannot be unpacked: {error}", hint="unpack it yourself first") from error
    except OSError as error:
        if error.filename is not None and Path(error.filename) == path:
            raise PathError(f"cannot read {path}: {error.strerror}") from error
        if isinstance(error, gzip.BadGzipFile) or error.errno is None:
            raise CorruptFileError(f"{path} is damaged: {error}", hint="download it again") from error
        raise output_error(into, error) from error


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    handle: Any


class _Budget:
    def __init__(self, path: Path, amount: int) -> None:
        self._path, self._amount, self._left = path, amount, amount

    def spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise LimitExceededError(
                f"{self._path}: more than {self._amount:,} bytes come out of it",
                hint="if you trust it, unpack it yourself and give the folder",
            )


def _unpack(
    path: Path,
    members: Iterator[_Member | None],
    into: Path,
    wanted: frozenset[str] | None,
    limits: ArchiveLimits,
    budget: _Budget,
    cancel: Cancel,
) -> dict[Path, str]:
    folders: dict[str, Path] = {}
    unpacked: dict[Path, str] = {}
    for count, member in enumerate(members, 1):
        cancel.check()
        if count > limits.members:
            raise LimitExceededError(f"{path} holds more than {limits.members} members")
        if member is None:
            continue
        name = _checked(path, member.name)
        if (wanted is not None and name.suffix.lower() not in wanted) or name.name.startswith("."):
            continue
        folder = folders.setdefault(str(name.parent), into / f"{len(folders):04d}")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / name.name
        if target in unpacked:
            raise UnsafeFileError(f"{path} holds two members called '{name}'", hint=_TAMPERED)
        with member.handle() as source, target.open("xb") as sink:
            written = 0
            while block := source.read(_BLOCK):
                cancel.check()
                budget.spend(len(block))
                written += len(block)
                sink.write(block)
        if written != member.size:
            raise CorruptFileError(f"{path}: the member '{name}' is cut short", hint="download it again")
        unpacked[target] = str(name)
    return unpacked


def _checked(path: Path, name: str) -> PurePosixPath:
    parts = name.split("/")
    bad = (
        not name.isprintable()
        or name.startswith("/")
        or "\\" in name
        or ":" in name
        or ".." in parts
        or len(parts[-1].encode("utf-8", "surrogateescape")) > _NAME_LENGTH
    )
    if bad:
        shown = name[:80].encode("unicode_escape", "surrogateescape").decode("ascii")
        raise UnsafeFileError(f"{path}: the member '{shown}' leads outside the archive", hint=_TAMPERED)
    return PurePosixPath(name)


@contextmanager
def _members(path: Path, budget: _Budget) -> Iterator[Iterator[_Member | None]]:
    with path.open("rb") as handle:
        start = handle.read(8)
    if start[:2] == b"PK":
        with zipfile.ZipFile(path) as archive:
            yield _zip_members(path, archive)
        return
    if start[:6] == b"7z\xbc\xaf\x27\x1c" or start[:4] == b"Rar!":
        raise OptionError(f"{path} is a 7z or RAR archive", hint="unpack it and give the folder")
    with _plain(path, start) as stream, tarfile.open(fileobj=cast(Any, _Counted(stream, budget)), mode="r:") as tar:
        yield _tar_members(path, tar)


def _plain(path: Path, start: bytes) -> IO[bytes]:
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if start.startswith(b"BZh"):
        return bz2.open(path, "rb")
    if start.startswith(b"\xfd7zXZ"):
        return lzma.open(path, "rb")
    return path.open("rb")


def _zip_members(path: Path, archive: zipfile.ZipFile) -> Iterator[_Member | None]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if stat.S_ISLNK(mode) or (stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))):
            raise UnsafeFileError(f"{path}: the member '{info.filename[:80]}' is a link or device", hint=_TAMPERED)
        _checked(path, info.filename)
        if info.is_dir():
            yield None
        else:
            yield _Member(info.filename, info.file_size, lambda info=info: archive.open(info))


def _tar_members(path: Path, tar: tarfile.TarFile) -> Iterator[_Member | None]:
    for info in tar:
        _checked(path, info.name)
        if info.isdir():
            yield None
        elif not info.isreg() or info.issparse():
            raise UnsafeFileError(f"{path}: the member '{info.name[:80]}' is a link or device", hint=_TAMPERED)
        else:
            yield _Member(info.name, info.size, lambda info=info: tar.extractfile(info))


class _Counted:
    """What tarfile reads from: skipped bytes count as well, since a packed stream has to be unpacked to skip them."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream, self._budget, self._seen = stream, budget, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise LimitExceededError("a header inside the tar archive is too large")
        return self._stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        if whence != 0:
            raise OSError("a tar archive is read from its start")
        if position > self._seen:
            self._budget.spend(max(0, position - max(self._seen, self._stream.tell())))
            self._seen = position
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()
