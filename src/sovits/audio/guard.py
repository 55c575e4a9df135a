"""The only file object that decoders see: it bounds what they may read without giving sound, and never raises."""

from __future__ import annotations

import io
from typing import BinaryIO

_ZEROS = 8 << 20
_BYTES = 512 << 20


class GuardedFile:
    """A window on an open file that ends early when a decoder reads on and on without delivering.

    Decoders written in C look for the next frame of a damaged file to its very end, be that two gigabytes of a sparse
    file away, and keep what they pass in memory. So the bytes read since the last piece of sound are counted; beyond
    8 MiB of nothing but zero bytes, or 512 MiB of anything, the file ends here and ``exhausted`` says so.

    Args:
        handle: open for reading, stays open.
        offset: where the window starts.
    """

    def __init__(self, handle: BinaryIO, offset: int = 0) -> None:
        self._handle = handle
        self._offset = offset
        self._zeros = 0
        self._bytes = 0
        self.exhausted = False
        handle.seek(offset)

    def delivered(self) -> None:
        """A piece of sound was decoded: the count starts anew."""
        self._zeros = self._bytes = 0

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; none at the end, or when the budget is spent."""
        if self.exhausted:
            return b""
        try:
            data = self._handle.read(size)
        except OSError:  # a C caller cannot handle an exception; to it this is the end of the file
            return b""
        self._bytes += len(data)
        self._zeros = self._zeros + len(data) if data.count(0) == len(data) else 0
        self.exhausted = self._zeros > _ZEROS or self._bytes > _BYTES
        return data

    def seek(self, target: int, whence: int = io.SEEK_SET) -> int:
        """Move; positions count from the start of the window."""
        if whence == io.SEEK_SET:
            target += self._offset
        try:
            return max(0, self._handle.seek(target, whence) - self._offset)
        except (OSError, ValueError):
            return -1

    def tell(self) -> int:
        """The position within the window."""
        return self._handle.tell() - self._offset
