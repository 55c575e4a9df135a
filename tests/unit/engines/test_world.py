"""The built-in converter: what it does to pitch and level, and everything odd that it may be given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sovits.audio.audio import Audio, MemorySource
from sovits.audio.resample import resampled_length
from sovits.core.errors import AudioError, VoiceError
from sovits.core.rng import SeededNoise
from sovits.engines.world import WorldEngine
from sovits.features.pitch.swift import SwiftPredictor
from sovits.options.convert import ConvertOptions
from sovits.zoo.voice import Voice
from tests import sounds
from tests.unit.engines.voices import phrase, target


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return target(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="module")
def engine() -> WorldEngine:
    return WorldEngine()


def converted(engine: WorldEngine, voice: Voice, samples: np.ndarray, rate: int, **options: object) -> Audio:
    audio = Audio(np.atleast_2d(samples).astype(np.float32), rate)
    result = engine.convert(audio, voice, ConvertOptions.build(options), SeededNoise(0))
    out = ConvertOptions.build(options).sample_rate or rate
    assert result.channels == 1
    assert result.sample_rate == out
    assert result.length == resampled_length(audio.length, rate, out)
    assert np.isfinite(result.samples).all()
    assert np.abs(result.samples).max(initial=0.0) <= 1.0
    return result


@pytest.mark.parametrize(("transpose", "semitones"), [(7.0, 7.0), (-5.0, -5.0), (0.0, 0.0), ("auto", 12.0)])
def test_pitch_moves_by_what_was_asked(
    engine: WorldEngine, voice: Voice, transpose: float | str, semitones: float
) -> None:
    source = phrase(160.0)
    result = converted(engine, voice, source.samples, 16000, transpose=transpose)
    found = SwiftPredictor().track(result.samples[0], 16000, 160)
    truth = source.truth(160)
    both = found.voiced & (truth > 0) & (np.convolve(truth > 0, np.ones(9), "same") == 9)
    error = sounds.cents(found.hz[both], truth[both]) - 100 * semitones
    assert both.sum() > 150
    assert abs(np.median(error)) < 5
    assert np.percentile(np.abs(error), 90) < 25


def test_range_mode_arrives_at_the_median_of_the_target(engine: WorldEngine, voice: Voice) -> None:
    source = phrase(100.0)
    shift = engine.transposition(MemorySource(Audio.from_mono(source.samples, 16000)), voice, ConvertOptions())
    assert shift == pytest.approx(12 * np.log2(2.6), abs=0.3)


def test_no_timbre_and_no_transposition_is_a_copy(engine: WorldEngine, voice: Voice) -> None:
    source = phrase(200.0)
    result = converted(engine, voice, source.samples, 16000, transpose=0.0, timbre=0.0)
    power = np.mean(result.samples**2) / np.mean(source.samples**2)
    assert abs(10 * np.log10(power)) < 2.0


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_rates(engine: WorldEngine, voice: Voice, rate: int) -> None:
    source = phrase(160.0, rate, 1.5)
    result = converted(engine, voice, source.samples, rate, transpose=12.0)
    assert np.sqrt(np.mean(result.samples**2)) > 0.3 * np.sqrt(np.mean(source.samples**2))


@pytest.mark.parametrize("out", [8000, 16000, 44100])
def test_rate_of_the_result(engine: WorldEngine, voice: Voice, out: int) -> None:
    converted(engine, voice, phrase(160.0, 22050, 1.0).samples, 22050, sample_rate=out)


def test_silence_stays_silent(engine: WorldEngine, voice: Voice) -> None:
    assert not converted(engine, voice, np.zeros(30001), 16000).samples.any()


def test_sound_without_pitch_passes(engine: WorldEngine, voice: Voice) -> None:
    noise = sounds.white_noise(1.0, 16000, level=0.1).samples
    np.testing.assert_allclose(converted(engine, voice, noise, 16000).samples[0], noise, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 79, 800])
def test_very_short_sound(engine: WorldEngine, voice: Voice, count: int) -> None:
    converted(engine, voice, phrase().samples[:count], 16000)


def test_dc_and_clipping_and_more_than_full_scale(engine: WorldEngine, voice: Voice) -> None:
    converted(engine, voice, np.full(20000, 0.7), 16000)
    loud = 4.0 * phrase().samples
    converted(engine, voice, np.clip(loud, -1, 1), 16000)
    converted(engine, voice, loud, 16000)


def test_channels_are_mixed(engine: WorldEngine, voice: Voice) -> None:
    mono = phrase().samples
    two = converted(engine, voice, np.stack([0.5 * mono, 1.5 * mono]), 16000)
    np.testing.assert_allclose(two.samples, converted(engine, voice, mono, 16000).samples, atol=1e-4)


def test_what_is_no_sound_is_refused(engine: WorldEngine, voice: Voice) -> None:
    with pytest.raises(AudioError, match="no samples"):
        converted(engine, voice, np.zeros((1, 0)), 16000)
    broken = phrase().samples.copy()
    broken[100] = np.inf
    with pytest.raises(AudioError, match="not a finite number"):
        converted(engine, voice, broken, 16000)
    with pytest.raises(VoiceError, match="no reference clips"):
        converted(engine, Voice("nobody"), phrase().samples, 16000)


def test_profiles_are_remembered_by_content_and_in_bounded_number(tmp_path: Path) -> None:
    heard: list[int] = []

    class Counting(SwiftPredictor):
        def track(self, samples: np.ndarray, sample_rate: int, hop: int):  # type: ignore[no-untyped-def]
            heard.append(len(samples))
            return super().track(samples, sample_rate, hop)

    engine = WorldEngine(Counting())
    first = target(tmp_path, 260.0)
    copy = tmp_path / "another name.wav"
    copy.write_bytes(first.references[0].read_bytes())
    sound = np.zeros(1600)
    for voice, expected in ((first, 2), (first, 1), (Voice("copy", (copy,)), 1), (target(tmp_path, 200.0), 2)):
        heard.clear()
        converted(engine, voice, sound, 16000)
        assert len(heard) == expected  # the clip, if it is new, and the source
