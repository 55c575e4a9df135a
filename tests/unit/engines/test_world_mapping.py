"""The map between two voices, on spectra made by formula."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sovits.engines.world_mapping import Mapping, stretched, vocal_tract_ratio, warped
from sovits.engines.world_target import GRID_POINTS, Profile, grid, on_grid

RATE = 24000
BINS = 1025
VOWELS = np.array([[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480], [570, 840, 2410]], float)


def vowels(scale: float, tilt: float, count: int = 400, seed: int = 0) -> npt.NDArray[np.float64]:
    """Log spectra [count, BINS] of a voice that glides through vowels; ``scale`` stretches its formants."""
    hertz = np.linspace(0, RATE / 2, BINS)
    place = np.linspace(0, 3 * len(VOWELS), count)
    around = np.random.default_rng(seed).permutation(len(VOWELS))
    formants = np.array([np.interp(place, np.arange(3 * len(VOWELS) + 1), VOWELS[around][:, k][np.arange(3 * len(VOWELS) + 1) % len(VOWELS)]) for k in range(3)])  # fmt: skip  # noqa: E501
    rows = sum(1.0 / (1.0 + ((hertz - scale * f[:, None]) / (80.0 + 0.03 * f[:, None])) ** 2) for f in formants)
    return np.asarray(np.log(rows + 1e-4) - tilt * np.log1p(hertz / 500.0))


def profile(rows: npt.NDArray[np.float64], hertz: float = 200.0) -> Profile:
    return Profile(on_grid(rows, RATE), float(np.log2(hertz)), 10000.0, len(rows) / 200)


ALL = np.ones(400, np.bool_)


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.1])
def test_vocal_tract_ratio_is_found(ratio: float) -> None:
    source, target = profile(vowels(1.0, 1.0)), profile(vowels(ratio, 2.0, seed=1))
    assert vocal_tract_ratio(source.spectra, target.spectra, 90) == pytest.approx(ratio, abs=0.03)


def test_stretching_moves_a_formant() -> None:
    hertz = np.linspace(0, RATE / 2, BINS)
    bump = np.exp(-(((hertz - 2000) / 200) ** 2))[None]
    assert hertz[stretched(bump, 1.15).argmax()] == pytest.approx(2300, abs=12)
    on_mel = warped(on_grid(bump, RATE), 1.15)
    assert grid()[on_mel.argmax()] == pytest.approx(2300, rel=0.03)
    np.testing.assert_array_equal(stretched(bump, 1.0), bump)


def test_long_term_envelope_arrives_at_the_target() -> None:
    source, target = vowels(1.0, 1.0), vowels(1.1, 2.5, seed=1)
    mapping = Mapping(profile(source), profile(target), 1.0, RATE)
    mapped, _ = mapping.apply(source, ALL)

    def shape(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        mean = on_grid(rows, RATE)[:, :90].mean(axis=0)
        return np.asarray(mean - mean.mean())

    before = np.sqrt(np.mean((shape(source) - shape(target)) ** 2))
    after = np.sqrt(np.mean((shape(mapped) - shape(target)) ** 2))
    assert after < 0.2 * before


@pytest.mark.parametrize("amount", [0.3, 1.0])
def test_power_is_kept_frame_by_frame(amount: float) -> None:
    source = vowels(1.0, 1.0) + np.linspace(-12, 0, 400)[:, None]
    mapping = Mapping(profile(source), profile(vowels(1.2, 3.0)), amount, RATE)
    mapped, gain = mapping.apply(source, ALL)
    np.testing.assert_allclose(np.exp(mapped).sum(axis=1), np.exp(source).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(np.exp(source + gain).sum(axis=1), np.exp(source).sum(axis=1), rtol=1e-9)


def test_no_amount_and_no_voice_change_nothing() -> None:
    source = vowels(1.0, 1.0)
    nothing = Profile(np.zeros((0, GRID_POINTS)), float("nan"), 10000.0, 0.0)
    for mapping in (
        Mapping(profile(source), profile(vowels(1.2, 3.0)), 0.0, RATE),
        Mapping(nothing, profile(source), 1.0, RATE),
    ):
        mapped, gain = mapping.apply(source, ALL)
        np.testing.assert_array_equal(mapped, source)
        assert not gain.any()


def test_a_whistle_of_the_target_is_not_taken_over() -> None:
    hertz = np.linspace(0, RATE / 2, BINS)

    def lead(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(rows[:, hertz > 1500].max(axis=1) - rows[:, hertz <= 1500].max(axis=1))

    source = vowels(1.0, 1.0)
    target = vowels(1.0, 1.0, seed=1) + 8.0 * np.exp(-(((hertz - 2100) / 120) ** 2))
    assert np.median(lead(target)) > 3.5
    mapped, _ = Mapping(profile(source), profile(target), 1.0, RATE).apply(source, ALL)
    assert np.median(lead(mapped)) < np.median(lead(source)) + 1.0
    assert lead(mapped).max() < lead(source).max() + 2.5


def test_a_handful_of_source_frames_is_enough_for_a_finite_map() -> None:
    source = vowels(1.0, 1.0)[:3]
    mapped, gain = Mapping(profile(source), profile(vowels(1.1, 2.0)), 1.0, RATE).apply(source, ALL[:3])
    assert np.isfinite(mapped).all()
    assert np.isfinite(gain).all()
