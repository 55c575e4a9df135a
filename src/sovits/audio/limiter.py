"""A streaming look-ahead limiter: no sample leaves above the ceiling, and sound that stays below passes bit by bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.core.errors import AudioError

CEILING = 0.99
#: Half of the look-ahead: the reach of the least gain, and that of the smoothing over it.
_REACH_SECONDS = 0.005


class Limiter:
    """Turns the gain down smoothly around peaks, for all channels alike.

    Every sample needs a gain of at most ``ceiling / magnitude``. The least need within 5 ms is smoothed over 5 ms by a
    raised cosine: a mean of values none of which is above the need of the sample in the middle, so nothing passes the
    ceiling. Samples further than 10 ms from a peak are untouched; the output does not depend on how the input is cut.

    Args:
        sample_rate: in Hz.
        channels: rows of every block.
        ceiling: the largest magnitude that leaves.

    Raises:
        AudioError: a rate, channel count or ceiling that is not positive; a block of other channels.
    """

    def __init__(self, sample_rate: int, channels: int, ceiling: float = CEILING) -> None:
        if sample_rate <= 0 or channels <= 0 or ceiling <= 0:
            raise AudioError(
                f"rate, channels and ceiling must be positive, got {sample_rate} Hz, {channels} and {ceiling}"
            )
        self.channels = channels
        self._ceiling = float(
            np.nextafter(np.float32(ceiling), np.float32(0))
        )  # leaves room for the rounding to float32
        self._reach = max(1, round(_REACH_SECONDS * sample_rate))
        rise = np.sin(np.pi * (np.arange(2 * self._reach - 1) + 1) / (2 * self._reach)) ** 2
        self._window = rise / rise.sum()
        self._context = 2 * self._reach
        # Silence stands before the start and after the end, so that every sample has its surroundings.
        self._held = np.zeros((channels, self._context), np.float32)

    def push(self, block: Samples) -> Samples:
        """Take [channels, time] and give the samples whose surroundings are known, [channels, some time]."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise AudioError(f"expected a block of {self.channels} channels [channels, time], got {block.shape}")
        held = np.concatenate([self._held, block], axis=1)
        ready = held.shape[1] - 2 * self._context
        if ready <= 0:
            self._held = held
            return np.zeros((self.channels, 0), np.float32)
        self._held = held[:, ready:].copy()
        middle: Samples = held[:, self._context : self._context + ready]
        magnitude = np.abs(held).max(axis=0).astype(np.float64)
        if magnitude.max() <= self._ceiling:
            return middle
        gain = self._gain(magnitude)
        return np.where(gain < 1.0, middle * gain, middle).astype(np.float32)

    def finish(self) -> Samples:
        """The rest."""
        return self.push(np.zeros((self.channels, self._context), np.float32))

    def _gain(self, magnitude: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The gain of the samples between the contexts, from the magnitudes of all."""
        from scipy.ndimage import minimum_filter1d

        need = np.minimum(1.0, self._ceiling / np.maximum(magnitude, 1e-30))
        least = minimum_filter1d(need, 2 * self._reach + 1, mode="nearest")
        smooth = np.convolve(1.0 - least, self._window, "same")[self._context : -self._context]
        return np.asarray(1.0 - np.maximum(smooth, 0.0))
