"""What is done with a raw F0 track before a net sees it: filling of gaps, change of length, bins, mel-scaled log F0.

All functions take and give plain arrays and follow the formulas of so-vits-svc (singing-conversion spec, sections 3
and 5), because the numbers of its nets depend on them. Where upstream has a bug, ``compat="upstream"`` reproduces it
and the default has it mended.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Compat = Literal["fixed", "upstream"]
#: How pitch becomes one of 256 bins: by so-vits-svc 4.1 or by 4.0.
CoarseRule = Literal["4.1", "4.0"]

F0_MIN, F0_MAX, BINS = 50.0, 1100.0, 256


def interpolate_unvoiced(hz: npt.ArrayLike, *, compat: Compat = "fixed") -> tuple[Floats, Singles]:
    """Fill the gaps of a track linearly over time; the ends hold the nearest voiced value (pm, dio, harvest).

    Args:
        hz: [frames], 0 where unvoiced.
        compat: upstream turns a track with one voiced frame into the constant ``hz[0]``, which is mostly 0 (F5).

    Returns:
        Filled F0, float64 [frames], all 0 if nothing is voiced; voiced flags 0 or 1, float32 [frames].
    """
    track = np.asarray(hz, np.float64)
    voiced = track > 0
    flags = voiced.astype(np.float32)
    places = np.flatnonzero(voiced)
    if len(places) == 0:
        return np.zeros(len(track)), flags
    if len(places) == 1 and compat == "upstream":
        return np.full(len(track), track[0]), flags
    return np.interp(np.arange(len(track)), places, track[places]), flags


def resize_world(hz: npt.ArrayLike, length: int) -> Floats:
    """Stretch a track to ``length`` values linearly; values that touch an unvoiced one become 0 (dio, harvest).

    Value ``i`` is read at ``i * len(hz) / length``, so a voiced stretch loses a value at its borders.

    Returns:
        float64 [length].
    """
    track = np.array(hz, np.float64)
    if len(track) == 0:
        return np.zeros(length)
    track[track < 0.001] = np.nan
    place = np.arange(length) * len(track) / length
    return np.nan_to_num(np.interp(place, np.arange(len(track)), track))


def stretch_nearest(track: npt.ArrayLike, length: int) -> Singles:
    """Stretch a track to ``length`` values by repetition: value ``i`` is ``track[floor(i * len(track) / length)]``.

    The step is rounded to float32, as torch does; no value is shifted beyond the last one.

    Returns:
        float32 [length].
    """
    values = np.asarray(track, np.float32)
    if len(values) == 0:
        return np.zeros(length, np.float32)
    step = np.float32(len(values) / max(length, 1))
    place = np.floor(np.arange(length, dtype=np.float32) * step).astype(np.int64)
    return np.asarray(values[np.minimum(place, len(values) - 1)])


def post_process(track: npt.ArrayLike, length: int) -> tuple[Floats, Singles]:
    """Nearest stretch of a 10 ms track, flags, then filled gaps (rmvpe, fcpe, crepe).

    Returns:
        F0 float64 [length] and flags float32 [length]; both 0 throughout if nothing is voiced.
    """
    return interpolate_unvoiced(stretch_nearest(track, length))


def median3(values: npt.ArrayLike) -> Singles:
    """Median of each value and its two neighbours along the last axis; NaN counts as missing.

    Of two values (at the ends, or beside a missing one) the lower; of none NaN.
    """
    middle = np.sort(_neighbours(values), axis=-1)  # NaN comes last
    count = np.sum(~np.isnan(middle), axis=-1, keepdims=True)
    place = np.maximum(count - 1, 0) // 2
    return np.asarray(np.take_along_axis(middle, place, axis=-1)[..., 0], np.float32)


def mean3(values: npt.ArrayLike) -> Singles:
    """Mean of each value and its two neighbours along the last axis; NaN counts as missing, of none NaN."""
    around = _neighbours(values)
    present = ~np.isnan(around)
    count = present.sum(axis=-1)
    total = np.where(present, around, 0).sum(axis=-1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _neighbours(values: npt.ArrayLike) -> Singles:
    """float32 [..., time, 3]: the value before, the value, the value after, NaN beyond the ends."""
    array = np.asarray(values, np.float32)
    edge = np.full((*array.shape[:-1], 1), np.nan, np.float32)
    padded = np.concatenate([edge, array, edge], axis=-1)
    return np.asarray(np.stack([padded[..., :-2], padded[..., 1:-1], padded[..., 2:]], axis=-1))


def coarse_bins(hz: npt.ArrayLike, rule: CoarseRule = "4.1") -> npt.NDArray[np.int64]:
    """Pitch as one of 256 bins on the mel scale from 50 to 1100 Hz; 0 Hz is bin 1.

    Args:
        hz: any shape.
        rule: ``4.1`` rounds half to even and puts pitches above about 1102 Hz into bin 0 (numbers depend on it, K1);
            ``4.0`` rounds half up and keeps them at 255.

    Returns:
        int64 of the same shape.
    """
    low, high = (1127 * math.log(1 + edge / 700) for edge in (F0_MIN, F0_MAX))
    scale = np.float32((BINS - 2) / (high - low))
    mel = np.float32(1127) * np.log(1 + np.asarray(hz, np.float32) / np.float32(700))
    place = np.where(mel > 0, mel * scale - np.float32((BINS - 2) / (high - low) * low - 1), mel)
    if rule == "4.0":
        return np.asarray(np.clip(np.floor(place + 0.5), 1, BINS - 1), np.int64)
    bins = np.asarray(np.maximum(np.rint(place), 1), np.int64)
    return np.asarray(np.where(bins >= BINS, 0, bins))


def log_f0(hz: npt.ArrayLike) -> Singles:
    """Mel-scaled log F0, ``2595 log10(1 + hz / 700) / 500``; float32 of the same shape."""
    return np.asarray(np.float32(2595) * np.log10(1 + np.asarray(hz, np.float32) / 700) / np.float32(500), np.float32)


def hz_of(lf0: npt.ArrayLike) -> Singles:
    """The inverse of :func:`log_f0`: ``700 (10 ** (500 lf0 / 2595) - 1)``; may be negative."""
    return np.asarray(700 * (np.float32(10) ** (np.asarray(lf0, np.float32) * 500 / 2595) - 1), np.float32)


def normalise_lf0(lf0: Singles, voiced: npt.ArrayLike, mask: npt.ArrayLike, factor: npt.ArrayLike = 1.0) -> Singles:
    """Log F0 less its mean over voiced frames, times ``factor``; frames outside ``mask`` are 0 (spec W3).

    Unvoiced frames inside are kept. Without a voiced frame the mean is 0.

    Args:
        lf0: float32 [batch, 1, frames].
        voiced: flags [batch, frames]; they alone decide over the mean, not the mask.
        mask: valid frames, [batch, 1, frames].
        factor: a number, or one for each row of the batch: [batch].

    Returns:
        float32 [batch, 1, frames].
    """
    flags = np.asarray(voiced, np.float32)[:, None, :]
    count = flags.sum(axis=-1, keepdims=True)
    mean = (lf0 * flags).sum(axis=-1, keepdims=True) / np.where(count == 0, 9999, count)
    scale = np.asarray(factor, np.float32).reshape(-1, 1, 1)
    return np.asarray((lf0 - mean) * scale * np.asarray(mask, np.float32), np.float32)
