"""The two samplers on the discrete grid 0, speedup, 2 speedup, ..: DDIM and PNDM (PLMS)."""

from __future__ import annotations

import torch
from torch import Tensor

from sovits.core.rng import Noise
from sovits.nets.diffusion.samplers.protocol import Denoise, Tick

#: Adams-Bashforth weights of the newest predictions, newest first.
ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def transfer(x: Tensor, eps: Tensor, now: Tensor, before: Tensor) -> Tensor:
    """The deterministic step from cumulative alpha ``now`` to ``before`` (Liu et al. 2022, eq. 11)."""
    root_now, root_before = now.sqrt(), before.sqrt()
    keep = 1 / (root_now * (root_now + root_before))
    drop = 1 / (root_now * (((1 - before) * now).sqrt() + ((1 - now) * before).sqrt()))
    return x + (before - now) * (keep * x - drop * eps)


def ddim(
    denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
) -> Tensor:
    """DDIM with eta 0 (Song, Meng and Ermon 2021). The last step ends at discrete step 0, not at x0 (kept)."""
    kept = tables["alphas_cumprod"]
    for step in reversed(range(0, steps, speedup)):
        tick()
        now, before = kept[step], kept[max(step - speedup, 0)]
        eps = denoise(x, torch.full((x.shape[0],), step, device=x.device))
        x0 = (x - (1 - now).sqrt() * eps) / now.sqrt()
        x = before.sqrt() * x0 + (1 - before).sqrt() * eps
    return x


def pndm(
    denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
) -> Tensor:
    """PNDM (Liu et al. 2022): improved Euler once, then Adams-Bashforth of rising order."""
    kept = tables["alphas_cumprod"]
    history: list[Tensor] = []
    for step in reversed(range(0, steps, speedup)):
        tick()
        previous = max(step - speedup, 0)
        now, before = kept[step], kept[previous]
        eps = denoise(x, torch.full((x.shape[0],), step, device=x.device))
        if history:
            weights = ADAMS_BASHFORTH[min(len(history), 3)]
            slope = sum(weight * past for weight, past in zip(weights, [eps, *reversed(history)], strict=False))
        else:
            ahead = denoise(transfer(x, eps, now, before), torch.full((x.shape[0],), previous, device=x.device))
            slope = (eps + ahead) / 2
        history = [*history[-2:], eps]
        x = transfer(x, torch.as_tensor(slope), now, before)
    return x
