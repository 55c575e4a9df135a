"""Tensors that are described but not yet read: storages, lazy views of them, and the mapping a checkpoint offers.

Nothing here allocates by a number found in a file before that number was checked against the bytes that are there.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sovits.core.errors import CorruptFileError, LimitExceededError, UnsafeFileError

Array = npt.NDArray[Any]

#: Elements that a view with stride 0 ("expanded") may have beyond those of its storage.
_EXPANDED_ELEMENTS = 1 << 20
_DIMENSIONS = 32


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are stored and how they are handed out.

    Attributes:
        name: torch's name, for example ``bfloat16``.
        stored: the numpy type of the bytes in the file, little-endian.
        given: the numpy type of the arrays that :meth:`LazyTensor.open` returns.
    """

    name: str
    stored: np.dtype[Any]
    given: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Bytes per number in the file."""
        return self.stored.itemsize


def _format(name: str, stored: str, given: str = "") -> NumberFormat:
    return NumberFormat(name, np.dtype(stored), np.dtype(given or stored))


#: bfloat16 is the upper half of a float32, so it is handed out as float32 without loss.
FORMATS: Mapping[str, NumberFormat] = {
    row.name: row
    for row in (
        _format("float64", "<f8"),
        _format("float32", "<f4"),
        _format("float16", "<f2"),
        _format("bfloat16", "<u2", "<f4"),
        _format("int64", "<i8"),
        _format("int32", "<i4"),
        _format("int16", "<i2"),
        _format("int8", "i1"),
        _format("uint8", "u1"),
        _format("uint16", "<u2"),
        _format("uint32", "<u4"),
        _format("uint64", "<u8"),
        _format("bool", "u1", "?"),
    )
}


def numpy_format(dtype: np.dtype[Any], where: str) -> NumberFormat:
    """The format of a numpy type found in a file.

    Raises:
        UnsafeFileError: an object or structured type, which could hold pickles or pointers.
        CorruptFileError: any other type that weight files do not hold.
    """
    if dtype.kind in "OV":
        raise UnsafeFileError(f"{where}: an array of objects or records is not read", hint="save plain numbers")
    found = FORMATS.get(dtype.name)
    if found is None or (dtype.itemsize > 1 and dtype != found.given):
        raise CorruptFileError(f"{where}: arrays of type {dtype!s} are not supported")
    return found


@dataclass(frozen=True)
class Latin1:
    """Bytes that a pickle of protocol 2 stores as text, one character of UTF-8 per byte; decoded when opened."""

    text: memoryview


@dataclass
class Storage:
    """A run of numbers in the file. Legacy files name storages before their place is known; ``data`` is set then.

    Attributes:
        checksum: CRC-32 that the bytes must have, 0 for none (torch can be told to compute none, and writes 0 then).
    """

    format: NumberFormat
    count: int
    data: memoryview | Latin1 | None
    where: str
    checksum: int = 0

    def array(self) -> Array:
        """All numbers as a flat read-only array of the stored type.

        Raises:
            CorruptFileError: they are missing, cut off, or not those that were written.
        """
        if self.data is None:
            raise CorruptFileError(f"{self.where}: the numbers of a tensor are missing", hint="download it again")
        if isinstance(self.data, Latin1):
            try:
                data = memoryview(bytes(self.data.text).decode("utf-8").encode("latin-1"))
            except UnicodeError as error:
                raise CorruptFileError(f"{self.where}: broken bytes in an array") from error
        else:
            data = self.data
        if self.checksum and zlib.crc32(data) != self.checksum:
            raise CorruptFileError(f"{self.where}: the numbers of a tensor are damaged", hint="download it again")
        self.checksum = 0  # once is enough
        if len(data) < self.count * self.format.bytes:
            raise CorruptFileError(f"{self.where} is truncated: a tensor needs more bytes than there are")
        return np.frombuffer(data, dtype=self.format.stored, count=self.count)


@dataclass(frozen=True)
class LazyTensor:
    """A strided view of a storage; shape, strides and offset count elements and were checked against the storage."""

    storage: Storage = field(repr=False)
    shape: tuple[int, ...]
    strides: tuple[int, ...] = field(repr=False)
    offset: int = field(default=0, repr=False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array that :meth:`open` returns."""
        return self.storage.format.given

    @property
    def stored(self) -> str:
        """The number format in the file (``bfloat16`` is handed out as float32)."""
        return self.storage.format.name

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def open(self) -> Array:
        """The numbers: a read-only view of the mapped file where possible, a copy for bfloat16 and bool."""
        if self.size == 0:
            return np.zeros(self.shape, self.dtype)
        flat = self.storage.array()
        width = flat.itemsize
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, [step * width for step in self.strides], writeable=False
        )
        if self.storage.format.name == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        if self.storage.format.name == "bool":
            truth: Array = view != 0
            return truth
        return view


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of a C-order array."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def tensor(
    storage: Storage, shape: Sequence[Any], strides: Sequence[Any] | None, offset: Any, where: str
) -> LazyTensor:
    """A checked view.

    Raises:
        CorruptFileError: numbers that are no counts, or a view that reaches outside its storage.
        LimitExceededError: an expanded view (stride 0) that is far larger than its storage.
    """
    steps = contiguous(_counts(shape, where)) if strides is None else _counts(strides, where)
    sizes = _counts(shape, where)
    if len(steps) != len(sizes) or len(sizes) > _DIMENSIONS:
        raise CorruptFileError(f"{where}: a tensor with {len(sizes)} sizes and {len(steps)} strides")
    (start,) = _counts((offset,), where)
    total = math.prod(sizes)
    if total:
        last = start + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        if last >= storage.count:
            raise CorruptFileError(
                f"{where}: a tensor of shape {sizes} reaches outside its storage of {storage.count} numbers",
                hint="the file is damaged or was tampered with",
            )
        if total > storage.count + _EXPANDED_ELEMENTS:
            raise LimitExceededError(f"{where}: a tensor repeats {storage.count} numbers to {total:,}")
    elif max(sizes, default=0) > 1 << 62:
        raise CorruptFileError(f"{where}: a tensor of impossible shape {sizes}")
    return LazyTensor(storage, sizes, steps, start)


def _counts(values: Sequence[Any], where: str) -> tuple[int, ...]:
    for value in values:
        if type(value) is not int or not 0 <= value < 1 << 62:
            raise CorruptFileError(f"{where}: {str(value)[:40]!r} where a size, stride or offset belongs")
    return tuple(values)


class Tensors(Mapping[str, Array]):
    """Name to array; an array is opened when it is asked for, and stays a view of the file where that is possible."""

    def __init__(self, entries: Mapping[str, LazyTensor]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Array:
        return self._entries[name].open()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Tensors({len(self)} tensors)"

    def entry(self, name: str) -> LazyTensor:
        """Shape, type and stored format of a tensor without reading it."""
        return self._entries[name]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name to shape, without reading any number."""
        return {name: entry.shape for name, entry in self._entries.items()}
