"""F0 the way so-vits-svc hands it to its nets, for the methods that need no weights (spec section 5).

A net was trained on these very numbers, frame offsets and filled gaps included, so engines that run its checkpoints ask
here; everything else takes a :class:`~sovits.features.pitch.contour.Contour`, whose values lie at their stated times.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from sovits.audio.audio import Samples
from sovits.features.pitch import praat, world
from sovits.features.pitch.contour import Hz
from sovits.features.pitch.postprocess import (
    F0_MAX,
    F0_MIN,
    Compat,
    Floats,
    Singles,
    interpolate_unvoiced,
    resize_world,
)

Method = Literal["pm", "dio", "harvest"]


def svc_f0(
    samples: Samples,
    sample_rate: int,
    hop: int,
    method: Method,
    *,
    low: float = F0_MIN,
    high: float = F0_MAX,
    compat: Compat = "fixed",
) -> tuple[Floats, Singles]:
    """F0 and voiced flags of a piece of sound.

    Args:
        samples: mono float32 [time].
        compat: as in :func:`~sovits.features.pitch.postprocess.interpolate_unvoiced`.

    Returns:
        F0 in Hz with filled gaps, float64 [len(samples) // hop]; flags 0 or 1, float32 of the same length.
    """
    count = len(samples) // hop
    raw = (
        _praat(samples, sample_rate, hop, count, low, high)
        if method == "pm"
        else _world(samples, sample_rate, hop, count, method, low, high)
    )
    return interpolate_unvoiced(raw, compat=compat)


def _praat(samples: Samples, sample_rate: int, hop: int, count: int, low: float, high: float) -> Hz:
    """Praat's frames in the middle, zeros around them; where the zeros are odd in number, one more at the start."""
    settings = praat.Settings(low, high)
    found = praat.centred_track(samples, sample_rate, hop, settings)[:count]
    lead = (count - len(found) + 1) // 2
    return np.pad(found, (lead, count - len(found) - lead))


def _world(
    samples: Samples, sample_rate: int, hop: int, count: int, method: world.Method, low: float, high: float
) -> Hz:
    """WORLD's track, one value longer than wanted, squeezed to length; dio is rounded to a tenth of a hertz first."""
    found = world.raw_track(samples, sample_rate, hop, method, low, high)
    if method == "dio":
        found = np.round(found, 1)
    return resize_world(found, count)
