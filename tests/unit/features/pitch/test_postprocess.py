"""What is done with raw tracks: answers that can be written down, beside the recorded ones in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.features.pitch import postprocess


def test_gaps_are_filled_on_a_line_and_the_ends_hold() -> None:
    f0, voiced = postprocess.interpolate_unvoiced([0, 100, 0, 0, 160, 0])
    assert f0.tolist() == [100, 100, 120, 140, 160, 160]
    assert voiced.tolist() == [0, 1, 0, 0, 1, 0]


def test_one_voiced_frame_is_held_and_upstream_loses_it() -> None:
    track = [0, 0, 180.0, 0]
    assert postprocess.interpolate_unvoiced(track)[0].tolist() == [180] * 4
    assert postprocess.interpolate_unvoiced(track, compat="upstream")[0].tolist() == [0] * 4


@pytest.mark.parametrize("length", [0, 1, 7, 100])
def test_empty_tracks_become_zeros(length: int) -> None:
    assert postprocess.resize_world([], length).tolist() == [0] * length
    assert postprocess.stretch_nearest([], length).tolist() == [0] * length
    f0, voiced = postprocess.post_process(np.zeros(5), length)
    assert f0.tolist() == voiced.tolist() == [0] * length


def test_world_resize_widens_gaps_and_keeps_length_one_to_one() -> None:
    track = np.array([100.0, 100, 0, 100, 100])
    assert postprocess.resize_world(track, 5).tolist() == track.tolist()
    doubled = postprocess.resize_world(track, 10)
    assert doubled.tolist() == [100, 100, 100, 0, 0, 0, 100, 100, 100, 100]


@pytest.mark.parametrize("count", [3, 40, 1001])
def test_nearest_stretch_never_reads_past_the_end(count: int) -> None:
    track = np.arange(1, count + 1)
    for length in (1, 2, count - 1, count, count + 1, 7 * count):
        stretched = postprocess.stretch_nearest(track, length)
        assert stretched[0] == 1
        assert stretched.max() <= count
        assert (np.diff(stretched) >= 0).all()


def test_pools_ignore_missing_values() -> None:
    values = np.array([1, np.nan, 3, np.nan, np.nan, np.nan, 8])
    assert postprocess.median3(values)[:4].tolist() == [1, 1, 3, 3]
    assert np.isnan(postprocess.median3(values)[4])
    assert postprocess.mean3(values)[:4].tolist() == [1, 2, 3, 3]
    assert np.isnan(postprocess.mean3(values)[4])


def test_bins_of_the_two_rules_part_above_the_range_only() -> None:
    inside = np.linspace(50, 1100, 5000)
    new, old = postprocess.coarse_bins(inside), postprocess.coarse_bins(inside, "4.0")
    assert (new == old).mean() > 0.999
    assert new[0] == 1
    assert new[-1] == 255
    assert postprocess.coarse_bins([0.0, 20.0, 1300.0]).tolist() == [1, 1, 0]
    assert postprocess.coarse_bins([0.0, 20.0, 1300.0], "4.0").tolist() == [1, 1, 255]


def test_log_f0_and_back() -> None:
    hz = np.array([[0.0, 50.0, 440.0, 1100.0]])
    assert postprocess.log_f0(hz)[0, 0] == 0
    np.testing.assert_allclose(postprocess.hz_of(postprocess.log_f0(hz)), hz, rtol=1e-5, atol=1e-3)


def test_normalised_log_f0_has_mean_zero_over_voiced_frames() -> None:
    hz = np.random.default_rng(0).uniform(100, 400, (2, 50)).astype(np.float32)
    voiced = np.random.default_rng(1).random((2, 50)) < 0.6
    lf0 = postprocess.log_f0(hz)[:, None]
    mask = np.ones((2, 1, 50))
    plain = postprocess.normalise_lf0(lf0, voiced, mask)
    for row in range(2):
        assert abs(plain[row, 0, voiced[row]].mean()) < 1e-6
    scaled = postprocess.normalise_lf0(lf0, voiced, mask, [2.0, 0.5])
    np.testing.assert_allclose(scaled, plain * np.array([2.0, 0.5])[:, None, None], rtol=1e-6)
    unvoiced = postprocess.normalise_lf0(lf0, np.zeros((2, 50)), mask)
    np.testing.assert_allclose(unvoiced, lf0)
