"""What keeps windows of one segment alike: noise that belongs to places in time, and phases that go on.

A segment that is too long for one pass goes through the nets in windows. Were each window to draw its own noise and to
start its sines at zero, the joins would be heard; here a window gets the noise and the phases of its place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sovits.core.rng import FloatArray, IntArray, Noise, Shape

#: Frames whose noise is drawn together.
_BLOCK = 64
#: Draws that carry time in another dimension than the last.
_TIME_AXIS = {"source noise": 1}
HARMONICS = 9
#: Frames before a window whose phases are still known: a minute and a half at 44.1 kHz and a hop of 512.
_KEPT = 8192

Turns = npt.NDArray[np.float64]


class PlacedNoise:
    """Normal draws that depend on the frame they are for, not on where a window starts.

    Args:
        base: the noise of the segment.
        first: frame of the segment (may be negative) that the window starts with. ``frames``: its length.
    """

    def __init__(self, base: Noise, first: int, frames: int) -> None:
        self._base, self._first, self._frames = base, first, frames
        self._blocks: dict[int, Noise] = {}

    def child(self, name: str) -> PlacedNoise:
        return PlacedNoise(self._base.child(name), self._first, self._frames)

    def normal(self, name: str, shape: Shape) -> FloatArray:
        axis = _TIME_AXIS.get(name, len(shape) - 1)
        per_frame = shape[axis] // self._frames
        sizes = list(shape)
        sizes[axis] = _BLOCK * per_frame
        low = self._first // _BLOCK
        high = (self._first + self._frames - 1) // _BLOCK
        parts = [self._block(number).normal(name, tuple(sizes)) for number in range(low, high + 1)]
        start = (self._first - low * _BLOCK) * per_frame
        return np.take(np.concatenate(parts, axis=axis), np.arange(start, start + shape[axis]), axis=axis)

    def _block(self, number: int) -> Noise:
        if number not in self._blocks:
            self._blocks[number] = self._base.child(f"frames {number}")
        return self._blocks[number]

    def uniform(self, name: str, shape: Shape, low: float = 0.0, high: float = 1.0) -> FloatArray:
        return self._base.uniform(name, shape, low, high)

    def integers(self, name: str, shape: Shape, low: int, high: int) -> IntArray:
        return self._base.integers(name, shape, low, high)

    def permutation(self, name: str, count: int) -> IntArray:
        return self._base.permutation(name, count)

    def exponential(self, name: str, shape: Shape) -> FloatArray:
        return self._base.exponential(name, shape)


class Phases:
    """The phases of a segment's sines at the frames of the window that was made last.

    Args:
        noise: draws those that the segment starts with; the fundamental starts at 0.
        rate: of the sine source in Hz. ``hop``: its samples per frame.
    """

    def __init__(self, noise: Noise, rate: int, hop: int) -> None:
        drawn = noise.uniform("source phase", (1, HARMONICS)).astype(np.float64)
        drawn[:, 0] = 0.0
        self._turns: Turns = drawn
        self._first: int | None = None
        self._rate, self._hop = rate, hop

    def at(self, frame: int) -> FloatArray:
        """Turns before the first sample of a frame, float32 [1, harmonics]; the start where nothing is known of it."""
        place = 0 if self._first is None else frame - self._first
        known = 0 <= place < len(self._turns)
        return np.asarray(self._turns[place if known else 0][None], np.float32)

    def passed(self, first: int, f0: FloatArray) -> None:
        """A window from frame ``first`` on was made with these F0 values [frames]."""
        steps = (f0.astype(np.float32)[:, None] * np.arange(1, HARMONICS + 1, dtype=np.float32) / self._rate) % 1
        sums = np.cumsum(steps.astype(np.float64) * self._hop, axis=0)
        turns = (np.concatenate([np.zeros((1, HARMONICS)), sums]) % 1 + self.at(first).astype(np.float64)) % 1
        self._turns = np.concatenate([self._before(first), turns])
        self._first = first - (len(self._turns) - len(turns))

    def _before(self, first: int) -> Turns:
        """What is known of the frames before ``first``: the window after one that was made in parts may need them."""
        place = -1 if self._first is None else first - self._first
        known = 0 <= place < len(self._turns)
        return self._turns[max(0, place - _KEPT) : place] if known else self._turns[:0]
