"""The safetensors format: eight bytes of header length, a JSON header, then the numbers without gaps.

Format: https://github.com/huggingface/safetensors#format. Our own reader and writer, so that headers are bounded and
checked and files are mapped without a further package.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sovits.core.atomic import replacing
from sovits.core.checkpoint.limits import Budget, Limits, check
from sovits.core.checkpoint.mapped import MappedFile, printable
from sovits.core.checkpoint.tensors import FORMATS, Array, LazyTensor, NumberFormat, Storage, Tensors, tensor
from sovits.core.errors import CorruptFileError, OptionError, WrongModelError

_CODES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_NAMES = {name: code for code, name in _CODES.items()}
_ALIGNMENT = 8


def is_safetensors(data: memoryview) -> bool:
    """Whether the bytes start like a safetensors file (a length, then a JSON object)."""
    return len(data) >= 9 and data[8] == 0x7B and struct.unpack_from("<Q", data)[0] < 1 << 48


def read_safetensors(mapped: MappedFile, limits: Limits) -> tuple[dict[str, LazyTensor], dict[str, str]]:
    """Lazy tensors by name, and the metadata of the header.

    Raises:
        LimitExceededError: the header is larger than ``limits.header_bytes``.
        CorruptFileError: the header is no JSON object of the format, or offsets overlap, leave gaps or go outside.
        WrongModelError: a number format that numpy has not.
    """
    (length,) = struct.unpack("<Q", mapped.slice(0, 8, "the safetensors header"))
    check(length, limits.header_bytes, "the length of the safetensors header in bytes", mapped.name)
    header = _header(mapped, bytes(mapped.slice(8, length, "the safetensors header")), limits)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CorruptFileError(f"{mapped.name}: the metadata of the safetensors header are no texts")
    check(len(header), limits.tensors, "the number of tensors", mapped.name)
    numbers = mapped.data[8 + length :]
    found: dict[str, LazyTensor] = {}
    spans: list[tuple[int, int]] = []
    for name, row in header.items():
        form, shape, begin, end = _row(mapped, name, row, len(numbers))
        storage = Storage(form, (end - begin) // form.bytes, numbers[begin:end], mapped.name)
        view = tensor(storage, shape, None, 0, mapped.name)
        if view.size * form.bytes != end - begin:
            raise CorruptFileError(f"{mapped.name}: the tensor '{printable(name, 80)}' does not fit its place")
        found[name] = view
        spans.append((begin, end))
    spans.sort()
    ends = [0, *(end for _, end in spans)]
    if [begin for begin, _ in spans] != ends[:-1] or ends[-1] != len(numbers):
        raise CorruptFileError(f"{mapped.name}: tensors overlap, leave gaps, or do not end with the file")
    return found, metadata


def _header(mapped: MappedFile, raw: bytes, limits: Limits) -> dict[str, Any]:
    budget = Budget(limits.nodes, "the number of values in its header", mapped.name)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        budget.spend(len(pairs))
        made = dict(pairs)
        if len(made) != len(pairs):
            raise CorruptFileError(f"{mapped.name}: a name stands twice in the safetensors header")
        return made

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{mapped.name}: the safetensors header is no valid JSON") from error
    if not isinstance(header, dict):
        raise CorruptFileError(f"{mapped.name}: the safetensors header is no JSON object")
    return header


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _row(mapped: MappedFile, name: str, row: Any, size: int) -> tuple[NumberFormat, list[int], int, int]:
    if not isinstance(row, dict) or set(row) != {"dtype", "shape", "data_offsets"}:
        raise CorruptFileError(f"{mapped.name}: the tensor '{printable(name, 80)}' is not described as the format asks")
    code, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    if not isinstance(code, str) or code not in _CODES:
        raise WrongModelError(
            f"{mapped.name}: the number format '{printable(str(code), 20)}' of '{printable(name, 80)}' is not supported"
        )
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise CorruptFileError(f"{mapped.name}: the tensor '{printable(name, 80)}' is not described as the format asks")
    begin, end = offsets
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= size:
        raise CorruptFileError(
            f"{mapped.name}: the tensor '{printable(name, 80)}' lies outside the file", hint="download it again"
        )
    return FORMATS[_CODES[code]], shape, begin, end


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
    *,
    store_as: Mapping[str, str] | str | None = None,
) -> None:
    """Write tensors atomically, one at a time, so that never more than one is in memory.

    Args:
        path: target; an existing file is replaced when the new one is complete.
        tensors: name to array. A tensor of a :class:`Tensors` that was stored as bfloat16 is stored so again.
        metadata: texts for the header.
        store_as: a format name of :data:`FORMATS` for all floating-point tensors, or one per name.

    Raises:
        OptionError: an array or a format that safetensors has not.
        OutputError: the file cannot be written.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    forms: dict[str, NumberFormat] = {}
    position = 0
    for name in tensors:
        form, shape = _target(tensors, name, store_as)
        length = int(np.prod(shape, dtype=np.int64)) * form.bytes
        header[name] = {"dtype": _NAMES[form.name], "shape": list(shape), "data_offsets": [position, position + length]}
        forms[name] = form
        position += length
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % _ALIGNMENT)
    with replacing(path) as beside, beside.open("wb") as handle:
        handle.write(struct.pack("<Q", len(text)) + text)
        for name, form in forms.items():
            handle.write(np.ascontiguousarray(encode(tensors[name], form)).data)


def _target(
    tensors: Mapping[str, Array], name: str, store_as: Mapping[str, str] | str | None
) -> tuple[NumberFormat, Any]:
    if name == "__metadata__":
        raise OptionError("a tensor cannot be called '__metadata__' in a safetensors file")
    if isinstance(tensors, Tensors):
        entry = tensors.entry(name)
        shape, held, floating = entry.shape, entry.stored, entry.dtype.kind == "f"
    else:
        array = np.asarray(tensors[name])
        shape, held, floating = array.shape, array.dtype.name, array.dtype.kind == "f"
    wanted = store_as if isinstance(store_as, str) else (store_as or {}).get(name, held)
    if isinstance(store_as, str) and not floating:
        wanted = held
    if wanted not in _NAMES:
        raise OptionError(f"'{name}' cannot be stored as {wanted}", hint=f"choose one of {', '.join(_NAMES)}")
    return FORMATS[wanted], shape


def encode(array: Array, form: NumberFormat) -> Array:
    """``array`` as the bytes of a number format; bfloat16 by rounding to nearest, ties to even, NaN kept."""
    if form.name != "bfloat16":
        return np.asarray(array).astype(form.stored, copy=False)
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4")
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return np.where(np.isnan(array), (bits >> 16).astype("<u2") | 0x40, rounded).astype("<u2")
