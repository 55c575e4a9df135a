"""Free memory of the heap goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from sovits.core.heap import trim_heap

#: Fills the heap with small pieces, frees all but the last ones, and prints resident pages before and after trimming.
HOLES = """
import ctypes
from pathlib import Path
from sovits.core.heap import trim_heap

libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype, libc.free.argtypes = [ctypes.c_size_t], ctypes.c_void_p, [ctypes.c_void_p]
size = 100_000
pieces = [libc.malloc(size) for _ in range(1000)]
for piece in pieces:
    ctypes.memset(piece, 1, size)
for piece in pieces[:-1]:
    libc.free(piece)
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1])
before = resident()
assert trim_heap()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_holes_below_what_is_used_are_given_back():
    done = subprocess.run([sys.executable, "-c", HOLES], stdout=subprocess.PIPE, text=True, check=True)
    assert int(done.stdout) * 4096 > 50_000_000


def test_it_may_be_called_anywhere():
    assert trim_heap() == (platform.libc_ver()[0] == "glibc")
