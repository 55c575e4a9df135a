"""Half precision is for the matrix work of the nets; pitch, and what a sampler adds up, keep float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.unit.nets.test_serving import BASE, inputs, synthesizer  # noqa: E402
from torch import Tensor  # noqa: E402

from sovits.core.rng import Noise, SeededNoise  # noqa: E402
from sovits.nets.diffusion.config import DiffusionConfig  # noqa: E402
from sovits.nets.diffusion.samplers import SAMPLERS, Denoise, Tick  # noqa: E402
from sovits.nets.diffusion.unit2mel import Unit2Mel  # noqa: E402
from sovits.zoo.tiny import filled  # noqa: E402


@contextlib.contextmanager
def mixed() -> Iterator[None]:
    """What the engine does around its nets on a GPU."""
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        yield


def test_predicted_pitch_has_no_steps() -> None:
    """bfloat16 has 128 values in an octave; the pitch of 200 frames has one each."""
    net = synthesizer(BASE)
    with mixed():
        f0 = net.infer(
            **inputs(BASE, 200), speaker=torch.ones(1, 1, dtype=torch.int64), noise=SeededNoise(3), predict_f0=True
        )[1]
    assert f0.dtype == torch.float32
    assert len(f0.unique()) == 200


@pytest.mark.parametrize("speakers", [1, 3])
def test_a_sampler_adds_up_in_float32(speakers: int) -> None:
    config = DiffusionConfig(units=12, layers=2, channels=24, hidden=24, speakers=speakers)
    net = filled(lambda: Unit2Mel(config), SeededNoise(0))
    random, seen = np.random.default_rng(0), []

    def sampler(
        denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
    ) -> Tensor:
        def watched(y: Tensor, step: Tensor) -> Tensor:
            predicted = denoise(y, step)
            seen.append((y.dtype, predicted.dtype))
            return predicted

        return SAMPLERS["dpm-solver++"](watched, x, tables, steps, speedup, noise, tick)

    units, speaker = torch.from_numpy(random.standard_normal((1, 20, 12)).astype(np.float32)), torch.zeros(1, 1).long()
    with mixed():
        condition = net.condition(units, torch.full((1, 20, 1), 220.0), torch.full((1, 20, 1), 0.1), speaker)
        mel = net.infer(condition, SeededNoise(1), sampler, speedup=100)
    assert mel.dtype == torch.float32
    assert set(seen) == {(torch.float32, torch.bfloat16)}
