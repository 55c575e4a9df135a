"""What is known about a voice, from clips made by formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sovits.core.errors import VoiceError
from sovits.engines.world_analysis import pitch, work_rate
from sovits.engines.world_target import CAPACITY, GRID_POINTS, Reservoir, Survey, profile_of
from sovits.features.pitch.swift import SwiftPredictor
from sovits.zoo.voice import Voice
from tests import sounds


def clip(folder: Path, sound: sounds.Sound, name: str = "clip.wav") -> Voice:
    soundfile.write(folder / name, sound.samples, sound.sample_rate, subtype="FLOAT")
    return Voice("test", (folder / name,))


@pytest.mark.parametrize("count", [3, CAPACITY, 3 * CAPACITY, 10 * CAPACITY + 7])
def test_reservoir_keeps_an_even_selection_in_bounded_memory(count: int) -> None:
    whole, cut = Reservoir(1), Reservoir(1)
    rows = np.arange(count, dtype=np.float32)[:, None]
    whole.add(rows)
    for part in np.array_split(rows, 11):
        cut.add(part)
    kept = whole.rows()[:, 0]
    assert min(count, CAPACITY // 2) <= len(kept) <= CAPACITY
    assert len(set(np.diff(kept))) <= 1
    np.testing.assert_array_equal(kept, cut.rows()[:, 0])


def test_median_of_f0_and_bandwidth_are_found(tmp_path: Path) -> None:
    voice = clip(tmp_path, sounds.vibrato(220.0, depth=100.0, seconds=4.0, sample_rate=44100))
    profile = profile_of(voice, SwiftPredictor())
    assert 2.0**profile.octaves == pytest.approx(220.0, rel=0.01)
    assert profile.voiced_seconds == pytest.approx(4.0, abs=0.2)
    assert profile.spectra.shape[1] == GRID_POINTS
    assert 7600 < profile.bandwidth < 11000  # no harmonics above 8 kHz; the analysis window's skirts lie above


def test_clips_add_up(tmp_path: Path) -> None:
    one = clip(tmp_path, sounds.vibrato(200.0, seconds=1.0, sample_rate=16000), "one.wav")
    two = clip(tmp_path, sounds.vibrato(200.0, seconds=1.5, sample_rate=48000), "two.wav")
    both = profile_of(Voice("both", one.references + two.references), SwiftPredictor())
    assert both.voiced_seconds == pytest.approx(2.5, abs=0.3)


def test_a_survey_does_not_depend_on_the_cut() -> None:
    sound = sounds.vibrato(180.0, seconds=6.0, sample_rate=16000)
    f0 = pitch(sound.samples, 16000, SwiftPredictor())[:-1]
    whole, cut = Survey(2), Survey(2)
    whole.add(sound.samples, 16000, f0, 0)
    for first in range(0, len(f0), 171):
        cut.add(sound.samples, 16000, f0[first : first + 171], first)
    np.testing.assert_allclose(whole.profile().spectra, cut.profile().spectra, atol=0.05)  # WORLD dithers
    assert whole.profile().octaves == cut.profile().octaves


@pytest.mark.parametrize(
    "sound",
    [
        sounds.vibrato(200.0, seconds=0.3),
        sounds.silence(5.0),
        sounds.white_noise(5.0),
        sounds.Sound(np.zeros(1, np.float32), 44100, np.zeros(1)),
    ],
    ids=["0.3 s", "silence", "unvoiced", "1 sample"],
)
def test_a_reference_that_says_nothing_is_refused(tmp_path: Path, sound: sounds.Sound) -> None:
    with pytest.raises(VoiceError, match="of voiced sound") as caught:
        profile_of(clip(tmp_path, sound), SwiftPredictor())
    assert "seconds" in caught.value.hint


def test_a_voice_without_clips_is_refused() -> None:
    with pytest.raises(VoiceError, match="no reference clips") as caught:
        profile_of(Voice("empty"), SwiftPredictor())
    assert "--reference" in caught.value.hint


@pytest.mark.parametrize(("rate", "work"), [(8000, 16000), (16000, 16000), (44100, 44100), (192000, 48000)])
def test_work_rate(rate: int, work: int) -> None:
    assert work_rate(rate) == work
