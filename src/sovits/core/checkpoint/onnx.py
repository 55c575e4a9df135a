"""``.onnx`` files: a bounded walk over their protocol buffers, in pure Python, before the native parser may see them.

Field numbers: onnx.proto of the ONNX project (IR version 10). The walk goes into every place that can hold a tensor
(initialisers, attributes of nodes, sub-graphs, functions, training information), because each may refer outside.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sovits.core.checkpoint.limits import Budget, Limits, check
from sovits.core.checkpoint.tensors import FORMATS, LazyTensor, Storage, tensor
from sovits.core.errors import CorruptFileError, UnsafeFileError

_FORMATS = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
}
#: Where tensors (5: TensorProto), graphs (7) and so on sit: message -> field -> message of the value.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "entry", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
}


@dataclass
class OnnxFacts:
    """What the walk found: the tensors that lie in the file, names of inputs and outputs, and the rest as numbers."""

    ir_version: int = 0
    producer: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    nodes: int = 0
    tensors: dict[str, LazyTensor] = field(default_factory=dict)


def is_onnx(data: memoryview) -> bool:
    """Whether the bytes start like a ModelProto: field 1 (IR version, 1 to 31), then a field that models have."""
    return (
        len(data) > 4 and data[0] == 0x08 and 0 < data[1] < 32 and data[2] in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
    )


def walk_onnx(data: memoryview, limits: Limits, where: str) -> OnnxFacts:
    """Check and describe a model.

    Raises:
        UnsafeFileError: a tensor whose numbers lie in another file.
        CorruptFileError: truncated, or no protocol buffer of this kind.
        LimitExceededError: more fields, tensors or nesting than the limits allow.
    """
    walk = _Walk(limits, where)
    try:
        walk.message(data, "model", 0, True)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError(f"{where} is truncated or no ONNX model", hint="download it again") from error
    if not walk.facts.outputs or not walk.facts.opsets:
        raise CorruptFileError(f"{where} is no ONNX model: it has no outputs")
    return walk.facts


class _Walk:
    def __init__(self, limits: Limits, where: str) -> None:
        self.facts = OnnxFacts()
        self._where, self._limits = where, limits
        self._fields = Budget(limits.pickle_operations, "the number of fields in it", where)

    def message(self, data: memoryview, kind: str, depth: int, top: bool) -> None:
        check(depth, self._limits.nesting, "the depth of its graphs", self._where)
        inside = _INSIDE[kind]
        for number, value in self._each(data):
            if isinstance(value, memoryview) and number in inside:
                self._inner(value, inside[number], number, depth, top and kind in ("model", "graph"))
            elif kind == "model":
                self._model_field(number, value)

    def _inner(self, value: memoryview, kind: str, number: int, depth: int, top: bool) -> None:
        if kind == "tensor":
            self._tensor(value, top)
        elif kind == "value":
            if top:
                (self.facts.inputs if number == 11 else self.facts.outputs).append(self._first_text(value))
        elif kind == "opset":
            fields = dict(self._each(value))
            self.facts.opsets[_text(fields.get(1, b"")) or "ai.onnx"] = int(fields.get(2, 0))
        elif kind == "entry":
            fields = dict(self._each(value))
            self.facts.metadata[_text(fields.get(1, b""))[:200]] = _text(fields.get(2, b""))[:10_000]
        else:
            self.facts.nodes += kind == "node"
            self.message(value, kind, depth + 1, top and kind == "graph")

    def _model_field(self, number: int, value: Any) -> None:
        if number == 1:
            self.facts.ir_version = int(value)
        elif number == 2:
            self.facts.producer = _text(value)[:200]

    def _first_text(self, data: memoryview) -> str:
        return next((_text(value)[:500] for number, value in self._each(data) if number == 1), "")

    def _tensor(self, data: memoryview, top: bool) -> None:
        shape: list[int] = []
        kind, name, raw, external = 0, "", None, False
        for number, value in self._each(data):
            if number == 1:
                shape.extend(_packed(value))
            elif number == 2:
                kind = int(value)
            elif number == 8:
                name = _text(value)[:500]
            elif number == 9:
                raw = value
            elif number == 13 or (number == 14 and value):
                external = True
        if external:
            raise UnsafeFileError(
                f"{self._where}: the tensor {name!a} keeps its numbers in another file",
                hint="save the model with its weights inside one file",
            )
        if not top or raw is None or kind not in _FORMATS or not name:
            return
        form = FORMATS[_FORMATS[kind]]
        storage = Storage(form, len(raw) // form.bytes, raw, self._where)
        view = tensor(storage, shape, None, 0, self._where)
        if view.size * form.bytes != len(raw):
            raise CorruptFileError(f"{self._where}: the tensor {name!a} does not fit its bytes")
        check(len(self.facts.tensors) + 1, self._limits.tensors, "the number of tensors", self._where)
        self.facts.tensors[name] = view

    def _each(self, data: memoryview) -> Iterator[tuple[int, Any]]:
        """Field number and value of a message: integers for varints, views for everything with a length."""
        position = 0
        while position < len(data):
            self._fields.spend()
            tag, position = _varint(data, position)
            number, wire = tag >> 3, tag & 7
            if number == 0:
                raise ValueError("field 0")
            if wire == 0:
                value, position = _varint(data, position)
                yield number, value
                continue
            if wire == 2:
                length, position = _varint(data, position)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise ValueError("a wire type that onnx does not use")
            if position + length > len(data):
                raise IndexError("end of message")
            yield number, data[position : position + length]
            position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")


def _packed(value: Any) -> list[int]:
    """A repeated integer: one varint, or many in one field."""
    if isinstance(value, int):
        return [value]
    found: list[int] = []
    position = 0
    while position < len(value):
        if len(found) > 32:
            raise ValueError("too many dimensions")
        number, position = _varint(value, position)
        found.append(number)
    return found


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8")
