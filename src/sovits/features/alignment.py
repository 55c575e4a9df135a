"""Content features at their own frame rate -> one column per F0 value (so-vits-svc spec, section 4, "Stretch")."""

from __future__ import annotations

import numpy as np

from sovits.core.errors import OptionError
from sovits.core.rng import FloatArray, IntArray

#: Names that configs use for the stretch, as ``unit_interpolate_mode``; a config without one means the first.
MODES = ("left", "nearest", "linear")


def stretch(units: FloatArray, length: int, mode: str = "left") -> FloatArray:
    """Stretch units to ``length`` columns.

    Args:
        units: float32 [dim, frames].
        mode: one of :data:`MODES`.

    Returns:
        float32 [dim, length].

    Raises:
        OptionError: an unknown mode, or no frame to stretch.
    """
    frames = units.shape[1]
    if mode not in MODES:
        raise OptionError(f"unknown unit_interpolate_mode '{mode}'", hint=f"known: {', '.join(MODES)}")
    if frames == 0:
        raise OptionError("there is no content frame to stretch: the piece of sound is too short")
    if mode == "linear":
        return _linear(units, length)
    places = left_places(frames, length) if mode == "left" else nearest_places(frames, length)
    return np.ascontiguousarray(units[:, places])


def left_places(frames: int, length: int) -> IntArray:
    """The source frame of each column in the mode "left", int64 [length].

    The walk moves on by at most one frame per column, so when it has to shrink it lags behind and never catches up;
    models were trained on that, so it is kept (K2).
    """
    edges = np.arange(frames + 1, dtype=np.float32) * np.float32(length) / np.float32(frames)
    places = np.empty(length, np.int64)
    current = 0
    for column in range(length):
        if current + 1 < frames and column >= edges[current + 1]:
            current += 1
        places[column] = current
    return places


def nearest_places(frames: int, length: int) -> IntArray:
    """The source frame of each column in the mode "nearest": floor(column * frames / length), step in float32."""
    step = np.float32(frames) / np.float32(max(length, 1))
    places = np.floor(np.arange(length, dtype=np.float32) * step).astype(np.int64)
    return np.asarray(np.minimum(places, frames - 1))


def _linear(units: FloatArray, length: int) -> FloatArray:
    """Linear interpolation with the centres of cells aligned, edge values held."""
    frames = units.shape[1]
    place = np.maximum((np.arange(length) + 0.5) * (frames / max(length, 1)) - 0.5, 0.0)
    left = np.minimum(place.astype(np.int64), frames - 1)
    right = np.minimum(left + 1, frames - 1)
    part = (place - left).astype(np.float32)
    return np.asarray(units[:, left] * (1 - part) + units[:, right] * part, np.float32)
