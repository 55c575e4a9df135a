"""Fades and joins."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.audio.overlap import (
    ClipJoiner,
    CrossfadeJoiner,
    SolaJoiner,
    best_offset,
    crossfade,
    forced_clips,
    overlapping,
    sola_offset,
)
from sovits.audio.windows import Fade, fade_in, fade_out, hann
from sovits.core.errors import AudioError


@pytest.mark.parametrize("length", [0, 1, 2, 7, 480])
def test_fades_are_complementary(length: int) -> None:
    for shape in ("linear", "raised_cosine"):
        np.testing.assert_allclose(fade_in(length, shape) + fade_out(length, shape), 1.0, atol=1e-6)
    rising, falling = fade_in(length, "equal_power"), fade_out(length, "equal_power")
    np.testing.assert_allclose(rising**2 + falling**2, 1.0, atol=1e-6)
    assert (np.diff(rising) > 0).all()
    assert rising.dtype == np.float32


def test_shifted_hann_windows_add_up() -> None:
    window = hann(64)
    np.testing.assert_allclose(window + np.roll(window, 32), 1.0, atol=1e-6)
    assert window[0] == 0.0
    assert hann(0).shape == (0,)


@pytest.mark.parametrize(("shape", "alike"), [("linear", True), ("raised_cosine", True), ("equal_power", False)])
def test_a_cross_fade_keeps_the_level_of_its_material(shape: Fade, alike: bool) -> None:
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((2, 1, 200_000)).astype(np.float32)
    mixed = crossfade(old, old if alike else new, shape)
    powers = [float(np.mean(part**2)) for part in np.array_split(mixed, 10, axis=1)]
    assert powers == pytest.approx([1.0] * 10, abs=0.03)


def test_a_piece_shorter_than_its_overlap_is_refused() -> None:
    joiner = CrossfadeJoiner(100)
    joiner.push(np.zeros((1, 300), np.float32))
    with pytest.raises(AudioError, match="shorter than the overlap of 100"):
        joiner.push(np.zeros((1, 99), np.float32))
    with pytest.raises(AudioError, match="does not fit"):
        list(overlapping([], 10, 10))


def test_a_joiner_without_pieces_is_empty_and_can_be_used_again() -> None:
    joiner = CrossfadeJoiner(4)
    assert joiner.finish().shape[-1] == 0
    ones = np.ones((1, 10), np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([joiner.push(ones), joiner.finish()], axis=1), ones)


@pytest.mark.parametrize("ratio", [1.0, 0.75, 0.5, 0.3])
@pytest.mark.parametrize("overlap", [0, 1, 10, 33])
def test_joined_clips_of_one_sound_are_that_sound(overlap: int, ratio: float) -> None:
    sound = np.random.default_rng(1).standard_normal(500)
    joiner = ClipJoiner(overlap, ratio)
    parts = [joiner.push(sound[start:stop]) for start, stop in forced_clips(500, 90, overlap)]
    np.testing.assert_allclose(np.concatenate([*parts, joiner.finish()]), sound, atol=1e-12)


def test_clips_too_short_to_join_are_refused() -> None:
    joiner = ClipJoiner(40, 0.75)
    joiner.push(np.zeros(20))
    with pytest.raises(AudioError, match="shorter than the overlap"):
        joiner.push(np.zeros(60))
    assert ClipJoiner(40, 0.75).finish().shape == (0,)


def test_sola_undoes_a_shift() -> None:
    sound = np.random.default_rng(2).standard_normal(6000).astype(np.float32)
    shift, overlap = 57, 400
    first, second = sound[:3000], sound[3000 - overlap - shift :]
    assert sola_offset(first[-overlap:], second[: overlap + 320]) == shift
    joiner = SolaJoiner(overlap)
    joined = np.concatenate([joiner.push(first), joiner.push(second), joiner.finish()])
    np.testing.assert_allclose(joined, sound, atol=1e-6)


def test_sola_refuses_what_cannot_slide() -> None:
    joiner = SolaJoiner(400)
    joiner.push(np.zeros(1000, np.float32))
    with pytest.raises(AudioError, match="too short to be joined"):
        joiner.push(np.zeros(500, np.float32))
    assert SolaJoiner(400).finish().shape == (0,)


def test_best_offset_finds_a_quiet_copy_and_survives_silence() -> None:
    sound = np.random.default_rng(3).standard_normal(2000).astype(np.float32)
    offset, scores = best_offset(0.01 * sound[700:956], sound)
    assert offset == 700
    assert scores[700] == pytest.approx(1.0, abs=1e-6)
    offset, scores = best_offset(np.zeros(16, np.float32), np.zeros(64, np.float32))
    assert offset == 0
    assert not scores.any()
