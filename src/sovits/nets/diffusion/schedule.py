"""Noise schedules: the discrete DDPM tables, and the continuous view that the fast solvers use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sovits.nets.diffusion.config import MAX_BETA

#: Names under which official files hold the tables, in their order.
TABLES = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)


def tables(timesteps: int, max_beta: float = MAX_BETA) -> dict[str, Tensor]:
    """The DDPM tables (Ho, Jain and Abbeel 2020), computed in float64, stored in float32 [timesteps]."""
    betas = np.linspace(1e-4, max_beta, timesteps)
    alphas = 1 - betas
    kept = np.cumprod(alphas)
    before = np.append(1.0, kept[:-1])
    variance = betas * (1 - before) / (1 - kept)
    values = (
        betas,
        kept,
        before,
        np.sqrt(kept),
        np.sqrt(1 - kept),
        np.log(1 - kept),
        np.sqrt(1 / kept),
        np.sqrt(1 / kept - 1),
        variance,
        np.log(np.maximum(variance, 1e-20)),
        betas * np.sqrt(before) / (1 - kept),
        (1 - before) * np.sqrt(alphas) / (1 - kept),
    )
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in zip(TABLES, values, strict=True)}


@dataclass(frozen=True)
class ContinuousSchedule:
    """Continuous time in (0, 1] over the first N discrete steps: t_i = (i+1)/N, log alpha linear in between.

    Attributes:
        log_alphas: float32 [N'], N' <= N after clipping. ``points``: N' of them, the times of ``log_alphas``.
    """

    times: Tensor
    log_alphas: Tensor

    @classmethod
    def of(cls, betas: Tensor, *, clip_log_snr: float | None = None) -> ContinuousSchedule:
        """From discrete betas [N].

        Args:
            clip_log_snr: drop trailing points whose half log-SNR lies below this (the dpm solvers use -5.1).
        """
        log_alphas = 0.5 * torch.log(1 - betas).cumsum(0)
        if clip_log_snr is not None:
            half_log_snr = log_alphas - 0.5 * torch.log(1 - torch.exp(2 * log_alphas))
            log_alphas = log_alphas[half_log_snr >= clip_log_snr]
        count = len(log_alphas)
        return cls(torch.linspace(0, 1, count + 1)[1:].to(betas), log_alphas)

    @property
    def points(self) -> int:
        """Number of discrete points N."""
        return len(self.times)

    def uniform(self, steps: int) -> Tensor:
        """``steps`` + 1 uniform times from 1 down to 1/N."""
        return torch.linspace(1, 1 / self.points, steps + 1).to(self.times)

    def log_alpha(self, time: Tensor) -> Tensor:
        """Linear interpolation, and extrapolation at the ends, at times of any shape."""
        right = torch.searchsorted(self.times, time.contiguous()).clamp(1, self.points - 1)
        x0, x1 = self.times[right - 1], self.times[right]
        y0, y1 = self.log_alphas[right - 1], self.log_alphas[right]
        return y0 + (time - x0) * (y1 - y0) / (x1 - x0)

    def sigma(self, time: Tensor) -> Tensor:
        """Standard deviation of the noise at a time."""
        return torch.sqrt(1 - torch.exp(2 * self.log_alpha(time)))

    def half_log_snr(self, time: Tensor) -> Tensor:
        """lambda = ln alpha - ln sigma."""
        log_alpha = self.log_alpha(time)
        return log_alpha - 0.5 * torch.log(1 - torch.exp(2 * log_alpha))

    def inverse(self, half_log_snr: Tensor) -> Tensor:
        """The time at which lambda has a value."""
        log_alpha = -0.5 * torch.logaddexp(torch.zeros_like(half_log_snr), -2 * half_log_snr)
        alphas, times = self.log_alphas.flip(0), self.times.flip(0)
        right = torch.searchsorted(alphas, log_alpha.contiguous()).clamp(1, self.points - 1)
        x0, x1, y0, y1 = alphas[right - 1], alphas[right], times[right - 1], times[right]
        return y0 + (log_alpha - x0) * (y1 - y0) / (x1 - x0)

    def net_time(self, time: Tensor) -> Tensor:
        """The (fractional) discrete step that the net is told: (s - 1/N) N."""
        return (time - 1 / self.points) * self.points
