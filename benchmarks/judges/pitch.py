"""Does the result keep the melody? F0 of source and result by SwiftF0, compared where it is sure of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from swift_f0 import PitchResult, SwiftF0

SURE = 0.9
VOICED = 0.5


@dataclass(frozen=True)
class Melody:
    """How well a melody was kept.

    Attributes:
        correlation: of log F0.
        cents: median distance from the source's F0 moved by the intended shift.
        voicing: share of frames with the same voiced flag.
    """

    correlation: float
    cents: float
    voicing: float


@cache
def _tracker() -> SwiftF0:
    return SwiftF0(threads=1, spin=False)


def track(samples: npt.NDArray[np.float32], rate: int) -> PitchResult:
    """F0 and confidence every 16 ms, over the tracker's whole range."""
    return _tracker().detect(np.asarray(samples, np.float32), rate)


def compare(source: PitchResult, result: PitchResult, semitones: float) -> Melody:
    """Compare a result with its source, ``semitones`` being the shift that was meant."""
    count = min(len(source.confidence), len(result.confidence))
    sure = (source.confidence[:count] > SURE) & (result.confidence[:count] > SURE)
    before, after = np.log2(source.pitch_hz[:count][sure]), np.log2(result.pitch_hz[:count][sure])
    same = (source.confidence[:count] >= VOICED) == (result.confidence[:count] >= VOICED)
    return Melody(
        float(np.corrcoef(before, after)[0, 1]),
        float(np.median(np.abs(1200.0 * (after - before) - 100.0 * semitones))),
        float(same.mean()),
    )
