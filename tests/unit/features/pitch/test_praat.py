"""Boersma's autocorrelation method on sounds with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.features.pitch import praat
from sovits.features.pitch.svc import svc_f0
from tests import sounds

RATE = 44100


@pytest.mark.parametrize(("hz", "most"), [(75.0, 1e-4), (117.3, 5e-5), (261.6, 1e-5), (523.25, 1e-5), (1046.5, 1e-5)])
def test_steady_sines(hz: float, most: float) -> None:
    """Worst at the low end, where a frame holds few periods (4.5 of 75 Hz)."""
    track = praat.PraatPredictor().track(sounds.sine(hz, 0.4).samples, RATE, 441)
    assert np.abs(track.hz[10:-10] / hz - 1).max() < most


def test_additive_noise_barely_moves_it() -> None:
    sound = sounds.with_noise(sounds.vowel(150, 0.5), 20)
    middle = praat.PraatPredictor().track(sound.samples, RATE, 441).hz[10:-10]
    assert np.abs(sounds.cents(middle, np.full(len(middle), 150.0))).max() < 5


def test_blocks_of_frames_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = sounds.joined(sounds.glide(90, 500, 0.5), sounds.white_noise(0.2), sounds.vowel(300, 0.3))
    whole = praat.PraatPredictor().track(sound.samples, RATE, 512)
    monkeypatch.setattr(praat, "_BLOCK", 1)
    single = praat.PraatPredictor().track(sound.samples, RATE, 512)
    np.testing.assert_allclose(single.hz, whole.hz, rtol=1e-9)


def test_level_and_offset_do_not_matter() -> None:
    sound = sounds.with_noise(sounds.vowel(200, 0.5), 30)
    plain = praat.PraatPredictor().track(sound.samples, RATE, 441)
    moved = praat.PraatPredictor().track((0.01 * sound.samples + 0.3).astype(np.float32), RATE, 441)
    assert np.array_equal(plain.voiced, moved.voiced)
    np.testing.assert_allclose(moved.hz, plain.hz, rtol=2e-4)


def test_a_quiet_part_is_silence_beside_a_loud_one() -> None:
    """Silence threshold 0.03 of the peak: the same tone 40 dB down is unvoiced, alone it is voiced."""
    loud = sounds.vowel(200, 0.4).samples
    both = np.concatenate([loud, np.zeros(8000, np.float32), 0.01 * loud])
    track = praat.PraatPredictor().track(both, RATE, 441)
    assert track.voiced[5:35].all()
    assert not track.voiced[60:].any()
    assert praat.PraatPredictor().track(0.01 * loud, RATE, 441).voiced[5:35].all()


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(5000), np.full(5000, 0.25), np.ones(3)])
def test_nothing_to_find(samples: np.ndarray) -> None:
    assert not praat.PraatPredictor().track(samples.astype(np.float32), RATE, 441).hz.any()


def test_voicing_threshold() -> None:
    """A tone in noise of equal power has an autocorrelation peak of one half: voiced below that threshold only."""
    sound = sounds.with_noise(sounds.tone(200, 0.6), 0)
    low = praat.PraatPredictor(praat.Settings(voicing_threshold=0.3)).track(sound.samples, RATE, 441)
    high = praat.PraatPredictor(praat.Settings(voicing_threshold=0.8)).track(sound.samples, RATE, 441)
    assert low.voiced[10:-10].mean() > 0.95
    assert not high.voiced.any()


def test_praat_s_frames_are_centred_in_the_sound() -> None:
    """As the manual counts them: floor((T - 3 / floor) / step) + 1 frames, the rest shared by both ends."""
    length, hop = 70560, 512
    found = praat.centred_track(sounds.vowel(200, 1.6).samples, RATE, hop, praat.Settings())
    assert len(found) == int((length - 3 * RATE / 50) / hop) + 1
    assert len(praat.centred_track(np.ones(2645, np.float32), RATE, hop, praat.Settings())) == 0
    f0, voiced = svc_f0(sounds.vowel(200, 0.02).samples, RATE, hop, "pm")
    assert f0.tolist() == voiced.tolist() == [0]


@pytest.mark.parametrize(("floor", "ceiling"), [(20.0, 4000.0), (950.0, 1050.0), (900.0, 4000.0)])
@pytest.mark.parametrize("rate", [8000, 192000])
def test_extreme_ranges(floor: float, ceiling: float, rate: int) -> None:
    """Windows of a few samples or of many thousand: finite values inside the range, no warning."""
    tracker = praat.PraatPredictor(praat.Settings(floor, ceiling))
    with np.errstate(all="raise", under="ignore"):
        track = tracker.track(sounds.with_noise(sounds.tone(1000.5, 0.2, rate), 60).samples, rate, rate // 100)
    found = track.hz[track.voiced]
    assert len(found) > 10
    assert found.min() >= floor
    assert found.max() <= ceiling
