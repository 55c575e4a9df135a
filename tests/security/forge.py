"""Builds weight files byte by byte, honest and hostile ones, without torch and without Python's pickler.

A pickle here is a list of byte strings, one per opcode, so a test can say exactly what a file holds.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

STOP = b"."
PROTOCOL = b"\x80\x02"
STORAGE_TYPES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def number(value: int) -> bytes:
    """BININT or LONG1."""
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def bundle(*items: bytes) -> bytes:
    """A tuple of encoded items."""
    return b"(" + b"".join(items) + b"t"


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """GLOBAL, arguments, REDUCE."""
    return name(module, attribute) + bundle(*arguments) + b"R"


class Tensor:
    """A tensor to be saved: an array, and optionally other sizes, strides and offset than its own."""

    def __init__(
        self,
        array: Any,
        *,
        shape: Any = None,
        strides: Any = None,
        offset: int = 0,
        count: int | None = None,
        storage: str = "",
    ) -> None:
        self.array = np.array(array, order="C")
        self.shape = self.array.shape if shape is None else shape
        steps = [step // self.array.itemsize for step in self.array.strides] if strides is None else strides
        self.strides, self.offset = steps, offset
        self.count = self.array.size if count is None else count
        self.storage = storage or STORAGE_TYPES[self.array.dtype.name]


class Pickle:
    """Encodes plain values and :class:`Tensor` the way torch does; raw bytes in a value are opcodes as they are."""

    def __init__(self, *, legacy: bool = False) -> None:
        self.storages: dict[str, np.ndarray] = {}
        self._legacy = legacy

    def encode(self, value: Any) -> bytes:
        """The opcodes that push ``value``."""
        match value:
            case bytes():
                return value
            case None:
                return b"N"
            case bool():
                return b"\x88" if value else b"\x89"
            case int():
                return number(value)
            case float():
                return b"G" + struct.pack(">d", value)
            case str():
                return text(value)
            case tuple():
                return bundle(*(self.encode(item) for item in value))
            case list():
                return b"](" + b"".join(self.encode(item) for item in value) + b"e"
            case Mapping():
                pairs = b"".join(self.encode(key) + self.encode(item) for key, item in value.items())
                return b"}(" + pairs + b"u"
            case Tensor():
                return self._tensor(value)
        raise TypeError(type(value))

    def _tensor(self, value: Tensor) -> bytes:
        key = str(len(self.storages))
        self.storages[key] = value.array
        parts = [text("storage"), name("torch", value.storage), text(key), text("cpu"), number(value.count)]
        storage = bundle(*parts, *([b"N"] if self._legacy else [])) + b"Q"
        sizes, steps = (bundle(*(self.encode(item) for item in row)) for row in (value.shape, value.strides))
        hooks = name("collections", "OrderedDict") + b")R"
        return call("torch._utils", "_rebuild_tensor_v2", storage, number(value.offset), sizes, steps, b"\x89", hooks)


def torch_zip(
    value: Any, *, root: str = "archive", head: bytes = b"", extra: Mapping[str, bytes] | None = None
) -> bytes:
    """A file as ``torch.save`` of today writes it; ``head`` replaces the first two bytes."""
    pickle = Pickle()
    data = PROTOCOL + pickle.encode(value) + STOP
    members = {f"{root}/data.pkl": data, f"{root}/byteorder": b"little"}
    members |= {f"{root}/data/{key}": array.tobytes() for key, array in pickle.storages.items()}
    members |= {f"{root}/version": b"3\n", **(extra or {})}
    made = plain_zip(members)
    return head + made[len(head) :]


def plain_zip(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An ordinary zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for title, data in members.items():
            archive.writestr(zipfile.ZipInfo(title), data, compress_type=method)
    return out.getvalue()


def raw_zip(entries: list[tuple[bytes, bytes, dict[str, int]]], shift: int = 0) -> bytes:
    """A zip written field by field: name, data, and any of ``offset size packed method flags`` to lie about."""
    body, directory = bytearray(), bytearray()
    for title, data, lies in entries:
        offset = lies.get("offset", len(body))
        size, packed = lies.get("size", len(data)), lies.get("packed", len(data))
        fields = struct.pack(
            "<HHHHHIII", 20, lies.get("flags", 0), lies.get("method", 0), 0, 0, zlib.crc32(data), packed, size
        )
        body += b"PK\x03\x04" + fields + struct.pack("<HH", len(title), 0) + title + data
        directory += (
            b"PK\x01\x02"
            + struct.pack("<H", 20)
            + fields
            + struct.pack("<HHHHHII", len(title), 0, 0, 0, 0, 0, offset)
            + title
        )
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(directory), len(body) + shift, 0)
    return bytes(body + directory) + b"PK\x05\x06" + end


def torch_legacy(value: Any) -> bytes:
    """A file as torch 0.2 to 1.5 writes it."""
    magic = number(0x1950A86A20F9469CFC6C)
    pickle = Pickle(legacy=True)
    body = pickle.encode(value)
    system = Pickle().encode({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}})
    parts = [magic, number(1001), system, body, Pickle().encode(list(pickle.storages))]
    raw = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in pickle.storages.values())
    return b"".join(PROTOCOL + part + STOP for part in parts) + raw


def tar(members: Mapping[str, bytes], kind: bytes = b"0") -> bytes:
    """A tar archive of plain members."""
    out = b""
    for title, data in members.items():
        head = bytearray(512)
        head[: len(title)] = title.encode()
        head[100:156] = b"0000644\0" + b"0000000\0" * 2 + f"{len(data):011o}\0".encode() + b"00000000000\0" + b" " * 8
        head[156:157] = kind
        head[148:156] = f"{sum(head):06o}\0 ".encode()
        out += bytes(head) + data + bytes(-len(data) % 512)
    return out + bytes(1024)


def torch_tar(tensors: Mapping[str, np.ndarray], main: bytes | None = None) -> bytes:
    """A file as torch 0.1 writes it: a dictionary of tensors."""

    def pickled(value: bytes) -> bytes:
        return PROTOCOL + value + STOP

    encode = Pickle().encode
    storages = pickled(number(len(tensors)))
    views = pickled(encode([]))
    table = pickled(number(len(tensors)))
    persistent = []
    for index, (title, array) in enumerate(tensors.items()):
        storage = name("torch", STORAGE_TYPES[array.dtype.name])
        storages += (
            pickled(bundle(number(index), text("cpu"), storage)) + struct.pack("<q", array.size) + array.tobytes()
        )
        table += pickled(bundle(number(100 + index), number(index), storage))
        steps = [step // array.itemsize for step in array.strides]
        table += struct.pack(f"<i4x{2 * array.ndim}qq", array.ndim, *array.shape, *steps, 0)
        persistent.append(text(title) + text(str(100 + index)) + b"Q")
    body = b"}(" + b"".join(persistent) + b"u" if main is None else main
    return tar({"storages": storages + views, "tensors": table, "pickle": pickled(body)})


def safetensors(header: Any, numbers: bytes = b"", *, length: int | None = None) -> bytes:
    """A safetensors file with any header (a text, or a value for JSON)."""
    import json

    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + numbers


def npy(header: str, numbers: bytes = b"", version: int = 1, length: int | None = None) -> bytes:
    """An ``.npy`` file with any header text."""
    raw = header.encode("latin-1")
    layout = "<H" if version == 1 else "<I"
    return (
        b"\x93NUMPY" + bytes([version, 0]) + struct.pack(layout, len(raw) if length is None else length) + raw + numbers
    )


def flat_index(vectors: np.ndarray, *, count: int | None = None, width: int | None = None) -> bytes:
    """A faiss ``IndexFlatL2``; ``count`` and ``width`` may lie."""
    rows, columns = vectors.shape
    width, count = columns if width is None else width, rows if count is None else count
    head = struct.pack("<iqqq?i", width, count, 1 << 20, 1 << 20, True, 1)
    return b"IxF2" + head + struct.pack("<Q", vectors.size) + vectors.astype("<f4").tobytes()


def inverted_index(
    centroids: np.ndarray,
    lists: list[tuple[np.ndarray, np.ndarray]],
    *,
    code: bytes = b"ilar",
    sizes: list[int] | None = None,
) -> bytes:
    """A faiss ``IndexIVFFlat`` of (ids, vectors) per list; the code of its lists and their sizes may lie."""
    count, width = sum(len(ids) for ids, _ in lists), centroids.shape[1]
    head = struct.pack("<iqqq?i", width, count, 1 << 20, 1 << 20, True, 1) + struct.pack("<QQ", len(lists), 1)
    stated = [len(ids) for ids, _ in lists] if sizes is None else sizes
    body = (
        code
        + struct.pack("<QQ", len(lists), 4 * width)
        + b"full"
        + struct.pack(f"<Q{len(stated)}Q", len(stated), *stated)
    )
    for ids, vectors in lists:
        body += vectors.astype("<f4").tobytes() + ids.astype("<i8").tobytes()
    return b"IwFl" + head + flat_index(centroids) + b"\x00" + struct.pack("<Q", 0) + body


def retrieval_pickle(parts: Mapping[int, bytes], module: str = "faiss.swigfaiss", kind: str = "IndexIVFFlat") -> bytes:
    """``{speaker: index}`` as Python pickles faiss indexes (protocol 4)."""
    out = b"\x80\x04}("
    for key, data in parts.items():
        raw = b"B" + struct.pack("<I", len(data)) + data
        titles = b"".join(b"\x8c" + bytes([len(item)]) + item.encode() for item in (module, kind))
        out += number(key) + titles + b"\x93)\x81}" + text("this") + raw + b"sb"
    return out + b"u."


def field(number_: int, value: bytes | int | str) -> bytes:
    """A protocol-buffer field."""
    if isinstance(value, int):
        return varint(number_ << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number_ << 3 | 2) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    """A protocol-buffer integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def onnx_tensor(title: str, array: np.ndarray, *more: bytes, shape: tuple[int, ...] | None = None) -> bytes:
    """A float32 TensorProto."""
    dims = b"".join(field(1, size) for size in (array.shape if shape is None else shape))
    return dims + field(2, 1) + field(8, title) + field(9, array.astype("<f4").tobytes()) + b"".join(more)


def onnx_model(*initialisers: bytes, extra_graph: bytes = b"", operator: str = "Add", opset: int = 13) -> bytes:
    """y = x + w as an ONNX model."""

    def port(title: str) -> bytes:
        one_side_of_two = field(2, field(1, field(1, 2)))
        return field(1, title) + field(2, field(1, field(1, 1) + one_side_of_two))

    node = field(1, "x") + field(1, "w") + field(2, "y") + field(4, operator)
    graph = field(1, node) + field(2, "g") + b"".join(field(5, one) for one in initialisers)
    graph += field(11, port("x")) + field(12, port("y")) + extra_graph
    return field(1, 8) + field(2, "forge") + field(7, graph) + field(8, field(1, "") + field(2, opset))


def save(folder: Path) -> Callable[[str, bytes], Path]:
    """A function that writes a file into ``folder``."""

    def write(title: str, data: bytes) -> Path:
        path = folder / title
        path.write_bytes(data)
        return path

    return write
