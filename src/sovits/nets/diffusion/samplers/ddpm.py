"""Ancestral sampling (Ho, Jain and Abbeel 2020): every discrete step, x0 clamped to [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from sovits.core.rng import Noise
from sovits.nets.diffusion.samplers.protocol import Denoise, Tick


def ddpm(
    denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
) -> Tensor:
    """See :class:`~sovits.nets.diffusion.samplers.Sampler`; ``speedup`` is not used."""
    for step in reversed(range(steps)):
        tick()
        eps = denoise(x, torch.full((x.shape[0],), step, device=x.device))
        x0 = tables["sqrt_recip_alphas_cumprod"][step] * x - tables["sqrt_recipm1_alphas_cumprod"][step] * eps
        x0 = x0.clamp(-1, 1)
        x = tables["posterior_mean_coef1"][step] * x0 + tables["posterior_mean_coef2"][step] * x
        if step > 0:
            # Drawn as [B, 1, bins, T]: the shape is part of the rule under which the recorded numbers were made.
            drawn = noise.normal("ddpm", (x.shape[0], 1, *x.shape[1:]))
            x = x + (0.5 * tables["posterior_log_variance_clipped"][step]).exp() * torch.from_numpy(drawn[:, 0]).to(x)
    return x
