"""Retrieval indexes of faiss: checked byte by byte and read as plain arrays, without faiss.

A retrieval file holds "IVF,Flat" indexes (spec singing-conversion.md, section 2; compat/svc/FILL.md, section 6). In
this layout everything is a count followed by that many numbers, so a walk that multiplies and compares finds every
size that does not fit the file, and every kind of index that would make faiss open other files. What the walk passes
is all there is, so no native parser is asked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
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


def parse_index(data: memoryview, where: str) -> RetrievalIndex:
    """Read a serialised index; raises as :func:`check_index`."""
    facts, parts = _walked(data, where)
    empty = np.zeros((0, facts.width), np.float32)
    if parts.coarse is None:
        (rows,) = parts.codes or (empty,)
        return RetrievalIndex(np.array(rows), empty, np.zeros(0, np.int64), 0, facts.metric)
    vectors = np.zeros((facts.count, facts.width), np.float32)
    list_of = np.zeros(facts.count, np.int64)
    for number, ids, rows in zip(parts.numbers, parts.ids, parts.codes, strict=True):
        vectors[ids], list_of[ids] = rows, number
    return RetrievalIndex(vectors, np.array(parts.coarse), list_of, parts.probes, facts.metric)


def check_index(data: memoryview, where: str) -> IndexFacts:
    """Walk over a serialised index without taking its numbers.

    Raises:
        WrongModelError: an index of another kind than IVF-Flat or Flat.
        UnsafeFileError: lists that lie in another file.
        CorruptFileError: sizes that do not fit, or bytes left over.
    """
    return _walked(data, where)[0]


@dataclass
class _Parts:
    """What a walk passed: views of the file, the lists that hold something in order."""

    codes: list[Array] = field(default_factory=list)
    ids: list[Array] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    coarse: Array | None = None
    probes: int = 0


def _walked(data: memoryview, where: str) -> tuple[IndexFacts, _Parts]:
    walk, parts = _Walk(data, where), _Parts()
    code = walk.code()
    if code in _FLAT:
        facts, rows = _flat(walk)
        parts.codes.append(rows)
    elif code == _INVERTED:
        facts = _inverted(walk, parts)
    else:
        raise WrongModelError(
            f"{where}: a faiss index of the kind {code.decode('latin-1')!a}, only IVF-Flat and Flat are read",
            hint="make the index again with the factory text 'IVF...,Flat'",
        )
    walk.require(walk.position == len(data))
    return facts, parts


def _header(walk: _Walk) -> tuple[int, int, str]:
    width, count, _, _, trained, metric = walk.numbers("iqqq?i")
    walk.require(0 < width <= _MAX_WIDTH and count >= 0)
    if metric not in _METRICS or not trained:
        raise WrongModelError(f"{walk.where}: a faiss index that is untrained or of an unusual metric")
    return width, count, _METRICS[metric]


def _flat(walk: _Walk) -> tuple[IndexFacts, Array]:
    width, count, metric = _header(walk)
    values = walk.vector(4)
    walk.require(len(values) == 4 * width * count)
    return IndexFacts("Flat", width, count, 0, metric), np.frombuffer(values, "<f4").reshape(count, width)


def _inverted(walk: _Walk, parts: _Parts) -> IndexFacts:
    width, count, metric = _header(walk)
    lists, probes = walk.numbers("QQ")
    walk.require(0 < lists <= len(walk.data) and 0 < probes <= 1 << 31)
    walk.require(walk.code() in _FLAT)
    coarse, parts.coarse = _flat(walk)
    parts.probes = probes
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
    walk.require(int(sizes.sum()) == count)
    parts.numbers = np.flatnonzero(sizes).tolist()
    for size in sizes[sizes > 0].tolist():
        parts.codes.append(np.frombuffer(walk.take(size * 4 * width), "<f4").reshape(size, width))
        parts.ids.append(np.frombuffer(walk.take(size * 8), "<i8"))
    if parts.ids:
        seen = np.zeros(count, bool)
        joined = np.concatenate(parts.ids)
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
