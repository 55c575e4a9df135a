"""Giving memory back to the system that the C library holds although nothing uses it."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def trim_heap() -> bool:
    """Give back free pages of the heap, wherever they lie in it; some milliseconds, tens where gigabytes were used.

    glibc gives back the end of its heap by itself, and what lies behind the last piece in use stays. Nets leave holes of
    all sizes there: without this a program that runs them for hours holds more and more, though it uses no more.

    Returns:
        Whether the C library can do so; elsewhere than with glibc nothing is done, and little need be.
    """
    trim = _malloc_trim()
    if trim is None:
        return False
    trim(0)
    return True


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's ``malloc_trim``, where the program runs on it."""
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; no way to ask on Windows
        return None
    function.argtypes, function.restype = [ctypes.c_size_t], ctypes.c_int
    found: Callable[[int], int] = function
    return found
