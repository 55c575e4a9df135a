"""A weight file mapped into memory: bytes are read when they are touched, and only those."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sovits.core.checkpoint.limits import Limits, check
from sovits.core.errors import CorruptFileError, PathError


def printable(text: str, length: int = 120) -> str:
    """A text from a file as messages may show it: one line, cut, control characters as ``\\x1b``.

    No codec is used: the first use of one would import a module while an untrusted file is being read.
    """
    shown = text[:length] + ("…" if len(text) > length else "")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in shown)


@dataclass(frozen=True)
class MappedFile:
    """A read-only mapping of a regular file. It closes when the last array that looks into it is gone."""

    path: Path
    data: memoryview

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def name(self) -> str:
        """The path as messages show it; control characters are escaped."""
        return printable(str(self.path), 4096)

    def slice(self, start: int, length: int, what: str) -> memoryview:
        """``length`` bytes from ``start``.

        Raises:
            CorruptFileError: the file ends before.
        """
        if start < 0 or length < 0 or start + length > len(self.data):
            raise CorruptFileError(
                f"{self.name} is truncated or corrupt: {what} lies outside the file", hint="download it again"
            )
        return self.data[start : start + length]


def open_mapped(path: Path, limits: Limits) -> MappedFile:
    """Map ``path``.

    Raises:
        PathError: missing, a folder or a device, or not readable.
        CorruptFileError: the file is empty.
        LimitExceededError: larger than ``limits.file_bytes``.
    """
    try:
        facts = path.stat()  # first, because opening a named pipe would wait for ever
        if stat.S_ISDIR(facts.st_mode):
            raise PathError(f"{path} is a folder, a weight file is wanted", hint="name a file inside it")
        if not stat.S_ISREG(facts.st_mode):
            raise PathError(f"{path} is not a regular file")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise _path_error(path, error) from error
    try:
        size = os.fstat(descriptor).st_size
        if size == 0:
            raise CorruptFileError(f"{path} is empty", hint="download it again")
        check(size, limits.file_bytes, "the size in bytes", str(path))
        return MappedFile(path, memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)))
    except OSError as error:
        raise _path_error(path, error) from error
    finally:
        os.close(descriptor)


def _path_error(path: Path, error: OSError | ValueError) -> PathError:
    code = getattr(error, "errno", None)
    if code in (errno.ENOENT, errno.ENOTDIR):
        return PathError(f"no such file: {path}", hint="check the spelling of the path")
    if code in (errno.EACCES, errno.EPERM):
        return PathError(f"no permission to read {path}", hint="change its permissions or copy it")
    return PathError(f"cannot read {str(path)!r}: {error}")
