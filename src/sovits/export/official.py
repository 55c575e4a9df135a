"""Official so-vits-svc files from official files: compressed for release, or several models blended into one.

Both work on the tensors alone (spec section 2). torch is needed for the state of a fresh optimizer only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sovits.core.checkpoint import Kind
from sovits.core.checkpoint.torchwriting import write_torch
from sovits.core.device import without_numbers
from sovits.core.errors import OptionError, WrongModelError
from sovits.zoo.building import generator_config, open_kind, sizes_of

if TYPE_CHECKING:
    from sovits.nets.svc.config import SvcConfig

MixMode = Literal["convex", "linear"]
Array = npt.NDArray[Any]

#: Tensors that only training needs; released files lack them.
TRAINING_ONLY = "enc_q"
RELEASE_RATE = 1e-4
#: Where the original writes a blend, in the working directory (F41); ours goes where the user says.
UPSTREAM_BLEND = "output.pth"


def compress(
    model: Path, config: Mapping[str, Any], output: Path, *, half: bool = False, source: str = "config.json"
) -> None:
    """Write a release file: without ``enc_q``, optionally in half precision, with the state of a fresh optimizer.

    Args:
        config: the parsed ``config.json``, called ``source`` in messages; the optimizer's settings are read from it.

    Raises:
        WrongModelError: the file is something else, or the config belongs to another model.
    """
    found = open_kind(model, Kind.SVC, config=config)
    kept: dict[str, Any] = {name: found.tensors.entry(name) for name in found.tensors if TRAINING_ONLY not in name}
    if half:
        kept = {name: np.asarray(found.tensors[name], np.float16) for name in kept}
    with sizes_of(source):
        optimizer = _fresh_optimizer(generator_config(found, config, source), config.get("train") or {})
    write_torch(output, {"model": kept, "iteration": 0, "optimizer": optimizer, "learning_rate": RELEASE_RATE})


def _fresh_optimizer(sizes: SvcConfig, train: Mapping[str, Any]) -> dict[str, Any]:
    """The state of an optimizer that has not seen a step: its settings, and how many parameters it has."""
    import torch

    from sovits.nets.svc.synthesizer import Synthesizer

    with without_numbers():
        net = Synthesizer(sizes)
    return torch.optim.AdamW(
        net.parameters(),
        lr=float(train.get("learning_rate", RELEASE_RATE)),
        betas=tuple(train.get("betas", (0.8, 0.99))),
        eps=float(train.get("eps", 1e-9)),
    ).state_dict()


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
    found = [open_kind(path, Kind.SVC) for path, _ in models]
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
    write_torch(output, {"model": mixed, **fields})


def _weighted(arrays: Sequence[Array], weights: Sequence[float]) -> Array:
    total = sum(
        np.asarray(array, np.float32) * np.float32(weight) for array, weight in zip(arrays, weights, strict=True)
    )
    return np.asarray(total, np.asarray(arrays[0]).dtype)
