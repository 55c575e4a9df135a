"""Losses of the VITS family: plain functions (spec section 9)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Least-squares loss (Mao et al. 2017) over the scores of all discriminators.

    Returns:
        the sum, and the real and the fake part of each discriminator (scalars).
    """
    on_real = [((1 - score.float()) ** 2).mean() for score in real]
    on_fake = [(score.float() ** 2).mean() for score in fake]
    return torch.stack([*on_real, *on_fake]).sum(), on_real, on_fake


def generator_loss(fake: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Least-squares loss of the generator: the sum, and the part of each discriminator (scalars)."""
    parts = [((1 - score.float()) ** 2).mean() for score in fake]
    return torch.stack(parts).sum(), parts


def feature_loss(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """Feature matching: twice the summed mean distance of all feature maps; no gradient flows into the real ones."""
    parts = [
        (one.float().detach() - other.float()).abs().mean()
        for reals, fakes in zip(real, fake, strict=True)
        for one, other in zip(reals, fakes, strict=True)
    ]
    return 2 * torch.stack(parts).sum()


def kl_loss(z_p: Tensor, log_scale_q: Tensor, mean_p: Tensor, log_scale_p: Tensor, mask: Tensor) -> Tensor:
    """KL of posterior against prior, summed over channels and divided by the number of valid frames.

    Args:
        z_p, log_scale_q, mean_p, log_scale_p: [B, C, T]. ``mask``: [B, 1, T].
    """
    z_p, log_scale_q, mean_p, log_scale_p, mask = (x.float() for x in (z_p, log_scale_q, mean_p, log_scale_p, mask))
    kl = log_scale_p - log_scale_q - 0.5 + 0.5 * (z_p - mean_p) ** 2 * torch.exp(-2 * log_scale_p)
    return (kl * mask).sum() / mask.sum()
