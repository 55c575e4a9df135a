"""Fades and windows that overlapping pieces are joined with. All are float32 and rise from 0 towards 1."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sovits.audio.audio import Samples

Fade = Literal["linear", "equal_power", "raised_cosine"]


def hann(length: int) -> Samples:
    """The periodic Hann window, ``sin^2(pi n / length)``: shifted by half its length it adds up to 1."""
    return np.square(np.sin(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)


def fade_in(length: int, shape: Fade) -> Samples:
    """The rising side of a cross-fade, float32 [length]; :func:`fade_out` is the falling one.

    * ``linear`` and ``raised_cosine`` add up to 1 with their fade-out: right for joins of like material (two renderings
      of one sound), whose amplitudes add.
    * ``equal_power`` adds up to 1 in squares: right for unlike material, whose powers add.

    Values are taken at the centres of the samples, so a fade and its reverse are complementary.
    """
    place = (np.arange(length) + 0.5) / max(length, 1)
    if shape == "linear":
        return place.astype(np.float32)
    rising = np.sin(0.5 * np.pi * place)
    return (np.square(rising) if shape == "raised_cosine" else rising).astype(np.float32)


def fade_out(length: int, shape: Fade) -> Samples:
    """The falling side: :func:`fade_in` reversed."""
    return fade_in(length, shape)[::-1]
