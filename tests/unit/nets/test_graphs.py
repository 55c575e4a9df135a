"""What of the decoder with CUDA graphs holds without CUDA: windows, and going on where nothing can be recorded.

The graphs themselves: ``tests/gpu``.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.unit.nets.test_serving import assert_same, filled  # noqa: E402
from tests.unit.nets.test_windows import SMALL  # noqa: E402
from torch import Tensor  # noqa: E402

from sovits.core.errors import CancelledError  # noqa: E402
from sovits.core.progress import Cancel  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.engines.svc_watch import LayerWatch  # noqa: E402
from sovits.nets.serving.decoder import PlainDecoder  # noqa: E402
from sovits.nets.serving.graphs import GraphedDecoder, RecordingError  # noqa: E402
from sovits.nets.serving.windows import Decode  # noqa: E402
from sovits.nets.vocoders.hifigan import HifiGan  # noqa: E402

SIZES = (48, 64, 96)


def plain(dtype: torch.dtype = torch.float32) -> PlainDecoder:
    net = filled(HifiGan(SMALL))
    assert isinstance(net, HifiGan)
    return PlainDecoder(net, dtype)


def call(net: PlainDecoder | GraphedDecoder, frames: int, condition: int = 1, batch: int = 1) -> Tensor:
    random = np.random.default_rng(frames)
    x, g = (
        torch.from_numpy(random.standard_normal((batch, channels, length)).astype(np.float32))
        for channels, length in ((SMALL.inputs, frames), (SMALL.conditioning, condition))
    )
    made = net(x, torch.full((batch, frames), 220.0), SeededNoise(1), g)
    assert isinstance(made, Tensor)
    return made


class Shapes:
    """Calls the function as it is and notes the shapes that a recorder would meet."""

    def __init__(self, function: Decode) -> None:
        self.function = function
        self.seen: set[tuple[int, int | None]] = set()

    def __call__(self, x: Tensor, source: Tensor, g: Tensor | None) -> Tensor:
        self.seen.add((x.shape[2], None if g is None else g.shape[2]))
        return self.function(x, source, g)


@pytest.mark.parametrize("frames", [47, 48, 100, 333])
def test_without_cuda_it_decodes_as_it_stands_and_says_so_once(frames: int, caplog: pytest.LogCaptureFixture) -> None:
    net, want = GraphedDecoder(plain(), SIZES), call(plain(), frames)
    with caplog.at_level(logging.WARNING):
        assert_same(call(net, frames), want)
        assert_same(call(net, frames), want)
    # What is shorter than every window is not recorded at all.
    assert len(caplog.records) == (0 if frames < 48 else 1)


def test_few_shapes_reach_the_recorder() -> None:
    made: list[Shapes] = []

    def watched(function: Decode) -> Decode:
        made.append(Shapes(function))
        return made[-1]

    net = GraphedDecoder(plain(), (12, *SIZES), graphs=watched)
    assert 2 * net.reach >= 12
    for frames in range(1, 400, 29):
        assert_same(call(net, frames), call(net.inner, frames))
        assert_same(call(net, frames, frames), call(net.inner, frames, frames))
    assert made[0].seen == {(size, length) for size in SIZES for length in (1, size)}


def test_a_batch_is_decoded_as_it_stands() -> None:
    net = GraphedDecoder(plain(), SIZES)
    assert torch.equal(call(net, 100, batch=2), call(net.inner, 100, batch=2))


def test_recording_that_fails_later_leaves_the_result_whole() -> None:
    def breaking(function: Decode) -> Decode:
        def run(x: Tensor, source: Tensor, g: Tensor | None) -> Tensor:
            if x.shape[2] == 48:
                raise RecordingError("no")
            return function(x, source, g)

        return run

    net = GraphedDecoder(plain(), SIZES, graphs=breaking)
    assert_same(call(net, 333), call(net.inner, 333))


def test_an_error_of_the_net_is_not_hidden() -> None:
    net = GraphedDecoder(plain(), SIZES)
    with pytest.raises(RuntimeError, match="channels"):
        net.decode(torch.zeros(1, 3, 100), torch.zeros(1, 1, 100 * SMALL.hop))


def test_cancelling_is_no_failure_of_recording() -> None:
    made: list[Shapes] = []
    net = GraphedDecoder(plain(), SIZES, graphs=lambda function: made.append(Shapes(function)) or made[-1])
    watch, cancel = LayerWatch([net]), Cancel()
    cancel.cancel()
    with watch.under(cancel), pytest.raises(CancelledError):
        call(net, 100)
    before = len(made[0].seen)
    call(net, 100)
    assert len(made[0].seen) > before


@pytest.mark.parametrize("outer", [torch.bfloat16, None])
def test_mixed_precision_around_it_changes_nothing(outer: torch.dtype | None) -> None:
    net = GraphedDecoder(plain(), SIZES)
    want = call(net, 100)
    with torch.inference_mode(), torch.autocast("cpu", outer, enabled=outer is not None):
        got = call(net, 100)
    assert got.dtype == torch.float32
    assert torch.equal(got, want)


def test_half_precision_stays_close(caplog: pytest.LogCaptureFixture) -> None:
    net = GraphedDecoder(plain(torch.float16), SIZES)
    got, want = call(net, 100), call(plain(), 100)
    assert got.dtype == torch.float32 and not torch.equal(got, want)
    assert float((got - want).abs().max() / want.abs().max()) < 0.02


def test_threads_share_a_decoder() -> None:
    net = GraphedDecoder(plain(), SIZES)
    lengths = (100, 48, 333, 7)
    alone = [call(net, frames) for frames in lengths]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frames: call(net, frames), lengths * 3))
    for got, want in zip(together, alone * 3, strict=True):
        assert_same(got, want)


def test_it_answers_as_the_decoder_does() -> None:
    net = GraphedDecoder(plain(), SIZES)
    assert net.config == SMALL
    assert net.m_source is net.inner.m_source
    longer = replace(SMALL, resblock_kernels=(3, 11))
    built = filled(HifiGan(longer))
    assert isinstance(built, HifiGan)
    assert GraphedDecoder(PlainDecoder(built, torch.float32)).reach > net.reach
