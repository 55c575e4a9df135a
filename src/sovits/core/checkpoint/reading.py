"""``read``: open any weight file by its content, never by its suffix, without running what is in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sovits.core.checkpoint import arrays, indexes, onnx, safetensors, torchlegacy
from sovits.core.checkpoint.containers import Foreign, Table, plain
from sovits.core.checkpoint.kinds import Kind
from sovits.core.checkpoint.limits import DEFAULT, Limits
from sovits.core.checkpoint.mapped import MappedFile, open_mapped
from sovits.core.checkpoint.pickles import Budgets, Machine
from sovits.core.checkpoint.sniffing import Found
from sovits.core.checkpoint.tensors import LazyTensor
from sovits.core.checkpoint.torchzip import read_torch_zip
from sovits.core.checkpoint.value import Checkpoint, IndexPart, assemble
from sovits.core.checkpoint.zips import HEADS, Zip
from sovits.core.errors import CorruptFileError, UnsafeFileError, WrongModelError

_COMPRESSED = (
    b"\x1f\x8b",
    b"\x78\x01",
    b"\x78\x5e",
    b"\x78\x9c",
    b"\x78\xda",
    b"BZh",
    b"\xfd7zXZ",
    b"\x04\x22\x4d\x18",
)
_OLD_PICKLE = re.compile(rb"[(\]}l]*\x00?(c|i)[\w.]+\n[\w.]+\n")


def read(path: Path, *, limits: Limits = DEFAULT, config: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read a ``.pth .pt .ckpt .safetensors .onnx .pkl .index .npy .npz`` file.

    Tensors stay in the file until they are asked for. No code in the file is run and torch is not needed.

    Args:
        path: the file.
        limits: how large it and its parts may be.
        config: settings from the ``config.json`` beside it; they decide what tensors cannot (4.0 or 4.1).

    Raises:
        PathError: missing, a folder, or not readable.
        UnsafeFileError: it asks for code, holds objects, or refers outside itself.
        CorruptFileError: truncated, damaged, or no weight file.
        LimitExceededError: larger than the limits.
        WrongModelError: readable, but of a format that is not supported (big-endian, exotic numbers).
    """
    mapped = open_mapped(Path(path), limits)
    return _open(mapped, limits, config)


def read_indexes(path: Path, *, limits: Limits = DEFAULT) -> dict[int | str, indexes.RetrievalIndex]:
    """The retrieval indexes of a ``.pkl`` or ``.index`` file by speaker id (0 for a lone index), as plain arrays.

    Raises:
        WrongModelError: the file holds no index.
        CheckpointError: as :func:`read`.
    """
    checkpoint = read(path, limits=limits)
    if checkpoint.kind is not Kind.RETRIEVAL:
        raise WrongModelError(f"{path} holds no retrieval index, it is: {checkpoint.kind.label}")
    mapped = open_mapped(Path(path), limits)
    return {
        key: indexes.parse_index(mapped.slice(part.start, part.length, "an index"), f"{path} (speaker {key})")
        for key, part in checkpoint.indexes.items()
    }


def _open(mapped: MappedFile, limits: Limits, config: Mapping[str, Any] | None) -> Checkpoint:
    data, path = mapped.data, mapped.path

    def made(container: str, value: Any, head: str = "", **more: Any) -> Checkpoint:
        return assemble(path, container, head, value, lambda: bytes(data[:8192]), config=config, **more)

    start = bytes(data[:8])
    if start[2:4] == b"\x03\x04" and (start[:2] == b"PK" or start[:2].isdigit()):
        head = start[:2].decode("ascii")
        if head != "PK" and head not in HEADS:
            raise CorruptFileError(f"{mapped.name} starts with '{head}', a version that is not known")
        archive = Zip(mapped, limits)
        if arrays.is_npz(archive):
            return made("npz", arrays.read_npz(mapped, archive))
        return made("torch zip", plain(read_torch_zip(mapped, archive, limits), limits, mapped.name), head)
    if torchlegacy.is_legacy(data):
        return made("torch legacy", plain(torchlegacy.read_torch_legacy(mapped, limits), limits, mapped.name))
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _plain_pickle(mapped, limits, made)
    if start[:6] == arrays.MAGIC:
        return made("npy", arrays.read_npy(data, mapped.name), found=Found(Kind.ARRAYS))
    if safetensors.is_safetensors(data):
        return _safetensors(mapped, limits, made)
    if indexes.is_index(data):
        part = IndexPart(0, mapped.size, indexes.check_index(data, mapped.name))
        return made("faiss", {}, found=_retrieval({0: part}), indexes={0: part})
    if onnx.is_onnx(data):
        facts = onnx.walk_onnx(data, limits, mapped.name)
        shown = {"inputs": facts.inputs, "outputs": facts.outputs, "nodes": facts.nodes, "opsets": facts.opsets}
        shown |= {"producer": facts.producer, "ir_version": facts.ir_version}
        return made("onnx", {**facts.metadata, "model": facts.tensors}, found=Found(Kind.ONNX, "", shown))
    if torchlegacy.is_tar(data):
        return made("torch tar", plain(torchlegacy.read_torch_tar(mapped, limits), limits, mapped.name))
    raise _refusal(mapped, limits)


