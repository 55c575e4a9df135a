"""The files of a voice: how they are called in an imported one, and by which suffixes they are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Suffixes that count as clips when a folder is given as a voice.
CLIP_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aiff", ".aif"})
#: Suffixes under which trained models lie; what a file is, its content decides.
WEIGHT_SUFFIXES = frozenset({".pth", ".pt", ".ckpt", ".safetensors"})
#: Suffixes of retrieval indexes.
INDEX_SUFFIXES = frozenset({".pkl", ".index"})
#: Names inside the folder of an imported voice.
MODEL, CONFIG, CLUSTERS = "model.safetensors", "config.json", "kmeans.safetensors"
DIFFUSION, DIFFUSION_CONFIG = "diffusion.safetensors", "diffusion.yaml"
INDEXES = ("retrieval.pkl", "retrieval.index")


@dataclass(frozen=True)
class ModelFiles:
    """The files of a trained so-vits-svc voice; each is read by content, so ``.pth`` and ``.safetensors`` both do.

    Attributes:
        weights, config: the generator and its ``config.json``.
        diffusion, diffusion_config: shallow diffusion and its YAML, both or none.
        clusters: k-means centres.
        index: retrieval indexes by speaker id.
    """

    weights: Path
    config: Path
    diffusion: Path | None = None
    diffusion_config: Path | None = None
    clusters: Path | None = None
    index: Path | None = None


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and its sub-folders in sorted order; hidden ones, and those in hidden folders, are left out."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def has_weights(folder: Path) -> bool:
    """Whether a file below a folder looks like a trained model."""
    return any(path.suffix.lower() in WEIGHT_SUFFIXES for path in files_below(folder))
