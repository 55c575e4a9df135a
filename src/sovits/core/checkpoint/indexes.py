"""Retrieval indexes of faiss: their structure is checked here, byte by byte, before the native parser may see them.

A retrieval file holds "IVF,Flat" indexes (spec singing-conversion.md, section 2; compat/svc/FILL.md, section 6). In
this layout everything is a count followed by that many numbers, so a walk that multiplies and compares finds every
size that does not fit the file, and every kind of index that would make faiss open other files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from sovits.core.checkpoint.tensors import Array
from sovits.core.errors import CorruptFileError, UnsafeFileError, WrongModelError

_FLAT = (b"IxF2", b"IxFI", b"IxFl")
_INVERTED = b"IwFl"
_METRICS = {0: "inner product", 1: "squared distance"}
_MAX_WIDTH = 1 << 16


@dataclass(frozen=True)
class RetrievalIndex:
    """The content of one index as plain arrays.

    Attributes:
        vectors: float32 [count, width], in the order of their ids.
        centroids: float32 [lists, width], the coarse centres; none for a flat index.
        list_of: int64 [count], the list that each vector belongs to; none for a flat index.
        probes: how many lists a search looks into (``nprobe``).
        metric: ``squared distance`` or ``inner product``.
    """

    vectors: Array
    centroids: Array
    list_of: Array
    probes: int
    metric: str


@dataclass(frozen=True)
class IndexFacts:
    """What the structural check found out."""

    kind: str
    width: int
    count: int
    lists: int
    metric: str


def is_index(data: memoryview) -> bool:
    """Whether the bytes start with the four-letter code of a faiss index."""
    head = bytes(data[:4])
    return len(head) == 4 and head[:2] in (b"Ix", b"Iw", b"IB", b"IH", b"IM", b"Iv", b"Im") and head.isalnum()


class _Walk:
    def __init__(self, data: memoryview, where: str) -> None:
        self.data, self.where, self.position = data, where, 0

    def take(self, length: int) -> memoryview:
        if length < 0 or self.position + length > len(self.data):
            raise CorruptFileError(f"{self.where}: a truncated or corrupt faiss index", hint="make the index again")
        piece = self.data[self.position : self.position + length]
        self.position += length
        return piece

    def numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def code(self) -> bytes:
        return bytes(self.take(4))

    def vector(self, width: int) -> memoryview:
        (count,) = self.numbers("Q")
        return self.take(count * width)

    def require(self, condition: bool) -> None:
        if not condition:
            raise CorruptFileError(f"{self.where}: a faiss index whose numbers contradict each other")


def check_index(data: memoryview, where: str) -> IndexFacts:
    """Walk over a serialised index.

    Raises:
        WrongModelError: an index of another kind than IVF-Flat or Flat.
        UnsafeFileError: lists that lie in another file.
        CorruptFileError: sizes that do not fit, or bytes left over.
    """
    walk = _Walk(data, where)
    code = walk.code()
    if code in _FLAT:
        facts = _flat(walk)
    elif code == _INVERTED:
        facts = _inverted(walk)
    else:
        raise WrongModelError(
            f"{where}: a faiss index of the kind {code.decode('latin-1')!a}, only IVF-Flat and Flat are read",
            hint="make the index again with the factory text 'IVF...,Flat'",
        )
    walk.require(walk.position == len(data))
    return facts


def _header(walk: _Walk) -> tuple[int, int, str]:
    width, count, _, _, trained, metric = walk.numbers("iqqq?i")
    walk.require(0 < width <= _MAX_WIDTH and count >= 0)
    if metric not in _METRICS or not trained:
        raise WrongModelError(f"{walk.where}: a faiss index that is untrained or of an unusual metric")
    return width, count, _METRICS[metric]


def _flat(walk: _Walk) -> IndexFacts:
    width, count, metric = _header(walk)
    walk.require(len(walk.vector(4)) == 4 * width * count)
    return IndexFacts("Flat", width, count, 0, metric)


def _inverted(walk: _Walk) -> IndexFacts:
    width, count, metric = _header(walk)
    lists, probes = walk.numbers("QQ")
    walk.require(0 < lists <= len(walk.data) and 0 < probes <= 1 << 31)
    walk.require(walk.code() in _FLAT)
    coarse = _flat(walk)
    walk.require((coarse.width, coarse.count) == (width, lists))
    (kind,) = walk.numbers("B")
    walk.require(kind in (0, 1, 2))
    walk.vector(8)
    if kind == 2:
        walk.vector(16)
    code = walk.code()
    if code != b"ilar":
        raise UnsafeFileError(f"{walk.where}: the lists of this index ({code!a}) lie outside the file")
    walk.require(walk.numbers("QQ") == (lists, 4 * width))
    sizes = _list_sizes(walk, lists)
    ids: list[Array] = []
    walk.require(int(sizes.sum()) == count)
    for size in sizes[sizes > 0].tolist():
        walk.take(size * 4 * width)
        ids.append(np.frombuffer(walk.take(size * 8), "<i8"))
    if ids:
        seen = np.zeros(count, bool)
        joined = np.concatenate(ids)
        walk.require(int(joined.min()) >= 0 and int(joined.max()) < count)
        seen[joined] = True
        walk.require(bool(seen.all()))
    return IndexFacts("IVF,Flat", width, count, lists, metric)


def _list_sizes(walk: _Walk, lists: int) -> Array:
    """int64 [lists]; every size is bounded by the length of the file, so that sums cannot overflow."""
    code = walk.code()
    values = np.frombuffer(walk.vector(8), "<u8")
    walk.require(bool((values < len(walk.data)).all()))
    if code == b"full":
        walk.require(len(values) == lists)
        return values.astype(np.int64)
    walk.require(code == b"sprs" and len(values) % 2 == 0 and lists <= max(1 << 20, len(walk.data) // (4 * 1)))
    sizes = np.zeros(lists, np.int64)
    where, many = values[::2].astype(np.int64), values[1::2].astype(np.int64)
    walk.require(bool((where < lists).all()) and bool((np.diff(where) > 0).all()))
    sizes[where] = many
    return sizes
