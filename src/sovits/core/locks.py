"""Locks among processes; the system lets go of them when a process dies, however it dies."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def try_lock(descriptor: int) -> bool:
    """Whether an open file could be locked for this process alone; it stays locked until it is closed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Tell :func:`alone_in` of other processes that work goes on in a folder; several may do so at a time.

    Waits while one of them is alone in it. Where the file system has no locks, or the system has none on folders
    (Windows), nothing is told.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Whether nobody else works in a folder; nobody begins to as long as this is held. Never waits."""
    if sys.platform == "win32":
        yield False
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            held = try_lock(descriptor)
        except OSError:
            held = False
        yield held
    finally:
        os.close(descriptor)
