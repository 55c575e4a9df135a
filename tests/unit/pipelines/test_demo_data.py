"""The recordings that are shipped: what the issue and their README say of them holds."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.audio.audio import Audio
from sovits.audio.io import read
from sovits.features.pitch.contour import Contour
from sovits.pipelines.demo import Recording, recording
from sovits.zoo.tables import pitch_predictor

RATE = 44100
#: The written melody: MIDI notes in the order in which they are sung.
MELODY = (48, 52, 55, 57, 55, 57, 60, 59, 62, 59, 60, 57, 52, 50, 47, 43, 48)


def load(name: Recording) -> Audio:
    with recording(name) as path:
        return read(path)


def tracked(name: Recording) -> Contour:
    audio = load(name)
    return pitch_predictor().track(audio.mono(), audio.sample_rate, 441)


@pytest.fixture(scope="module")
def sung() -> Contour:
    return tracked("vocals")


@pytest.mark.parametrize(("name", "channels"), [("vocals", 1), ("accompaniment", 2), ("reference", 1)])
def test_format_level_and_length(name: Recording, channels: int) -> None:
    audio = load(name)
    assert (audio.sample_rate, audio.channels) == (RATE, channels)
    assert audio.duration >= 8.0
    assert 0.2 < np.abs(audio.samples).max() < 0.95
    assert abs(float(audio.samples.mean())) < 1e-3


def test_files_are_small() -> None:
    total = 0
    for name in ("vocals", "accompaniment", "reference"):
        with recording(name) as path:
            total += path.stat().st_size
    assert total < 2_500_000


def test_song_is_the_sum_and_does_not_clip() -> None:
    vocals, accompaniment = load("vocals"), load("accompaniment")
    assert vocals.length == accompaniment.length
    assert np.abs(vocals.samples + accompaniment.samples).max() < 0.95


def test_vocals_are_sung_over_more_than_a_tenth(sung: Contour) -> None:
    assert sung.voiced.sum() * 0.01 >= 8.0
    # Of what is held, not of glides and slips: two frames in a hundred are left out at each end.
    low, high = np.percentile(sung.hz[sung.voiced], (2, 98))
    assert 12 * np.log2(high / low) >= 16.0


def test_vocals_follow_the_written_melody(sung: Contour) -> None:
    cents = 1200 * np.log2(np.where(sung.voiced, sung.hz, 440.0) / 440.0) + 6900
    written = np.array(MELODY) * 100.0
    distance = np.abs(cents[sung.voiced][:, None] - written[None, :])
    assert np.median(distance.min(axis=1)) < 20.0
    # Every note is reached and held, in order: walk through the contour, one note after another.
    place = 0
    for note in written:
        near = np.flatnonzero(sung.voiced[place:] & (np.abs(cents[place:] - note) < 60.0))
        assert len(near) >= 15, f"note {note / 100:.0f} is not sung"
        place += int(near[10])


def test_reference_is_a_higher_voice_that_speaks(sung: Contour) -> None:
    spoken = tracked("reference")
    assert 200.0 < np.median(spoken.hz[spoken.voiced]) < 280.0
    assert np.median(spoken.hz[spoken.voiced]) > 1.1 * np.median(sung.hz[sung.voiced])
    assert 0.5 < spoken.voiced.mean() < 0.9
