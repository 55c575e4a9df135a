"""Mel filter banks by formula: triangles of equal area on the Slaney or the HTK mel scale."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

MelScale = Literal["slaney", "htk"]
Values = npt.NDArray[np.float64]

# Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz at 3 mel per 200 Hz, then 27 steps per factor of 6.4.
_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_CORNER_HZ = 1000.0
_CORNER_MEL = _CORNER_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: npt.ArrayLike, scale: MelScale) -> Values:
    """Frequencies in Hz to mel; any shape."""
    values = np.asarray(hz, np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + values / 700.0)
    above = _CORNER_MEL + np.log(np.maximum(values, _CORNER_HZ) / _CORNER_HZ) / _LOG_STEP
    return np.where(values < _CORNER_HZ, values / _LINEAR_HZ_PER_MEL, above)


def mel_to_hz(mel: npt.ArrayLike, scale: MelScale) -> Values:
    """The inverse of :func:`hz_to_mel`."""
    values = np.asarray(mel, np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (values / 2595.0) - 1.0)
    above = _CORNER_HZ * np.exp(_LOG_STEP * (np.maximum(values, _CORNER_MEL) - _CORNER_MEL))
    return np.where(values < _CORNER_MEL, values * _LINEAR_HZ_PER_MEL, above)


@lru_cache(maxsize=32)
def filterbank(
    sample_rate: int, n_fft: int, bands: int, low: float, high: float, scale: MelScale
) -> npt.NDArray[np.float32]:
    """Triangular filters, evenly spaced in mel, each of area one (librosa's ``norm="slaney"``).

    The cache is bounded and its key is every argument: two banks that share one edge stay two banks.

    Args:
        sample_rate: in Hz.
        n_fft: length of the Fourier transform in samples.
        bands: number of filters.
        low, high: edges of the first and the last filter in Hz.
        scale: ``slaney`` or ``htk``.

    Returns:
        float32 [bands, n_fft // 2 + 1], read-only.
    """
    first, last = (float(hz_to_mel(edge, scale)) for edge in (low, high))
    edges = mel_to_hz(np.linspace(first, last, bands + 2), scale)
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    slopes = edges[:, None] - bins[None, :]
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    bank = (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    bank.setflags(write=False)
    return bank
