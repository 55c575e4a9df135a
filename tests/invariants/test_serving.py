"""Serving nets keep nothing of a call: the same bytes again, in any order, and in several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch")

from sovits.core.device import Compute  # noqa: E402
from sovits.core.errors import CancelledError  # noqa: E402
from sovits.core.progress import Cancel  # noqa: E402
from sovits.engines.svc_watch import LayerWatch  # noqa: E402
from sovits.nets.serving import serving  # noqa: E402
from tests.unit.nets.test_serving import BASE, sing, synthesizer  # noqa: E402

LENGTHS = (3, 40, 1, 17)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_calls_do_not_touch_each_other(precision: str) -> None:
    net = serving(synthesizer(BASE), Compute(precision=precision))
    first = [sing(net, frames) for frames in LENGTHS]
    again = [sing(net, frames) for frames in reversed(LENGTHS)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_threads_share_a_net(precision: str) -> None:
    net = serving(synthesizer(BASE), Compute(precision=precision))
    alone = [sing(net, frames) for frames in LENGTHS]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frames: sing(net, frames), LENGTHS * 3))
    for got, want in zip(together, alone * 3, strict=True):
        # oneDNN may share its work among threads otherwise, which moves the last bit
        assert float((got - want).abs().max()) <= (1e-6 if precision == "float32" else 1e-2)


def test_every_window_asks_whether_to_stop() -> None:
    net = serving(synthesizer(BASE), Compute())
    cancel = Cancel()
    watch, asked = LayerWatch([net]), []

    def stop(*_: object) -> None:
        asked.append(1)
        cancel.cancel()

    net.dec.stages[2].register_forward_pre_hook(stop)
    with watch.under(cancel), pytest.raises(CancelledError):
        sing(net, 40)
    assert len(asked) == 1
