"""F0 of a segment, tracked in blocks whose places do not depend on the windows of the nets.

A tracker gives slightly other values for another cut of the same sound, and a sine source adds them up: two windows that
were tracked apart would drift out of phase. So a segment has one track, made as far as it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sovits.audio.audio import Samples
from sovits.core.rng import FloatArray

#: Seconds of a block, and what its tracking hears on both sides. A segment that fits in one block is tracked at once.
_CORE, _MARGIN = 12.0, 1.0


@dataclass(frozen=True, eq=False)
class Pitch:
    """F0 in Hz with filled gaps, and voiced flags 0 or 1, float32 [frames] each."""

    f0: FloatArray
    voiced: FloatArray

    def cut(self, start: int, stop: int | None = None) -> Pitch:
        """Frames ``start`` to ``stop``."""
        return Pitch(self.f0[start:stop], self.voiced[start:stop])


class Track:
    """The track of one segment.

    Args:
        first, last: its frames, from the silence before it (negative) to the silence after it.
        hop, rate: samples per frame, and samples per second.
        read: gives the sound of frames ``a`` to ``b``.
        follow: sound -> its pitch.
    """

    def __init__(
        self,
        first: int,
        last: int,
        hop: int,
        rate: int,
        read: Callable[[int, int], Samples],
        follow: Callable[[Samples], Pitch],
    ) -> None:
        self._first, self._last, self._read, self._follow = first, last, read, follow
        self._core, self._margin = (max(1, round(seconds * rate / hop)) for seconds in (_CORE, _MARGIN))
        if last - first <= self._core + 2 * self._margin:
            self._core = last - first
        self._known = Pitch(np.zeros(0, np.float32), np.zeros(0, np.float32))
        self._start = first  # the frame of the first known value

    def take(self, start: int, stop: int) -> Pitch:
        """Pitch of frames ``start`` to ``stop``; starts never fall, and what lies before them is forgotten."""
        while (end := self._start + len(self._known.f0)) < min(stop, self._last):
            found = self._block(end)
            self._known = Pitch(
                np.concatenate([self._known.f0, found.f0]), np.concatenate([self._known.voiced, found.voiced])
            )
        self._known = self._known.cut(max(0, start - self._start))
        self._start = max(self._start, start)
        missing = stop - start - len(self._known.f0)
        found = self._known.cut(0, stop - start)
        if missing <= 0:
            return found
        return Pitch(np.pad(found.f0, (0, missing), "edge"), np.pad(found.voiced, (0, missing)))

    def _block(self, start: int) -> Pitch:
        """The block that starts with frame ``start``."""
        stop = min(start + self._core, self._last)
        low, high = max(self._first, start - self._margin), min(self._last, stop + self._margin)
        return self._follow(self._read(low, high)).cut(start - low, stop - low)
