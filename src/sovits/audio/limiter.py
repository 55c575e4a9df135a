"""A streaming look-ahead limiter: no sample leaves above the ceiling, and sound that stays below passes bit by bit."""

from __future__ import annotations

import numpy as np

from sovits.audio.audio import Samples

CEILING = 0.999
_REACH_SECONDS = 0.010


class Limiter:
    """Lowers the gain smoothly around peaks.

    The gain is the least that any sample within the reach needs, smoothed by a window no longer than the reach: a mean
    of values none of which is above the need. The output does not depend on how the input is cut.

    Args:
        sample_rate: in Hz.
        ceiling: the largest magnitude that leaves.
    """

    def __init__(self, sample_rate: int, ceiling: float = CEILING) -> None:
        self._ceiling = ceiling
        self._reach = max(1, round(_REACH_SECONDS * sample_rate))
        window = np.hanning(2 * self._reach + 3)[1:-1]
        self._window = window / window.sum()
        self._before = 2 * self._reach  # silence stands before the start, so that every sample has its surroundings
        self._held = np.zeros(self._before, np.float32)

    def push(self, samples: Samples) -> Samples:
        """Take mono samples [time] and give those whose surroundings are known."""
        held = np.concatenate([self._held, samples])
        ready = len(held) - 2 * self._before
        if ready <= 0:
            self._held = held
            return np.zeros(0, np.float32)
        self._held = held[ready:].copy()
        return self._limited(held, ready)

    def finish(self) -> Samples:
        """The rest."""
        return self.push(np.zeros(self._before, np.float32))

    def _limited(self, held: Samples, ready: int) -> Samples:
        """The ``ready`` samples after the context at the front of ``held``."""
        from scipy.ndimage import minimum_filter1d

        middle = held[self._before : self._before + ready]
        magnitude = np.abs(held[: ready + 2 * self._before].astype(np.float64))
        if magnitude.max() <= self._ceiling:
            return middle
        need = np.minimum(1.0, self._ceiling / np.maximum(magnitude, 1e-9))
        least = minimum_filter1d(need, 2 * self._reach + 1)
        gain = np.convolve(least, self._window, "same")[self._before : self._before + ready]
        limited = (middle * np.where(gain < 1.0 - 1e-12, gain, 1.0)).astype(np.float32)
        return np.clip(limited, -self._ceiling, self._ceiling).astype(np.float32)
