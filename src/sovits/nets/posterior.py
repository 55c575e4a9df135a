"""Posterior encoder of VITS (training only), and the draw of a latent from mean and log deviation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sovits.core.rng import Noise
from sovits.nets.convolution import WN


def draw_latent(mean: Tensor, log_scale: Tensor, noise: Noise, name: str, scale: float = 1.0) -> Tensor:
    """``mean + eps * exp(log_scale) * scale`` with eps standard normal from ``noise``; shapes [B, C, T]."""
    eps = torch.from_numpy(noise.normal(name, tuple(mean.shape))).to(mean)
    return mean + eps * torch.exp(log_scale) * scale


class PosteriorEncoder(nn.Module):
    """Linear spectrogram -> latent: 1x1 convolution, 16 WN layers of kernel 5, 1x1 convolution."""

    def __init__(self, bins: int, latent: int, hidden: int, conditioning: int, *, depthwise: bool = False) -> None:
        super().__init__()
        self.latent = latent
        self.pre = nn.Conv1d(bins, hidden, 1)
        self.enc = WN(hidden, 5, 16, conditioning, depthwise=depthwise)
        self.proj = nn.Conv1d(hidden, 2 * latent, 1)

    def forward(self, spec: Tensor, mask: Tensor, g: Tensor, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
        """spec [B, bins, T], mask [B, 1, T], g [B, conditioning, 1] -> z, mean, log scale, each [B, latent, T]."""
        hidden = self.enc(self.pre(spec) * mask, mask, g)
        mean, log_scale = (self.proj(hidden) * mask).split(self.latent, dim=1)
        return draw_latent(mean, log_scale, noise, "posterior") * mask, mean, log_scale
