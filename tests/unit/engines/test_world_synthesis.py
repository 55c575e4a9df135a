"""Synthesis against sounds that can be calculated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sovits.core.rng import SeededNoise, ZeroNoise
from sovits.engines.world_synthesis import Canvas, Plan, Synthesiser, minimum_phase

RATE = 16000
BINS = 513


def plan(f0: npt.ArrayLike, *, aperiodicity: float = 0.0, level: float = -6.0) -> Plan:
    """Frames with a flat spectrum."""
    hertz = np.asarray(f0, np.float64)
    flat = np.full((len(hertz), BINS), level)
    return Plan(hertz, flat, np.full_like(flat, aperiodicity), np.zeros_like(flat))


def rendered(whole: Plan, source: npt.NDArray[np.float32], step: int, noise: bool = True) -> npt.NDArray[np.float64]:
    """All frames, ``step`` at a time."""
    synthesiser = Synthesiser(RATE, SeededNoise(1) if noise else ZeroNoise())
    count = len(whole.f0) - 2
    parts = []
    for first in range(0, count, step):
        cut = slice(first, min(first + step, count) + 2)
        part = Plan(whole.f0[cut], whole.envelope[cut], whole.aperiodicity[cut], whole.gain[cut])
        parts.append(synthesiser.push(part, first, source, 0))
    parts.append(synthesiser.finish(count * RATE // 200))
    return np.concatenate(parts)


def silence(frames: int) -> npt.NDArray[np.float32]:
    return np.zeros(frames * RATE // 200, np.float32)


def test_canvas_adds_overlaps_and_drops_what_lies_before_the_start() -> None:
    canvas = Canvas()
    canvas.add(-2, np.ones(4))
    canvas.add(1, np.ones(3))
    np.testing.assert_array_equal(canvas.take(3), [1, 2, 1])
    np.testing.assert_array_equal(canvas.take(6), [1, 0, 0])


def test_minimum_phase_of_a_known_filter() -> None:
    taps = np.array([1.0, -0.6, 0.2])  # both zeros inside the unit circle
    power = np.abs(np.fft.rfft(taps, 1024)) ** 2
    response = np.fft.irfft(np.exp(minimum_phase(np.log(power)[None]))[0], 1024)
    np.testing.assert_allclose(response[:3], taps, atol=1e-9)
    np.testing.assert_allclose(response[3:], 0.0, atol=1e-9)


@pytest.mark.parametrize("hertz", [62.5, 200.0, 437.3, 1000.0])
def test_a_steady_voice_has_exactly_the_harmonics_of_its_f0(hertz: float) -> None:
    sound = rendered(plan(np.full(402, hertz)), silence(400), 400, noise=False)[RATE // 2 : RATE // 2 + RATE]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(RATE))) ** 2
    bins = np.arange(len(spectrum))
    beside = np.abs(bins / hertz - np.round(bins / hertz)) * hertz
    assert spectrum[beside <= 4].sum() > 0.9999 * spectrum.sum()
    assert spectrum[: int(hertz * 0.5)].sum() < 1e-6 * spectrum.sum()  # no rumble below the first harmonic


@pytest.mark.parametrize("aperiodicity", [0.0, 0.5, 1.0])
def test_power_follows_the_envelope_whatever_the_share_of_noise(aperiodicity: float) -> None:
    sound = rendered(plan(np.full(1002, 150.0), aperiodicity=aperiodicity), silence(1000), 1000)
    assert 10 * np.log10(np.mean(sound[4000:-4000] ** 2)) == pytest.approx(-6 * 10 / np.log(10), abs=0.4)


def test_unvoiced_sound_passes_unchanged_and_silence_stays_silent() -> None:
    source = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    np.testing.assert_allclose(rendered(plan(np.zeros(202)), source, 200), source, atol=1e-6)
    assert not rendered(plan(np.zeros(202)), silence(200), 200).any()


def test_gain_of_unvoiced_sound_is_a_gain_in_power() -> None:
    source = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    quiet = plan(np.zeros(202))
    quiet.gain[:] = np.log(0.25)
    np.testing.assert_allclose(rendered(quiet, source, 200), 0.5 * source, atol=1e-6)


@pytest.mark.parametrize("step", [1, 37, 200])
def test_pieces_join_without_a_seam(step: int) -> None:
    time = np.arange(602) / 200
    f0 = np.where((time % 1.0) < 0.7, 180 * 2 ** (np.sin(9 * time) / 3), 0.0)
    whole = plan(f0, aperiodicity=0.4)
    source = (0.1 * np.random.default_rng(2).standard_normal(3 * RATE)).astype(np.float32)
    np.testing.assert_allclose(rendered(whole, source, step), rendered(whole, source, 600), atol=1e-6)


def test_breath_comes_from_the_noise_that_is_handed_in() -> None:
    voiced = plan(np.full(202, 150.0), aperiodicity=0.7)
    one, same = rendered(voiced, silence(200), 200), rendered(voiced, silence(200), 200)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - rendered(voiced, silence(200), 200, noise=False)).max() > 1e-3
