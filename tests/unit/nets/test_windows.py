"""Windows of fixed lengths against one pass: the same samples, for every kind of decoder."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.unit.nets.test_serving import filled  # noqa: E402
from torch import Tensor  # noqa: E402

from sovits.nets.serving.windows import cover, in_windows, reach  # noqa: E402
from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig  # noqa: E402

SMALL = HifiGanConfig(
    inputs=6,
    channels=16,
    rates=(4, 2, 2),
    kernels=(8, 4, 4),
    resblock_kernels=(3, 7),
    resblock_dilations=((1, 3, 5), (1, 3, 5)),
    conditioning=5,
)
KINDS = {
    "pairs": SMALL,
    "singles": replace(SMALL, resblock="2"),
    "snake": replace(SMALL, snake=True),
    "odd rates": replace(SMALL, channels=8, rates=(7, 3), kernels=(15, 5)),
    "vocoder": replace(SMALL, conditioning=None),
    "short kernels": replace(SMALL, channels=8, rates=(8, 2), kernels=(8, 2)),
}


def decoder(name: str) -> HifiGan:
    """In float64: what is left of a difference is no rounding."""
    net = filled(HifiGan(KINDS[name]))
    assert isinstance(net, HifiGan)
    return net.double()


def inputs(net: HifiGan, frames: int, condition: int = 1) -> tuple[Tensor, Tensor, Tensor | None]:
    random = np.random.default_rng(frames)
    x = torch.from_numpy(random.standard_normal((1, net.config.inputs, frames)))
    source = torch.from_numpy(random.standard_normal((1, 1, frames * net.config.hop)))
    if net.config.conditioning is None:
        return x, source, None
    return x, source, torch.from_numpy(random.standard_normal((1, net.config.conditioning, condition)))


@torch.no_grad()
def difference(net: HifiGan, given: tuple[Tensor, Tensor, Tensor | None], sizes: tuple[int, ...], margin: int) -> float:
    """Largest difference between windows with this margin and one pass, of the largest sample."""
    windows = cover(given[0].shape[2], sizes, margin)
    assert len(windows) > 2
    got, want = in_windows(net.decode, windows, *given, net.config.hop), net.decode(*given)
    assert got.shape == want.shape
    return float((got - want).abs().max() / want.abs().max())


@pytest.mark.parametrize("name", KINDS)
def test_windows_give_the_samples_of_one_pass(name: str) -> None:
    net = decoder(name)
    margin = reach(net)
    sizes = (2 * margin + 1, 3 * margin, 5 * margin)
    # The sines of a snake make rounding larger.
    assert difference(net, inputs(net, 17 * margin + 3), sizes, margin) < 1e-10


def test_a_condition_that_changes_over_time_is_cut_too() -> None:
    net = decoder("pairs")
    margin = reach(net)
    given = inputs(net, 200, condition=200)
    assert difference(net, given, (4 * margin,), margin) < 1e-10


def test_without_margins_the_joins_differ() -> None:
    net = decoder("pairs")
    assert difference(net, inputs(net, 300), (60,), 0) > 1e-3


@pytest.mark.parametrize("name", KINDS)
def test_the_reach_is_what_the_net_hears(name: str) -> None:
    """Of one frame that is no number, everything that depends on it becomes none."""
    net = decoder(name)
    margin, hop = reach(net), net.config.hop
    frames, at = 4 * margin + 1, 2 * margin
    x, source, g = inputs(net, frames)
    x[:, :, at] = source[:, :, at * hop : (at + 1) * hop] = torch.nan
    with torch.no_grad():
        spoilt = net.decode(x, source, g)[0, 0].isnan().nonzero()[:, 0]
    before, after = at * hop - int(spoilt[0]), int(spoilt[-1]) + 1 - (at + 1) * hop
    assert -(-max(before, after) // hop) == margin


def test_the_reach_of_the_official_decoder() -> None:
    assert reach(HifiGan(HifiGanConfig(inputs=192))) == 13


@pytest.mark.parametrize("margin", [0, 1, 14])
@pytest.mark.parametrize("sizes", [(64, 128, 256, 512), (64,), (29, 33)])
def test_every_frame_is_kept_once_and_heard_with_its_margin(sizes: tuple[int, ...], margin: int) -> None:
    for frames in itertools.chain(range(1, 300), range(300, 2500, 37)):
        windows = cover(frames, sizes, margin)
        assert windows[0].first == 0 and windows[-1].last == frames
        assert all(before.last == after.first for before, after in itertools.pairwise(windows))
        for window in windows:
            assert 0 <= window.start <= window.first < window.last <= window.stop <= frames
            assert window.start == 0 or window.first - window.start >= margin
            assert window.stop == frames or window.stop - window.last >= margin
            assert window.stop - window.start in (sizes if frames >= sizes[0] else (frames,))


def test_windows_compute_little_more_than_is_kept() -> None:
    """A minute in the windows that serve: the margins, and not another window's length at the end."""
    computed = [
        sum(window.stop - window.start for window in cover(frames, (64, 128, 256, 512), 14)) / frames
        for frames in range(1000, 5000, 7)
    ]
    assert max(computed) < 1.15
