"""The files of a so-vits-svc voice, and how they are found in a folder laid out by upstream, by a fork or by a user."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sovits.core import checkpoint
from sovits.core.checkpoint import Kind
from sovits.core.errors import CheckpointError, PathError, VoiceError
from sovits.zoo.layout import INDEX_SUFFIXES, WEIGHT_SUFFIXES, files_below

#: How deep below the folder files are looked for: ``logs/44k/diffusion/model_0.pt``.
_DEPTH = 3
_MOST = 200


@dataclass(frozen=True)
class SvcFiles:
    """Where the parts of a voice lie; what is ``None`` it does not have.

    Attributes:
        model, config: the generator and its ``config.json``.
        diffusion, diffusion_config: Unit2Mel and its ``config.yaml``.
        clusters: k-means centres. ``index``: retrieval index.
    """

    model: Path | None = None
    config: Path | None = None
    diffusion: Path | None = None
    diffusion_config: Path | None = None
    clusters: Path | None = None
    index: Path | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> SvcFiles:
        """Look at what the files are, not at what they are called; of several the highest number in the name wins.

        Raises:
            PathError: no such folder.
            VoiceError: neither a generator nor a diffusion model in it.
        """
        if not folder.is_dir():
            raise PathError(f"no such folder: {folder}", hint="give the folder of a voice")
        kinds: dict[Kind, list[Path]] = {}
        broken: list[str] = []
        for path in _weight_files(folder):
            try:
                kinds.setdefault(checkpoint.read(path).kind, []).append(path)
            except CheckpointError as error:
                broken.append(str(error))

        def newest(kind: Kind) -> Path | None:
            return max(kinds.get(kind, []), key=lambda path: (_number(path), path.name), default=None)

        model, diffusion = newest(Kind.SVC), newest(Kind.SVC_DIFFUSION)
        if model is None and diffusion is None:
            found = ", ".join(sorted({kind.label for kind in kinds})) or "no weight file"
            raise VoiceError(
                f"{folder} holds no so-vits-svc model; it holds: {found}" + "".join(f"; {text}" for text in broken),
                hint="put the model (G_*.pth) and its config.json into it",
            )
        return cls(
            model,
            _beside(model, folder, ("config.json", "*.json")) if model else None,
            diffusion,
            _beside(diffusion, folder, ("config.yaml", "diffusion.yaml", "*.yaml", "*.yml")) if diffusion else None,
            newest(Kind.KMEANS),
            newest(Kind.RETRIEVAL),
        )


def _weight_files(folder: Path) -> list[Path]:
    found = (
        path
        for path in files_below(folder)
        if path.suffix.lower() in WEIGHT_SUFFIXES | INDEX_SUFFIXES and len(path.relative_to(folder).parts) <= _DEPTH
    )
    return list(islice(found, _MOST))


def _number(path: Path) -> int:
    """The last number in a file's name ("G_37600.pth"), -1 without one. Upstream joins ALL digits of the path."""
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else -1


def _beside(model: Path, folder: Path, patterns: tuple[str, ...]) -> Path:
    """The config that belongs to a model: in its folder, or in one above it up to the voice's.

    Raises:
        PathError: there is none.
    """
    place = model.parent
    while True:
        for pattern in patterns:
            if found := sorted(place.glob(pattern)):
                return found[0]
        if place in (folder, place.parent):
            raise PathError(f"there is no {patterns[0]} beside {model}", hint="put the config that belongs to it there")
        place = place.parent
