"""Official so-vits-svc files from official files: compressed for release, or several models blended into one.

Both work on the tensors alone, so they need no GPU; writing the official container needs torch (spec section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sovits.core import checkpoint
from sovits.core.atomic import replacing
from sovits.core.checkpoint import Checkpoint, Kind
from sovits.core.errors import OptionError, WrongModelError

MixMode = Literal["convex", "linear"]
Array = npt.NDArray[Any]

#: Tensors that only training needs; released files lack them.
TRAINING_ONLY = "enc_q"
RELEASE_RATE = 1e-4
#: Where the original writes a blend, in the working directory (F41); ours goes where the user says.
UPSTREAM_BLEND = "output.pth"


def read_generator(path: Path) -> Checkpoint:
    """An official generator file.

    Raises:
        WrongModelError: the file is something else.
    """
    found = checkpoint.read(path)
    if found.kind is not Kind.SVC:
        raise WrongModelError(
            f"{path} is not a so-vits-svc generator but: {found.kind.label}", hint="give a G_*.pth file"
        )
    return found


def compress(model: Path, config: Mapping[str, Any], output: Path, *, half: bool = False) -> None:
    """Write a release file: without ``enc_q``, optionally in half precision, with the state of a fresh optimizer.

    Args:
        config: the parsed ``config.json``; the optimizer's settings are read from it.
    """
    import torch

    from sovits.nets.svc.config import SvcConfig
    from sovits.nets.svc.synthesizer import Synthesizer

    found = read_generator(model)
    kept = {name: np.array(found.tensors[name]) for name in found.tensors if TRAINING_ONLY not in name}
    if half:
        kept = {name: value.astype(np.float16) for name, value in kept.items()}
    train = config.get("train", {})
    fresh = torch.optim.AdamW(
        Synthesizer(SvcConfig.from_official(config, str(model))).parameters(),
        lr=float(train.get("learning_rate", RELEASE_RATE)),
        betas=tuple(train.get("betas", (0.8, 0.99))),
        eps=float(train.get("eps", 1e-9)),
    )
    save(output, kept, {"iteration": 0, "optimizer": fresh.state_dict(), "learning_rate": RELEASE_RATE})


def shares(percents: Sequence[float], mode: MixMode) -> list[float]:
    """What each model contributes: ``percent / 100`` (linear), or the softmax of that (convex, sums to one)."""
    raw = np.asarray(percents, np.float64) / 100
    if mode == "linear":
        return [float(value) for value in raw]
    weights = np.exp(raw - raw.max())
    return [float(value) for value in weights / weights.sum()]


def blend(models: Sequence[tuple[Path, float]], output: Path, *, mode: MixMode = "convex") -> None:
    """Write the weighted sum of several generators; everything beside the tensors comes from the first file.

    Args:
        models: files and their percents.

    Raises:
        OptionError: fewer than two models.
        WrongModelError: models of different sizes; the first tensors that differ are named.
    """
    if len(models) < 2:
        raise OptionError("a blend needs at least two models", hint="give two or more files with their percents")
    found = [read_generator(path) for path, _ in models]
    first = found[0]
    for other in found[1:]:
        differing = [
            name
            for name in dict.fromkeys([*first.tensors, *other.tensors])
            if first.tensors.shapes.get(name) != other.tensors.shapes.get(name)
        ]
        if differing:
            raise WrongModelError(
                f"{first.path} and {other.path} differ in {len(differing)} tensors: {', '.join(differing[:6])}",
                hint="only models with the same 'model' section in their configs can be blended",
            )
    weights = shares([percent for _, percent in models], mode)
    mixed = {name: _weighted([item.tensors[name] for item in found], weights) for name in first.tensors}
    fields = {name: first.fields.get(name) for name in ("iteration", "optimizer", "learning_rate")}
    save(output, mixed, fields)


def _weighted(arrays: Sequence[Array], weights: Sequence[float]) -> Array:
    total = sum(
        np.asarray(array, np.float32) * np.float32(weight) for array, weight in zip(arrays, weights, strict=True)
    )
    return np.asarray(total, np.asarray(arrays[0]).dtype)


def save(output: Path, tensors: Mapping[str, Array], fields: Mapping[str, Any]) -> None:
    """Write an official file atomically: the tensors under ``model``, then the other fields."""
    import torch

    model = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}
    with replacing(output) as beside:
        torch.save({"model": model, **_materialised(fields)}, beside)


def _materialised(value: Any) -> Any:
    """Lazy tensors of optimizer states become torch tensors; containers are walked."""
    import torch

    if isinstance(value, checkpoint.LazyTensor):
        return torch.from_numpy(np.array(value.open()))
    if isinstance(value, Mapping):
        return {name: _materialised(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_materialised(item) for item in value]
    return value
