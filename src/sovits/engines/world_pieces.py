"""A source of any length as mono pieces of whole seconds with margins, at the work rate; as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sovits.audio.audio import Audio, AudioSource, Samples
from sovits.audio.resample import StreamResampler
from sovits.core.errors import AudioError
from sovits.engines.world_analysis import work_rate

#: Seconds of sound on both sides of a piece that its analysis may look at. Even, as the pieces are: so every piece starts
#: on the grid of 5 ms at any sample rate, and on the 16 ms grid of the default pitch tracker, whose voiced flags then do
#: not depend on how the recording is cut.
MARGIN = 2
_BLOCK = 4.0


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a recording at the work rate.

    Attributes:
        samples: mono [(MARGIN + seconds + MARGIN) * rate], silence where the recording does not reach.
        start: where the piece begins in the recording, without the margin, in seconds.
        seconds: its length without margins.
        sound: share of these seconds that the recording really holds.
    """

    samples: Samples
    start: int
    seconds: int
    sound: float


class Pieces:
    """Walks through a source; every iteration starts anew.

    Args:
        source: any rate and channels.
        window: seconds of a piece; taken as the next lower even number.
    """

    def __init__(self, source: AudioSource, window: float) -> None:
        self._source = source
        self._window = max(2, 2 * int(window / 2))
        self.rate = work_rate(source.sample_rate)
        #: Samples of the source, at its own rate; known after a whole walk.
        self.length = 0

    @property
    def seconds(self) -> float | None:
        """What the container states as the length, if it does."""
        return None if self._source.length is None else self._source.length / self._source.sample_rate

    def __iter__(self) -> Iterator[Piece]:
        held = np.zeros(MARGIN * self.rate, np.float32)
        full = (MARGIN + self._window + MARGIN) * self.rate
        start = 0
        for samples in self._resampled():
            held = np.concatenate([held, samples])
            while len(held) >= full:
                yield Piece(held[:full], start, self._window, float(self._window))
                held = held[self._window * self.rate :]
                start += self._window
        while (rest := len(held) - MARGIN * self.rate) > 0:
            seconds = min(self._window, -(-rest // self.rate))
            size = (MARGIN + seconds + MARGIN) * self.rate
            whole = np.pad(held[:size], (0, max(0, size - len(held))))
            yield Piece(whole, start, seconds, min(seconds, rest / self.rate))
            held = held[seconds * self.rate :]
            start += seconds

    def _resampled(self) -> Iterator[Samples]:
        resampler = StreamResampler(self._source.sample_rate, self.rate, 1)
        length = 0
        for block in self._source.blocks(_BLOCK):
            _require_finite(block, length)
            length += block.length
            yield resampler.push(block.mono()[None])[0]
        self.length = length
        if length == 0:
            raise AudioError("there is no sound to convert: the recording has no samples")
        yield resampler.finish()[0]


def _require_finite(block: Audio, before: int) -> None:
    """Raise AudioError if a sample is no number."""
    good = np.isfinite(block.samples).all(axis=0)
    if not good.all():
        place = (before + int(np.argmin(good))) / block.sample_rate
        raise AudioError(
            f"the recording holds a sample that is not a finite number at {place:.3f} s",
            hint="export it again from the program that made it",
        )
