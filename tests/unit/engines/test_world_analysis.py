"""F0 on the 5 ms grid, and envelopes of sounds whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.engines.world_analysis import FRAMES, envelope, fft_size, frames, pitch
from sovits.features.pitch.swift import SwiftPredictor
from tests import sounds


@pytest.mark.parametrize("rate", [16000, 22050, 37800, 44100, 44101, 48000])
def test_f0_lies_on_the_grid_of_5_ms_at_any_rate(rate: int) -> None:
    sound = sounds.glide(150.0, 300.0, 2.0, rate)
    f0 = pitch(sound.samples, rate, SwiftPredictor())
    assert len(f0) == 2 * FRAMES + 1
    inner = np.arange(20, 380)
    truth = sound.f0[np.round(inner * rate / FRAMES).astype(int)]
    assert np.percentile(np.abs(sounds.cents(f0[inner].astype(np.float64), truth)), 95) < 12


@pytest.mark.parametrize("count", [0, 1, 50])
def test_sound_shorter_than_a_frame_has_no_pitch(count: int) -> None:
    f0 = pitch(np.zeros(count, np.float32), 48000, SwiftPredictor())
    assert not f0.any()


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_white_noise_has_a_flat_envelope_at_its_power(rate: int) -> None:
    noise = np.random.default_rng(0).standard_normal(2 * rate)
    rows = envelope(noise, rate, np.zeros(300), np.arange(50, 350) / FRAMES)
    assert rows.shape == (300, fft_size(rate) // 2 + 1)
    assert np.exp(rows).mean() == pytest.approx(1.0, rel=0.15)


def test_a_pitch_below_the_analysis_floor_is_still_analysed_as_voiced() -> None:
    sound = sounds.vibrato(55.0, depth=0.0, seconds=1.0, sample_rate=48000)
    found = frames(sound.samples, 48000, np.full(100, 55.0, np.float32), 50)
    assert found.voiced.all()
    assert found.aperiodicity[:, 40:100].mean() < 0.5  # 1 to 2.3 kHz


def test_silence_gives_finite_parameters() -> None:
    found = frames(np.zeros(48000, np.float32), 48000, np.zeros(100, np.float32), 20)
    assert np.isfinite(found.envelope).all()
    assert np.isfinite(found.aperiodicity).all()
