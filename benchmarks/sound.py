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


def phrases(seconds: float) -> Iterator[Audio]:
    """The phrase at levels between its own and 6 dB below, exactly ``seconds`` in sum."""
    phrase = read(DEMO_DATA / "vocals.flac", mono=True)
    left = round(seconds * phrase.sample_rate)
    for turn in count():
        if left <= 0:
            return
        piece = phrase.samples[:, :left] * np.float32(0.75 + 0.25 * math.cos(turn))
        left -= piece.shape[1]
        yield Audio(piece, phrase.sample_rate)


def recording(path: Path, seconds: float) -> int:
    """Write a file of ``seconds`` and return its samples; memory holds one phrase."""
    pieces = phrases(seconds)
    first = next(pieces)
    with writing(path, first.sample_rate, first.channels) as writer:
        for piece in chain([first], pieces):
            writer.write(piece)
        return writer.length
