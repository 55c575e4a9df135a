"""``inspect``: what a weight file is, in words and as JSON; ``sovits models inspect FILE`` prints it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sovits.core.checkpoint import native
from sovits.core.checkpoint.kinds import Kind
from sovits.core.checkpoint.limits import DEFAULT, Limits
from sovits.core.checkpoint.reading import read
from sovits.core.checkpoint.value import Checkpoint
from sovits.core.hashing import file_hash

#: Settings worth showing, by their last name, in this order.
_HIGHLIGHTS = (
    "version",
    "info",
    "speech_encoder",
    "encoder",
    "vocoder_name",
    "sampling_rate",
    "sample_rate",
    "sr",
    "hop_length",
    "hop_size",
    "block_size",
    "ssl_dim",
    "encoder_out_channels",
    "gin_channels",
    "n_speakers",
    "n_spk",
    "iteration",
    "epoch",
    "global_step",
    "step",
    "learning_rate",
    "lora_rank",
    "n_layers",
    "n_layer",
    "embedding_dim",
    "semantic_frame_rate",
    "f0_min",
    "f0_max",
    "num_mels",
    "n_mels",
    "fmin",
    "fmax",
    "mel_fmin",
    "mel_fmax",
)
_TEXT = 120


@dataclass(frozen=True)
class Summary:
    """What is known about a file without reading its numbers.

    Attributes:
        path: the file.
        kind, title, purpose: what it is: stable name, in words, and what it is good for.
        version: as people call it; empty if there is only one.
        container, head: how it is packed.
        bytes, sha256: size and hash of the file.
        tensors, parameters: how many tensors, and numbers in them.
        formats: number format to tensors stored in it.
        facts: what names and shapes tell.
        settings: highlights of the config inside, by dotted name.
        hint: what a person should know before using it; empty if nothing.
    """

    path: str
    kind: str
    title: str
    purpose: str
    version: str
    container: str
    head: str
    bytes: int
    sha256: str
    tensors: int
    parameters: int
    formats: Mapping[str, int]
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    hint: str

    def to_json(self) -> str:
        """A JSON object with the attributes."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    def text(self) -> str:
        """Lines for a person, aligned."""
        packed = self.container + (f", head '{self.head}'" if self.head not in ("", "PK") else "")
        formats = ", ".join(f"{count} {name}" for name, count in self.formats.items())
        rows = [
            ("file", self.path),
            ("kind", f"{self.title}{f' {self.version}' if self.version else ''} [{self.kind}]"),
            ("for", self.purpose),
            ("format", f"{packed}, {self.bytes:,} bytes"),
            ("tensors", f"{self.tensors} ({formats}), {self.parameters:,} parameters" if self.tensors else "none"),
            *(
                (name.replace("_", " "), _shown(value))
                for name, value in self.facts.items()
                if value not in (None, "", [])
            ),
            *((name, _shown(value)) for name, value in self.settings.items()),
            ("sha256", self.sha256),
            *([("note", self.hint)] if self.hint else []),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def inspect(path: Path, *, limits: Limits = DEFAULT, config: Mapping[str, Any] | None = None) -> Summary:
    """Read a file and say what it is. An ONNX model is also loaded by onnxruntime, in a child process.

    Raises:
        PathError, CheckpointError: as :func:`~sovits.core.checkpoint.read`.
    """
    checkpoint = read(path, limits=limits, config=config)
    size = checkpoint.path.stat().st_size
    facts = dict(checkpoint.facts)
    if checkpoint.kind is Kind.ONNX:
        seen = native.check_onnx(checkpoint.path, size, limits, str(path))
        facts["inputs"], facts["outputs"] = ([_port(*row) for row in seen[name]] for name in ("inputs", "outputs"))
    entries = [checkpoint.tensors.entry(name) for name in checkpoint.tensors]
    return Summary(
        path=_safe(str(path)),
        kind=checkpoint.kind.value,
        title=checkpoint.kind.label,
        purpose=checkpoint.kind.purpose,
        version=checkpoint.version,
        container=checkpoint.container,
        head=checkpoint.head,
        bytes=size,
        sha256=file_hash(checkpoint.path),
        tensors=len(entries),
        parameters=sum(entry.size for entry in entries),
        formats=dict(Counter(entry.stored for entry in entries).most_common()),
        facts={name: _plain(value) for name, value in facts.items() if name != "note" and value not in (None, "", [])},
        settings=_highlights(checkpoint),
        hint=str(facts.get("note", "")) or _advice(checkpoint),
    )


def _port(name: str, kind: str, shape: list[str]) -> str:
    return f"{name}: {kind} [{', '.join(shape)}]"


def _advice(checkpoint: Checkpoint) -> str:
    if checkpoint.kind is Kind.UNKNOWN:
        names = ", ".join(_safe(name) for name in list(checkpoint.tensors)[:6])
        return f"the first names are: {names}" if names else "the file holds no tensors"
    if checkpoint.kind is Kind.RVC:
        return "RVC voices are not converted; train or download a so-vits-svc voice"
    return ""


def _highlights(checkpoint: Checkpoint) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, value in (*_scalars(checkpoint.config), *_scalars(checkpoint.fields, depth=1)):
        if name.rsplit(".", 1)[-1] in _HIGHLIGHTS:
            rows.setdefault(_safe(name), _plain(value))
    order = {name: place for place, name in enumerate(_HIGHLIGHTS)}
    return dict(sorted(rows.items(), key=lambda row: order[row[0].rsplit(".", 1)[-1]])[:24])


def _scalars(tree: Mapping[str, Any], prefix: str = "", depth: int = 3) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, (str, int, float, bool)):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping) and depth > 1:
            yield from _scalars(value, f"{prefix}{key}.", depth - 1)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _safe(value)
    if isinstance(value, Mapping):
        return {_safe(str(key)): _plain(item) for key, item in list(value.items())[:100]}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value[:100]]
    return value


def _safe(text: str) -> str:
    """At most one line of printable characters: texts in a file must not steer the terminal."""
    clean = "".join(letter if letter.isprintable() else "�" for letter in text)
    return clean if len(clean) <= _TEXT * 8 else clean[: _TEXT * 8] + "…"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {_shown(item)}" for key, item in value.items())
    elif isinstance(value, list):
        text = ", ".join(_shown(item) for item in value)
    else:
        text = str(value)
    return text if len(text) <= _TEXT else text[:_TEXT] + "…"
