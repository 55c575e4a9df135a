"""What the neural trackers share: windows over long recordings, the cents scale, loading of official weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sovits.audio.audio import Samples
from sovits.core import checkpoint
from sovits.core.device import Compute, openmp_limit, without_numbers
from sovits.core.errors import MissingWeightsError, OptionError, WrongModelError
from sovits.core.windows import Window
from sovits.features.pitch.contour import Hz
from sovits.options.pitch import PitchOptions

#: All three nets listen at this rate in Hz and give one value per 10 ms (CREPE: as often as asked).
RATE = 16000
HOP = 160
#: Reference of the cents scale in Hz: f = 10 * 2 ** (cents / 1200).
REFERENCE_HZ = 10.0

Cents = npt.NDArray[np.float64]


def windows(frames: int, core: int, margin: int) -> Iterator[Window]:
    """Cover ``frames`` by pieces of ``core`` frames, each heard with ``margin`` frames more on both sides.

    A recording that fits in one piece with its margins is done in one shot.
    """
    if frames <= core + 2 * margin:
        yield Window(0, frames, 0, frames)
        return
    for first in range(0, frames, core):
        last = min(first + core, frames)
        yield Window(max(0, first - margin), min(frames, last + margin), first, last)


def cents_to_hz(cents: Cents) -> Hz:
    """Cents above 10 Hz to Hz."""
    return np.asarray(REFERENCE_HZ * 2.0 ** (cents / 1200.0))


def inside(cents: Cents, options: PitchOptions) -> npt.NDArray[np.bool_]:
    """Which bins of an evenly spaced cents table lie in the range of the options, to half a bin.

    Raises:
        OptionError: none does.
    """
    half = 0.5 * float(cents[1] - cents[0])
    low, high = 1200.0 * np.log2(np.array([options.f0_min, options.f0_max]) / REFERENCE_HZ)
    allowed = np.asarray((cents >= low - half) & (cents <= high + half))
    if not allowed.any():
        lowest, highest = cents_to_hz(cents[[0, -1]])
        raise OptionError(
            f"pitch predictor '{options.method}' hears {lowest:.1f} to {highest:.1f} Hz, "
            f"asked for {options.f0_min} to {options.f0_max} Hz",
            hint="widen f0_min and f0_max, or choose another method",
        )
    return allowed


@contextlib.contextmanager
def computing(compute: Compute) -> Iterator[None]:
    """Inference with the threads of ``compute``, on a GPU in its number format; parameters stay float32.

    On a CPU the nets that were arranged for it (``nets.serving``) know their number format themselves.
    """
    on_cpu = compute.kind == "cpu"
    threads = min(compute.threads, openmp_limit())
    if on_cpu and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if compute.kind == "cuda" and not torch.backends.cudnn.deterministic:
        # Same seed, same bytes: some ways to compute a transposed convolution add up in any order.
        torch.backends.cudnn.deterministic = True
    mixed = not on_cpu and compute.dtype != torch.float32
    with torch.inference_mode(), torch.autocast(compute.kind, compute.dtype) if mixed else contextlib.nullcontext():
        yield


def at_least(samples: Samples, length: int) -> Samples:
    """``samples``, as torch takes arrays (copied if read-only), with silence after them up to ``length``."""
    if len(samples) >= length:
        return np.require(samples, requirements=["C", "W"])
    return np.pad(samples, (0, length - len(samples)))


def local_mean(
    salience: npt.NDArray[np.float32],
    centre: npt.NDArray[np.int64],
    cents: Cents,
    *,
    radius: int = 4,
    repeat: bool = False,
) -> Cents:
    """Salience-weighted mean of cents within ``radius`` bins of ``centre``.

    Args:
        salience: float32 [frames, bins].
        centre: int64 [frames].
        cents: float64 [bins].
        repeat: what happens past the ends of the table: the last bin counts again, or nothing is there.

    Returns:
        float64 [frames]; 0 where all weights are 0.
    """
    bins = salience.shape[1]
    index = centre[:, None] + np.arange(-radius, radius + 1)
    near = np.clip(index, 0, bins - 1)
    weights = np.take_along_axis(salience, near, axis=1).astype(np.float64)
    if not repeat:
        weights = np.where(index == near, weights, 0.0)
    return np.asarray((weights * cents[near]).sum(axis=1) / np.maximum(weights.sum(axis=1), np.finfo(np.float64).tiny))


Net = TypeVar("Net", bound=nn.Module)


def loaded(build: Callable[[], Net], tensors: Mapping[str, Tensor], name: str) -> Net:
    """Build a net without drawing random numbers and give it exactly these parameters, ready for inference.

    Raises:
        WrongModelError: names or shapes differ; the message tells the first few.
    """
    with without_numbers():
        net = build()
    wanted = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in tensors.items()}
    counters = {key for key in wanted.keys() - given.keys() if key.endswith("num_batches_tracked")}
    problems = [
        *(f"{key} is missing" for key in wanted if key not in given and key not in counters),
        *(f"{key} is not part of the net" for key in given if key not in wanted),
        *(f"{key} is {given[key]}, not {wanted[key]}" for key in given if given[key] != wanted.get(key, given[key])),
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WrongModelError(f"these are not the weights of {name}: {'; '.join(problems[:3])}{more}")
    state = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    state |= {key: torch.zeros((), dtype=torch.long) for key in counters}  # only training reads these
    net.load_state_dict(state, strict=True, assign=True)
    return net.eval().requires_grad_(False)


@dataclass(frozen=True)
class Official:
    """What an official file holds: the net's own tensors, without a wrapper's prefix, and the configuration."""

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]


def official(weights: Path | None, name: str) -> Official:
    """Read an official weight file through the one door.

    Raises:
        MissingWeightsError: no path given.
        CheckpointError: the file cannot be read, or is known to hold another net.
    """
    if weights is None:
        raise MissingWeightsError(f"the pitch tracker '{name}' needs its weight file", hint="see: sovits doctor")
    found = checkpoint.read(weights)
    if found.kind not in (name, checkpoint.Kind.UNKNOWN):
        raise WrongModelError(f"{weights} is a file of another kind: {found.kind.label}, wanted the weights of {name}")
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in found.tensors.items()}
    return Official(tensors, found.config)
