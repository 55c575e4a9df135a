"""What the door hands out: a :class:`Checkpoint` with lazy tensors, plain settings, and what the file is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sovits.core.checkpoint.indexes import IndexFacts
from sovits.core.checkpoint.kinds import Kind
from sovits.core.checkpoint.sniffing import Found, View, sniff
from sovits.core.checkpoint.tensors import LazyTensor, Tensors

#: Keys under which official files keep their state dict.
_MODEL_KEYS = ("weight", "model", "generator", "model_state_dict", "state_dict", "model_state")
_CONFIG_KEYS = ("config", "config_dict", "cfg", "dims", "hyper_parameters", "hps")


@dataclass(frozen=True)
class IndexPart:
    """A faiss index inside a file, found and checked but not yet parsed."""

    start: int
    length: int
    facts: IndexFacts


@dataclass(frozen=True)
class Checkpoint:
    """A weight file that was read.

    Attributes:
        path: the file.
        container: how it is packed, for example ``torch zip``.
        head: its first two characters where they say something (``PK``, ``05``), else empty.
        tensors: name to array; opened on access, mapped from the file.
        config: the settings that the file carries, plain values; empty if it has none.
        fields: everything else beside the tensors, plain values; tensors of an optimizer stay lazy.
        kind: what it is.
        version: its version as people call it; empty if there is only one.
        facts: widths, speaker counts, sample rate and so on, as far as names and shapes tell.
        indexes: retrieval indexes by speaker.
    """

    path: Path
    container: str
    head: str
    tensors: Tensors
    config: Mapping[str, Any]
    fields: Mapping[str, Any]
    kind: Kind
    version: str
    facts: Mapping[str, Any]
    indexes: Mapping[int | str, IndexPart] = field(default_factory=dict)


def assemble(
    path: Path,
    container: str,
    head: str,
    value: Any,
    start_of_file: Callable[[], bytes],
    *,
    config: Mapping[str, Any] | None = None,
    found: Found | None = None,
    indexes: Mapping[int | str, IndexPart] | None = None,
) -> Checkpoint:
    """Sort a tree of plain values into tensors, settings and the rest, and sniff what it is.

    Args:
        value: the tree; leaves may be :class:`LazyTensor`.
        start_of_file: gives the first 8192 bytes, by whose md5 base models of GPT-SoVITS are known.
        config: settings from a file beside it (``config.json``); they come before those inside.
        found: set if the kind is known already.
    """
    tensors, fields = _split(value)
    settings = config if config is not None else _settings(fields)

    def head_md5() -> str:
        return hashlib.md5(start_of_file(), usedforsecurity=False).hexdigest()

    table = Tensors(tensors)
    if found is None:
        found = sniff(View(table.shapes, fields, settings, head, head_md5))
    return Checkpoint(
        path, container, head, table, settings, fields, found.kind, found.version, found.facts, indexes or {}
    )


def flatten(value: Any, prefix: str = "") -> dict[str, LazyTensor]:
    """All lazy tensors in a tree of mappings and lists, named by the path to them, joined by dots."""
    if isinstance(value, LazyTensor):
        return {prefix or "value": value}
    if isinstance(value, Mapping):
        steps = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        steps = [(str(number), item) for number, item in enumerate(value)]
    else:
        return {}
    found: dict[str, LazyTensor] = {}
    for name, item in steps:
        found.update(flatten(item, f"{prefix}.{name}" if prefix else name))
    return found


def _split(value: Any) -> tuple[dict[str, LazyTensor], dict[str, Any]]:
    if not isinstance(value, Mapping):
        return flatten(value), {}
    for key in _MODEL_KEYS:
        inner = value.get(key)
        if isinstance(inner, Mapping) and any(isinstance(item, LazyTensor) for item in inner.values()):
            rest = {str(name): item for name, item in value.items() if name != key}
            return _unwrapped(flatten(inner)), rest
    tensors = flatten(value)
    rest = {str(name): item for name, item in value.items() if not isinstance(item, (LazyTensor, Mapping, list))}
    return _unwrapped(tensors), rest


def _unwrapped(tensors: dict[str, LazyTensor]) -> dict[str, LazyTensor]:
    """Without the ``module.`` that a data-parallel wrapper puts before every name."""
    if tensors and all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): item for name, item in tensors.items()}
    return tensors


def _settings(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in _CONFIG_KEYS:
        found = fields.get(key)
        if isinstance(found, Mapping) and found:
            return found
    return {}
