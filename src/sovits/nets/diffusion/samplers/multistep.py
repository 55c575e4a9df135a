"""Second-order multistep solvers: DPM-Solver and DPM-Solver++ (Lu et al. 2022), UniPC (Zhao et al. 2023).

Formulas: spec section 13, M8, with l = ln alpha - ln sigma, h = l_t - l_0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sovits.core.errors import OptionError
from sovits.core.rng import Noise
from sovits.nets.diffusion.samplers.protocol import Denoise, Tick
from sovits.nets.diffusion.schedule import ContinuousSchedule

CLIP_LOG_SNR = -5.1
#: From so many steps on, the last DPM-Solver step keeps the second order.
LOWER_LAST_BELOW = 10


class _Walk:
    """Times, and the net in continuous time, predicting noise or data."""

    def __init__(self, denoise: Denoise, schedule: ContinuousSchedule, steps: int, *, data: bool) -> None:
        if steps < 2:
            raise OptionError(
                "the multistep samplers need at least 2 steps", hint="lower the speedup, or raise k_step to 2 x speedup"
            )
        self.denoise, self.schedule, self.data = denoise, schedule, data
        self.times = schedule.uniform(steps)
        self.alphas = torch.exp(schedule.log_alpha(self.times))
        self.sigmas = schedule.sigma(self.times)
        self.lambdas = schedule.half_log_snr(self.times)

    def predict(self, x: Tensor, index: int) -> Tensor:
        step = self.schedule.net_time(self.times[index]).expand(x.shape[0])
        eps = self.denoise(x, step)
        return (x - self.sigmas[index] * eps) / self.alphas[index] if self.data else eps


def _dpm(
    denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, tick: Tick, data: bool
) -> Tensor:
    count = steps // speedup
    schedule = ContinuousSchedule.of(tables["betas"][:steps], clip_log_snr=CLIP_LOG_SNR)
    walk = _Walk(denoise, schedule, count, data=data)
    older: Tensor | None = None
    for index in range(1, count + 1):
        tick()
        newest = walk.predict(x, index - 1)
        h = walk.lambdas[index] - walk.lambdas[index - 1]
        slope = newest
        first_order = index == count and count < LOWER_LAST_BELOW
        if older is not None and not first_order:
            ratio = (walk.lambdas[index - 1] - walk.lambdas[index - 2]) / h
            slope = newest + 0.5 * (newest - older) / ratio
        if data:
            x = walk.sigmas[index] / walk.sigmas[index - 1] * x - walk.alphas[index] * torch.expm1(-h) * slope
        else:
            x = walk.alphas[index] / walk.alphas[index - 1] * x - walk.sigmas[index] * torch.expm1(h) * slope
        older = newest
    return x


def dpm_solver(
    denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
) -> Tensor:
    """DPM-Solver-2, noise prediction; see :class:`~sovits.nets.diffusion.samplers.Sampler`."""
    return _dpm(denoise, x, tables, steps, speedup, tick, data=False)


def dpm_solver_pp(
    denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
) -> Tensor:
    """DPM-Solver++(2M), data prediction without clipping; see :class:`~sovits.nets.diffusion.samplers.Sampler`."""
    return _dpm(denoise, x, tables, steps, speedup, tick, data=True)


def unipc(
    denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
) -> Tensor:
    """UniPC-2 with B(h) = expm1(h), data prediction; the corrector runs everywhere but in the last step."""
    count = steps // speedup
    walk = _Walk(denoise, ContinuousSchedule.of(tables["betas"][:steps]), count, data=True)
    tick()
    newest, older = walk.predict(x, 0), None
    for index in range(1, count + 1):
        order = min(2, index, count + 1 - index)
        h = walk.lambdas[index] - walk.lambdas[index - 1]
        p = torch.expm1(-h)
        base = walk.sigmas[index] / walk.sigmas[index - 1] * x - walk.alphas[index] * p * newest
        past = torch.zeros_like(x)
        ratio = h
        if order == 2 and older is not None:
            ratio = (walk.lambdas[index - 2] - walk.lambdas[index - 1]) / h
            past = (older - newest) / ratio
        predicted = base - walk.alphas[index] * p * past / 2
        if index == count:
            return predicted
        tick()
        following = walk.predict(predicted, index)
        first, second = (torch.zeros_like(h), torch.full_like(h, 0.5)) if order == 1 else _corrector(h, p, ratio)
        x = base - walk.alphas[index] * p * (first * past + second * (following - newest))
        newest, older = following, newest
    return x


def _corrector(h: Tensor, p: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Solve [[1, 1], [ratio, 1]] c = [q1/P, 2 q2/P]."""
    q1 = p / (-h) - 1
    q2 = q1 / (-h) - 0.5
    right_1, right_2 = q1 / p, 2 * q2 / p
    first = (right_2 - right_1) / (ratio - 1)
    return first, right_1 - first
