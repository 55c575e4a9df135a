"""Levels and loudness of sounds whose answers are known."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from sovits.audio.audio import Audio
from sovits.audio.framing import frame_rms
from sovits.audio.levels import (
    LoudnessMeter,
    TruePeakMeter,
    from_db,
    k_weighting,
    loudness_gain,
    lufs,
    match_loudness,
    peak,
    rms,
    to_db,
    transfer_envelope,
    true_peak,
)
from sovits.core.errors import AudioError


def sine(
    frequency: float, rate: int, level: float, seconds: float = 5.0, channels: int = 1, phase: float = 0.0
) -> Audio:
    wave = from_db(level) * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate + phase)
    return Audio(np.tile(wave.astype(np.float32), (channels, 1)), rate)


def faded(audio: Audio) -> Audio:
    ramp = np.minimum(1.0, np.arange(audio.length) / (0.05 * audio.sample_rate))
    return Audio((audio.samples * ramp * ramp[::-1]).astype(np.float32), audio.sample_rate)


def test_decibels() -> None:
    assert to_db(1.0) == 0.0
    assert to_db(0.1) == pytest.approx(-20.0)
    assert to_db(0.0) == -math.inf
    assert from_db(-math.inf) == 0.0
    assert from_db(to_db(0.3)) == pytest.approx(0.3)


def test_peak_and_rms() -> None:
    samples = np.asarray([[0.1, -0.8], [0.3, 0.5]], np.float32)
    assert peak(samples) == pytest.approx(0.8)
    assert rms(samples) == pytest.approx(math.sqrt((0.01 + 0.64 + 0.09 + 0.25) / 4))
    assert peak(np.zeros((2, 0))) == rms(np.zeros((2, 0))) == 0.0
    assert rms(np.full(300_001, 0.25, np.float32)) == pytest.approx(0.25, rel=1e-7)  # several blocks


def test_filter_is_the_table_of_the_standard_at_48_khz() -> None:
    np.testing.assert_allclose(
        k_weighting(48000),
        [
            [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
            [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
        ],
        atol=1e-8,
    )


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000, 96000])
def test_the_calibration_tone(rate: int) -> None:
    """EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS."""
    assert lufs(sine(1000, rate, -23.0, channels=2)) == pytest.approx(-23.0, abs=0.1)


def test_gates() -> None:
    """EBU Tech 3341, case 3: 10 s at -36, 60 s at -23 and 10 s at -36 LUFS read -23 LUFS; so they do with silence."""
    meter = LoudnessMeter(16000, 2)
    for level, seconds in ((-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)):
        meter.push(sine(1000, 16000, level, seconds, channels=2).samples)
    assert meter.integrated() == pytest.approx(-23.0, abs=0.1)
    meter.push(np.zeros((2, 16000 * 60), np.float32))
    assert meter.integrated() == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize(
    ("rate", "within"), [(8000, 0.1), (11025, 0.15), (22050, 0.1), (44100, 0.1), (48000, 0.1), (96000, 0.1)]
)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_agrees_with_pyloudnorm(rate: int, within: float, channels: int) -> None:
    import pyloudnorm

    rng = np.random.default_rng(rate)
    envelope = np.repeat(rng.uniform(0.001, 0.3, 12), rate // 2)
    noise = (rng.standard_normal((channels, len(envelope))) * envelope).astype(np.float32)
    wanted = pyloudnorm.Meter(rate).integrated_loudness(noise.T.astype(np.float64))
    assert lufs(Audio(noise, rate)) == pytest.approx(wanted, abs=within)


def test_the_low_frequency_channel_does_not_count() -> None:
    tone = sine(1000, 48000, -23.0).samples
    empty = np.zeros_like(tone)
    with_tone = Audio(np.concatenate([tone, empty, empty, tone, empty, empty]), 48000)
    without = Audio(np.concatenate([tone, empty, empty, empty, empty, empty]), 48000)
    assert lufs(with_tone) == lufs(without) == pytest.approx(-26.0, abs=0.1)


@pytest.mark.parametrize(
    "audio",
    [
        Audio(np.zeros((1, 0), np.float32), 44100),
        Audio(np.zeros((2, 44100), np.float32), 44100),
        Audio(np.ones((1, 1), np.float32), 44100),
        sine(1000, 44100, -20.0, seconds=0.39),
        sine(1000, 44100, -90.0),
    ],
    ids=["empty", "silence", "one sample", "short", "below the gate"],
)
def test_nothing_to_measure_is_minus_infinity_without_a_warning(audio: Audio) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lufs(audio) == -math.inf
        np.testing.assert_array_equal(match_loudness(audio, -16.0).samples, audio.samples)


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000])
def test_true_peak_lies_between_the_samples(rate: int) -> None:
    audio = faded(sine(rate / 4, rate, -6.0, seconds=1.0, phase=math.pi / 4))
    assert to_db(peak(audio.samples)) == pytest.approx(-9.01, abs=0.01)
    assert true_peak(audio) == pytest.approx(-6.0, abs=0.05)


def test_true_peak_is_never_below_the_sample_peak() -> None:
    noise = Audio(np.random.default_rng(3).uniform(-1, 1, (2, 30000)).astype(np.float32), 192000)
    assert true_peak(noise) == pytest.approx(to_db(peak(noise.samples)))
    assert true_peak(Audio(np.zeros((1, 100), np.float32), 8000)) == -math.inf
    meter = TruePeakMeter(44100, 1)
    assert meter.finish() == 0.0


def test_match_loudness() -> None:
    audio = faded(sine(500, 44100, -30.0, channels=2))
    louder = match_loudness(audio, -16.0)
    assert lufs(louder) == pytest.approx(-16.0, abs=0.05)
    held = match_loudness(audio, 0.0, ceiling=-3.0)
    assert true_peak(held) == pytest.approx(-3.0, abs=0.05)
    assert loudness_gain(-math.inf, -math.inf, -16.0, -1.0) == 0.0


def test_meters_refuse_blocks_of_another_shape() -> None:
    with pytest.raises(AudioError, match="2 channels"):
        LoudnessMeter(44100, 2).push(np.zeros((1, 10), np.float32))
    with pytest.raises(AudioError, match="at least one channel"):
        LoudnessMeter(44100, 0)


@pytest.mark.parametrize(("window", "hop"), [(880, 220), (881, 220), (100, 300), (1, 1)])
def test_frames_are_centred_and_padded_with_silence(window: int, hop: int) -> None:
    signal = np.random.default_rng(4).standard_normal(5000).astype(np.float32)
    padded = np.pad(signal.astype(np.float64), window // 2)
    count = 1 + (len(padded) - window) // hop
    wanted = [np.sqrt(np.mean(padded[i * hop : i * hop + window] ** 2)) for i in range(count)]
    np.testing.assert_allclose(frame_rms(signal, window, hop), wanted, rtol=1e-5)


def test_envelope_transfer_moves_the_level() -> None:
    rng = np.random.default_rng(5)
    source = (0.2 * rng.standard_normal(48000 * 2)).astype(np.float32)
    result = (0.02 * rng.standard_normal(16000 * 2)).astype(np.float32)
    np.testing.assert_array_equal(transfer_envelope(source, 48000, result, 16000, 1.0), result)
    full = transfer_envelope(source, 48000, result, 16000, 0.0)
    assert full.shape == result.shape
    assert rms(full) == pytest.approx(0.2, rel=0.03)
    half = transfer_envelope(source, 48000, result, 16000, 0.5)
    assert rms(half) == pytest.approx(math.sqrt(0.2 * 0.02), rel=0.03)


def test_envelope_transfer_of_silence_and_nothing() -> None:
    sound = np.full(16000, 0.1, np.float32)
    silence = np.zeros(16000, np.float32)
    assert not transfer_envelope(silence, 16000, sound, 16000, 0.0).any()
    assert not transfer_envelope(sound, 16000, silence, 16000, 0.0).any()
    assert transfer_envelope(sound, 16000, silence[:0], 16000, 0.0).shape == (0,)
    with pytest.raises(AudioError, match="between 0 and 1"):
        transfer_envelope(sound, 16000, sound, 16000, 1.5)
