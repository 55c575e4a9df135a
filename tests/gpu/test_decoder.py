"""The decoder on a GPU: half precision within its gate, graphs that give what the net gives."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from sovits.core.device import Compute  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.nets.serving import serving  # noqa: E402
from sovits.nets.serving.decoder import PlainDecoder  # noqa: E402
from sovits.nets.serving.graphs import GraphedDecoder  # noqa: E402
from sovits.nets.serving.windows import cover, in_windows  # noqa: E402
from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig  # noqa: E402
from tests.unit.nets.test_serving import BASE, filled, log_mel, synthesizer  # noqa: E402
from tests.unit.nets.test_windows import SMALL  # noqa: E402

GATE = 0.02
#: One that goes through as it is, one window, several, the same ones again in another order.
LENGTHS = (30, 64, 700, 100, 64, 700, 65)
Given = tuple[Tensor, Tensor, Tensor]


def decoder(device: str) -> HifiGan:
    """Of the official shape at a quarter of the width; on a CPU, which only tries out the tests, far smaller."""
    wide = HifiGanConfig(inputs=6, channels=128, conditioning=5)
    net = filled(HifiGan(wide if device == "cuda" else SMALL))
    assert isinstance(net, HifiGan)
    return net


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Float32 convolutions in float32 and always in the same order of sums."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def inputs(frames: int, device: str, seed: int = 0) -> Given:
    """For the decoder of a device, on the device."""
    random = np.random.default_rng([frames, seed])
    hop = decoder_hop(device)
    shapes = ((1, 6, frames), (1, 1, frames * hop), (1, 5, 1))
    x, source, g = (torch.from_numpy(random.standard_normal(shape).astype(np.float32)).to(device) for shape in shapes)
    return x, 0.1 * source, g


def decoder_hop(device: str) -> int:
    return 512 if device == "cuda" else SMALL.hop


def eager(net: GraphedDecoder, given: Given) -> Tensor:
    windows = cover(given[0].shape[2], net.sizes, net.reach)
    return in_windows(net.inner.decode, windows, *given, net.config.hop)


def graphed(device: str, kind: torch.dtype) -> GraphedDecoder:
    return GraphedDecoder(PlainDecoder(decoder(device).to(device), kind))


def assert_near(got: Tensor, want: Tensor) -> None:
    """Rounding of half precision at most."""
    assert got.shape == want.shape and got.dtype == torch.float32
    assert float((got - want).abs().max() / want.abs().max()) < 2e-3


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_graphs_give_what_the_net_gives(device: str, kind: torch.dtype, caplog: pytest.LogCaptureFixture) -> None:
    net = graphed(device, kind)
    with exact(), caplog.at_level(logging.WARNING):
        for seed, frames in enumerate(LENGTHS):
            given = inputs(frames, device, seed)
            assert_near(net.decode(*given), eager(net, given))
    assert (net.graphs is None) == bool(caplog.records) == (device == "cpu")


def test_half_precision_in_windows_passes_the_gate(device: str) -> None:
    net = graphed(device, torch.float16)
    given = inputs(300, device)
    with torch.no_grad():
        want = decoder(device).decode(*(value.cpu() for value in given))
    got = net.decode(*given).cpu()
    assert not torch.equal(got, want)
    assert float((log_mel(got) - log_mel(want)).abs().mean()) <= GATE


def test_a_replay_gives_the_same_bytes(device: str) -> None:
    net = graphed(device, torch.float16)
    with exact():
        first = [net.decode(*inputs(frames, device)) for frames in LENGTHS]
        again = [net.decode(*inputs(frames, device)) for frames in reversed(LENGTHS)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_results_outlive_the_next_call(device: str) -> None:
    net = graphed(device, torch.float32)
    first = net.decode(*inputs(64, device, 1))
    kept = first.clone()
    net.decode(*inputs(64, device, 2))
    net.decode(*inputs(700, device, 3))
    assert torch.equal(first, kept)


@pytest.mark.parametrize("recorded_in_inference_mode", [False, True])
def test_calls_in_and_outside_inference_mode(device: str, recorded_in_inference_mode: bool) -> None:
    net, given = graphed(device, torch.float32), inputs(128, device)
    with torch.inference_mode(recorded_in_inference_mode):
        first = net.decode(*given)
    with torch.inference_mode(not recorded_in_inference_mode):
        second = net.decode(*given)
    assert_near(second.clone(), first.clone())


def test_mixed_precision_around_a_recording_changes_nothing(device: str) -> None:
    one, other = (graphed(device, torch.float32) for _ in range(2))
    given = inputs(128, device)
    with exact():
        with torch.autocast(device, torch.bfloat16):
            got = one.decode(*given)
        assert torch.equal(got, other.decode(*given))


def test_threads_share_graphs(device: str) -> None:
    net = graphed(device, torch.float32)
    with exact():
        alone = [eager(net, inputs(frames, device)) for frames in LENGTHS]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda frames: net.decode(*inputs(frames, device)), LENGTHS * 3))
    for got, want in zip(together, alone * 3, strict=True):
        assert_near(got, want)


def test_two_nets_are_recorded_in_two_threads(device: str) -> None:
    nets = [graphed(device, torch.float32) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda net: net.decode(*inputs(700, device)), nets))
    assert all((net.graphs is None) == (device == "cpu") for net in nets)
    for got in made:
        assert_near(got, eager(nets[0], inputs(700, device)))


def test_streams_share_graphs(cuda: str) -> None:
    net = graphed(cuda, torch.float32)
    given = [inputs(512, cuda, seed) for seed in range(8)]
    want = [eager(net, each) for each in given]
    streams = [torch.cuda.Stream() for _ in given]
    torch.cuda.synchronize()
    found = []
    for stream, each in zip(streams, given, strict=True):
        with torch.cuda.stream(stream):
            found.append(net.decode(*each))
    torch.cuda.synchronize()
    for got, wanted in zip(found, want, strict=True):
        assert_near(got, wanted)


def test_serving_takes_graphs_on_a_gpu(cuda: str) -> None:
    net = serving(synthesizer(BASE).to(cuda), Compute(cuda, "auto"))
    assert isinstance(net.dec, GraphedDecoder)
    assert net.dec.inner.dtype == torch.float16


def test_the_vocoder_in_half_precision(device: str) -> None:
    sizes = HifiGanConfig(inputs=20, channels=64) if device == "cuda" else replace(SMALL, inputs=20, conditioning=None)
    net = filled(HifiGan(replace(sizes, frame_rate_phase=True)))
    assert isinstance(net, HifiGan)
    mel = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 20, 200)).astype(np.float32))
    f0 = torch.full((1, 200), 330.0)
    with torch.no_grad():
        want = net(mel, f0, SeededNoise(2))
    half = GraphedDecoder(PlainDecoder(net.to(device), torch.float16))
    with torch.inference_mode(), torch.autocast(device, torch.float16):
        got = half(mel.to(device), f0.to(device), SeededNoise(2)).cpu()
    assert float((log_mel(got) - log_mel(want)).abs().mean()) <= GATE
