"""The zip format of ``torch.save`` written without torch: for exports that other projects have to open.

The pickle inside is put together opcode by opcode (protocol 2, as torch writes it) and names nothing but the functions
that rebuild tensors and arrays, so it also loads with ``torch.load(weights_only=True)`` where there are tensors only.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sovits.core.atomic import replacing
from sovits.core.checkpoint.safetensors import encode
from sovits.core.checkpoint.tensors import FORMATS, Array, LazyTensor, NumberFormat, Tensors
from sovits.core.errors import OptionError

_ROOT = "archive"
#: torch places every record at a multiple of this, so that files can be mapped.
_ALIGNMENT = 64
#: The oldest time that a zip archive can hold: the same content gives the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)

_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


@dataclass(frozen=True)
class NumpyArray:
    """An array that has to come out as numpy's, not as a tensor (k-means files hold such)."""

    array: Array


def write_torch(path: Path, value: Any) -> None:
    """Write a tree of plain values and tensors, atomically; one tensor at a time is in memory.

    Args:
        path: target, any suffix.
        value: mappings, lists, tuples, texts, numbers, ``None``; arrays and lazy tensors become tensors, a
            :class:`Tensors` keeps its stored formats, :class:`NumpyArray` stays an array.

    Raises:
        OptionError: something else in the tree, or a number format that torch has not.
        OutputError: the file cannot be written.
    """
    pickle = _Pickle()
    pickle.value(value)
    body = b"\x80\x02" + bytes(pickle.out) + b"."
    with replacing(path) as beside, beside.open("wb") as handle, zipfile.ZipFile(handle, "w") as archive:

        def record(name: str, data: bytes | memoryview) -> None:
            info = zipfile.ZipInfo(f"{_ROOT}/{name}", _EPOCH)
            start = handle.tell() + 30 + len(info.filename) + 4
            padding = -start % _ALIGNMENT
            info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            archive.writestr(info, data)

        record("data.pkl", body)
        record("byteorder", b"little")
        for number, (source, form) in enumerate(pickle.storages):
            array = source.open() if isinstance(source, LazyTensor) else source
            record(f"data/{number}", np.ascontiguousarray(encode(array, form)).tobytes())
        record("version", b"3\n")


class _Pickle:
    """The opcodes of one tree, and the storages that it refers to."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.storages: list[tuple[LazyTensor | Array, NumberFormat]] = []

    def value(self, item: Any) -> None:
        if item is None:
            self.out += b"N"
        elif isinstance(item, bool):
            self.out += b"\x88" if item else b"\x89"
        elif isinstance(item, int):
            self._integer(item)
        elif isinstance(item, float):
            self.out += b"G" + struct.pack(">d", item)
        elif isinstance(item, str):
            self._text(item.encode("utf-8"))
        elif isinstance(item, Tensors):
            self._mapping({name: item.entry(name) for name in item})
        elif isinstance(item, Mapping):
            self._mapping(item)
        elif isinstance(item, LazyTensor):
            self._tensor(item, item.stored, item.shape)
        elif isinstance(item, np.ndarray):
            self._tensor(item, item.dtype.name, item.shape)
        elif isinstance(item, NumpyArray):
            self._array(item.array)
        elif isinstance(item, tuple):
            self._sequence(item, b"", b"t")
        elif isinstance(item, list):
            self._sequence(item, b"]", b"e")
        else:
            raise OptionError(f"a weight file cannot hold a {type(item).__name__}")

    def _integer(self, number: int) -> None:
        if -(1 << 31) <= number < 1 << 31:
            self.out += b"J" + struct.pack("<i", number)
        else:
            raw = number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)
            self.out += b"\x8a" + bytes([len(raw)]) + raw

    def _text(self, raw: bytes) -> None:
        self.out += b"X" + struct.pack("<I", len(raw)) + raw

    def _name(self, module: str, name: str) -> None:
        self.out += f"c{module}\n{name}\n".encode("ascii")

    def _mapping(self, items: Mapping[Any, Any]) -> None:
        self.out += b"}("
        for key, item in items.items():
            self.value(key)
            self.value(item)
        self.out += b"u"

    def _sequence(self, items: Sequence[Any], opening: bytes, closing: bytes) -> None:
        self.out += opening + b"("
        for item in items:
            self.value(item)
        self.out += closing

    def _tensor(self, source: LazyTensor | Array, stored: str, shape: tuple[int, ...]) -> None:
        if stored not in _STORAGES:
            raise OptionError(f"torch has no tensors of type {stored}")
        count = int(np.prod(shape, dtype=np.int64))
        self._name("torch._utils", "_rebuild_tensor_v2")
        self.out += b"(("
        self.value("storage")
        self._name("torch", _STORAGES[stored])
        self.value(str(len(self.storages)))
        self.value("cpu")
        self.value(count)
        self.out += b"tQ"
        strides = tuple(int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape)))
        self.value(0)
        self.value(tuple(shape))
        self.value(strides)
        self.value(False)
        self._name("collections", "OrderedDict")
        self.out += b")RtR"
        self.storages.append((source, FORMATS[stored]))

    def _array(self, array: Array) -> None:
        if array.dtype.name not in FORMATS or array.dtype.kind not in "fiu":
            raise OptionError(f"an array of type {array.dtype} cannot be exported")
        self._name("numpy.core.multiarray", "_reconstruct")
        self.out += b"("
        self._name("numpy", "ndarray")
        self.value((0,))
        self._bytes(b"b")
        self.out += b"tR("
        self.value(1)
        self.value(tuple(array.shape))
        self._name("numpy", "dtype")
        self.value((f"{array.dtype.kind}{array.dtype.itemsize}", False, True))
        self.out += b"R"
        self.value((3, "<", None, None, None, -1, -1, 0))
        self.out += b"b"
        self.value(False)
        self._bytes(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        self.out += b"tb"

    def _bytes(self, raw: bytes) -> None:
        # Protocol 2 has no byte strings: Python itself writes them as a text of as many characters.
        self._name("_codecs", "encode")
        self.out += b"("
        self._text(raw.decode("latin-1").encode("utf-8"))
        self.value("latin1")
        self.out += b"tR"