def _plain_pickle(mapped: MappedFile, limits: Limits, made: Any) -> Checkpoint:
    machine = Machine(mapped.data, 0, Table(mapped.name).find, None, Budgets(limits, mapped.name), mapped.name)
    value = plain(machine.run(), limits, mapped.name)
    if machine.position != mapped.size:
        raise CorruptFileError(f"{mapped.name}: something follows the pickle")
    found = {0: value} if isinstance(value, Foreign) else value
    if isinstance(found, dict) and found and all(isinstance(item, Foreign) for item in found.values()):
        parts = {key: _part(mapped, item) for key, item in found.items() if isinstance(key, (int, str))}
        checkpoint: Checkpoint = made("pickle", {}, found=_retrieval(parts), indexes=parts)
        return checkpoint
    if isinstance(value, (dict, list, tuple, LazyTensor)):
        checkpoint = made("pickle", value)
        if any(isinstance(item, Foreign) for item in checkpoint.fields.values()):
            raise CorruptFileError(f"{mapped.name}: an index among other values")
        return checkpoint
    raise CorruptFileError(f"{mapped.name} is a pickle without tensors")


def _part(mapped: MappedFile, item: Foreign) -> IndexPart:
    """Where in the file the bytes of a pickled index lie (long byte strings are views of the file)."""
    data = item.state.get("this")
    if set(item.state) != {"this"} or not isinstance(data, memoryview):
        raise CorruptFileError(f"{mapped.name}: an index without its bytes")
    facts = indexes.check_index(data, mapped.name)
    base, inside = np.frombuffer(mapped.data, np.uint8), np.frombuffer(data, np.uint8)
    return IndexPart(inside.ctypes.data - base.ctypes.data, len(data), facts)


def _retrieval(parts: Mapping[int | str, IndexPart]) -> Found:
    first = next(iter(parts.values())).facts
    facts = {
        "speakers": list(parts),
        "content_width": first.width,
        "vectors": {str(key): part.facts.count for key, part in parts.items()},
        "lists": {str(key): part.facts.lists for key, part in parts.items()},
        "index": first.kind,
    }
    return Found(Kind.RETRIEVAL, "", facts)


def _safetensors(mapped: MappedFile, limits: Limits, made: Any) -> Checkpoint:
    tensors, metadata = safetensors.read_safetensors(mapped, limits)
    checkpoint: Checkpoint = made("safetensors", {**metadata, "model": tensors})
    return checkpoint


def _refusal(mapped: MappedFile, limits: Limits) -> Exception:
    start = bytes(mapped.data[:256])
    if start.startswith(_COMPRESSED):
        return UnsafeFileError(
            f"{mapped.name} is compressed (joblib or similar); what is inside would be code", hint="unpack it first"
        )
    if _OLD_PICKLE.match(start):
        machine = Machine(mapped.data, 0, Table(mapped.name).find, None, Budgets(limits, mapped.name), mapped.name)
        try:
            machine.run()
        except UnsafeFileError as error:
            return error
    if start.startswith(b"version https://git-lfs"):
        return CorruptFileError(f"{mapped.name} is a placeholder of Git LFS", hint="run: git lfs pull")
    if start.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")):
        return CorruptFileError(
            f"{mapped.name} is a web page, not a weight file", hint="the download failed; try again"
        )
    return CorruptFileError(
        f"{mapped.name} is no weight file of a known format",
        hint="known: torch (.pth .pt .ckpt), safetensors, onnx, faiss and k-means (.pkl .index), npy, npz",
    )
