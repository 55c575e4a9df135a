"""A recording that CUDA breaks off. In a file that comes last: torch's own bookkeeping may keep a trace of it."""

from __future__ import annotations

import logging

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from sovits.nets.serving.graphs import GraphedDecoder  # noqa: E402
from tests.gpu.test_decoder import assert_near, eager, graphed, inputs  # noqa: E402


def test_what_cannot_be_recorded_is_computed_on_the_same_stream(cuda: str, caplog: pytest.LogCaptureFixture) -> None:
    net, given = graphed(cuda, torch.float32), inputs(700, cuda)
    want, inner, calls = eager(net, given), net.inner.decode, []

    def breaking(x: Tensor, source: Tensor, g: Tensor | None = None) -> Tensor:
        calls.append(1)
        if torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize()  # not permitted while a graph is recorded
        return inner(x, source, g)

    net.inner.decode = breaking  # type: ignore[method-assign]
    broken, before = GraphedDecoder(net.inner), torch.cuda.current_stream()
    with caplog.at_level(logging.WARNING):
        got = broken.decode(*given)
    assert broken.graphs is None and len(calls) > 4 and len(caplog.records) == 1
    assert torch.cuda.current_stream() == before
    assert_near(got, want)
    assert_near(broken.decode(*given), want)
