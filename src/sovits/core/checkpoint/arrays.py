"""``.npy`` and ``.npz``: plain number arrays, mapped. Arrays of objects would hold pickles and are refused."""

from __future__ import annotations

import re
import struct

import numpy as np

from sovits.core.checkpoint.limits import check
from sovits.core.checkpoint.mapped import MappedFile
from sovits.core.checkpoint.tensors import LazyTensor, Storage, numpy_format, tensor
from sovits.core.checkpoint.zips import Zip
from sovits.core.errors import CorruptFileError, UnsafeFileError

MAGIC = b"\x93NUMPY"
_HEADER_BYTES = 10_000

# The header is a Python literal. It is matched, not evaluated: literal_eval compiles what it reads.
_HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<descr>[<>|=]?[a-zA-Z?]\d{0,2})',\s*'fortran_order':\s*(?P<fortran>True|False),\s*"
    r"'shape':\s*\((?P<shape>[0-9,\s]*)\),?\s*\}\s*"
)


def read_npy(data: memoryview, where: str) -> LazyTensor:
    """The array in ``data`` (format: numpy.lib.format, versions 1 to 3).

    Raises:
        UnsafeFileError: an array of objects or records.
        CorruptFileError: truncated, or not as the format asks.
    """
    if len(data) < 12 or bytes(data[:6]) != MAGIC or data[6] not in (1, 2, 3):
        raise CorruptFileError(f"{where} is not an .npy array")
    layout = "<H" if data[6] == 1 else "<I"
    start = 8 + struct.calcsize(layout)
    (length,) = struct.unpack_from(layout, data, 8)
    check(length, _HEADER_BYTES, "the length of its .npy header", where)
    text = bytes(data[start : start + length]).decode("latin-1")
    if re.search(r"'descr':\s*(\[|'[|<>=]?[OV])", text):
        raise UnsafeFileError(
            f"{where} is an array of objects or records, which may hold code", hint="save plain numbers"
        )
    found = _HEADER.fullmatch(text)
    if found is None or len(text) != length:
        raise CorruptFileError(f"{where}: the .npy header is corrupt")
    try:
        kind = np.dtype(found["descr"])
        shape = [int(size[:20]) for size in found["shape"].replace(" ", "").split(",") if size]
    except (TypeError, ValueError, SyntaxError) as error:
        raise CorruptFileError(f"{where}: the .npy header is corrupt") from error
    form = numpy_format(kind, where)
    numbers = data[start + length :]
    storage = Storage(form, len(numbers) // form.bytes, numbers, where)
    if found["fortran"] == "False" or len(shape) < 2:
        return tensor(storage, shape, None, 0, where)
    mirrored = tensor(storage, shape[::-1], None, 0, where)
    return LazyTensor(storage, tuple(shape), mirrored.strides[::-1])


def is_npz(archive: Zip) -> bool:
    """Whether all members are ``.npy`` arrays."""
    return bool(archive.members) and all(name.endswith(".npy") for name in archive.members)


def read_npz(mapped: MappedFile, archive: Zip) -> dict[str, LazyTensor]:
    """The arrays of an archive by name; members that are stored are mapped, others unpacked within the limits."""
    return {name[:-4]: read_npy(archive.read(name), f"{mapped.name} ({name})") for name in archive.members}
