"""Sound of any length to measure with: the sung phrase that is shipped with sovits, again and again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

import numpy as np

from sovits.audio.audio import Audio
from sovits.audio.encode import writing
from sovits.audio.io import read

DEMO_DATA = Path(__file__).resolve().parent.parent / "src" / "sovits" / "demo_data"


#: With pauses, one comes after every so many phrases, the first one after the first phrase.
_PHRASES_BETWEEN = 5


def phrases(seconds: float, *, pauses: bool = False) -> Iterator[Audio]:
    """The phrase at levels between its own and 6 dB below, exactly ``seconds`` in sum.

    Args:
        pauses: digital silence of 7 to 13 s in between, never twice of the same length, so that no two stretches of the
            recording have their pauses at the same places.
    """
    phrase = read(DEMO_DATA / "vocals.flac", mono=True)
    rate = phrase.sample_rate
    left = round(seconds * rate)
    for turn in count():
        piece = phrase.samples * np.float32(0.75 + 0.25 * math.cos(turn))
        if pauses and turn % _PHRASES_BETWEEN == 0:
            pause = 7 + 6 * (turn * (math.sqrt(5) - 1) / 2 % 1)
            piece = np.pad(piece, ((0, 0), (0, round(pause * rate))))
        if left <= 0:
            return
        yield Audio(piece[:, :left], rate)
        left -= piece.shape[1]


def recording(path: Path, seconds: float, *, pauses: bool = False) -> int:
    """Write a file of :func:`phrases` and return its samples; memory holds one phrase."""
    pieces = phrases(seconds, pauses=pauses)
    first = next(pieces)
    with writing(path, first.sample_rate, first.channels) as writer:
        for piece in chain([first], pieces):
            writer.write(piece)
        return writer.length
