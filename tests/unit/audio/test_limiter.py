"""The peak limiter."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.audio.limiter import Limiter
from sovits.core.errors import AudioError


def limited(signal: np.ndarray, **options: float) -> np.ndarray:
    limiter = Limiter(16000, signal.shape[0], **options)
    return np.concatenate([limiter.push(signal), limiter.finish()], axis=1)


def test_sound_below_the_ceiling_passes_bit_by_bit() -> None:
    signal = np.random.default_rng(0).uniform(-0.98, 0.98, (2, 20000)).astype(np.float32)
    np.testing.assert_array_equal(limited(signal), signal)


@pytest.mark.parametrize("length", [0, 1, 79, 161, 20000])
@pytest.mark.parametrize("scale", [1.5, 30.0])
def test_no_sample_passes_the_ceiling(length: int, scale: float) -> None:
    signal = (scale * np.random.default_rng(1).standard_normal((2, length))).astype(np.float32)
    got = limited(signal, ceiling=0.9)
    assert got.shape == signal.shape
    assert np.abs(got).max(initial=0.0) <= 0.9 * (1 + 1e-6)


def test_only_the_surroundings_of_a_peak_are_turned_down_and_smoothly() -> None:
    time = np.arange(16000)
    signal = np.full((2, 16000), 0.5, np.float32)
    signal[0, 8000] = 2.0
    got = limited(signal)
    gain = got[1] / signal[1]
    assert gain[8000] == pytest.approx(0.99 / 2, abs=1e-6)  # the other channel follows
    np.testing.assert_array_equal(got[:, np.abs(time - 8000) > 160], signal[:, np.abs(time - 8000) > 160])
    assert np.abs(np.diff(gain)).max() < 0.5 * 0.505 * np.pi / 80


def test_a_steady_loud_tone_is_scaled_without_distortion() -> None:
    tone = (2.0 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)[None]
    got = limited(tone)
    inner = slice(2000, 14000)
    np.testing.assert_allclose(got[0, inner], tone[0, inner] * 0.495, atol=2e-3)


def test_bad_input_is_refused() -> None:
    with pytest.raises(AudioError, match="must be positive"):
        Limiter(16000, 1, ceiling=0.0)
    with pytest.raises(AudioError, match="2 channels"):
        Limiter(16000, 2).push(np.zeros((1, 5), np.float32))
