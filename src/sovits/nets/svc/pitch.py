"""Pitch inside the svc net: coarse bins, mel-scaled log F0 and the automatic F0 decoder (spec sections 3 and 13)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sovits.core.rng import Noise
from sovits.nets.attention import CausalEncoder

BINS = 256
F0_MIN, F0_MAX = 50.0, 1100.0


def _mel(f0: Tensor) -> Tensor:
    return 1127 * torch.log(1 + f0 / 700)


def coarse_bins(f0: Tensor) -> Tensor:
    """F0 in Hz -> bin 0..255, int64 of the same shape.

    A pitch above about 1102 Hz falls to bin 0, not 255: models were trained with that, so it is kept (K1).
    """
    low = 1127 * torch.log(torch.tensor(1 + F0_MIN / 700, dtype=torch.float64)).item()
    high = 1127 * torch.log(torch.tensor(1 + F0_MAX / 700, dtype=torch.float64)).item()
    scale = (BINS - 2) / (high - low)
    mel = _mel(f0)
    bins = torch.round(torch.where(mel > 0, mel * scale + (1 - low * scale), mel)).long()
    bins = bins.clamp_min(1)
    return torch.where(bins >= BINS, torch.zeros_like(bins), bins)


def log_f0(f0: Tensor) -> Tensor:
    """Mel-scaled log F0 as the decoder sees it: ``2595 log10(1 + f0/700) / 500``."""
    return 2595 * torch.log10(1 + f0 / 700) / 500


def hz(lf0: Tensor) -> Tensor:
    """Inverse of :func:`log_f0`; negative where the decoder predicts below zero."""
    return 700 * (torch.pow(10, lf0 * 500 / 2595) - 1)


def normalise_log_f0(lf0: Tensor, mask: Tensor, voiced: Tensor, noise: Noise | None = None) -> Tensor:
    """Remove each row's mean over voiced frames (spec section 13, W3).

    Args:
        lf0, mask, voiced: [B, 1, T]. ``noise``: in training, draws a factor U(0.8, 1.2) per row; ``None`` means 1.

    Returns:
        [B, 1, T]; unvoiced frames keep ``lf0 - mean``, rows without a voiced frame divide by 9999 (mean about 0).
    """
    count = voiced.sum(dim=2, keepdim=True)
    count = torch.where(count == 0, torch.full_like(count, 9999), count)
    centred = lf0 - (lf0 * voiced).sum(dim=2, keepdim=True) / count
    if noise is not None:
        centred = centred * torch.from_numpy(noise.uniform("lf0 factor", (lf0.shape[0], 1, 1), 0.8, 1.2)).to(lf0)
    return centred * mask


class PitchDecoder(nn.Module):
    """Predicts log F0 from content, speaker and the normalised log F0 of the source."""

    def __init__(self, hidden: int, inner: int, heads: int, layers: int, kernel: int, dropout: float, gin: int) -> None:
        super().__init__()
        self.prenet = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.decoder = CausalEncoder(hidden, inner, heads, layers, kernel, dropout)
        self.proj = nn.Conv1d(hidden, 1, 1)
        self.f0_prenet = nn.Conv1d(1, hidden, 3, padding=1)
        self.cond = nn.Conv1d(gin, hidden, 1)

    def forward(self, x: Tensor, norm: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        """x [B, H, T] (no gradient flows into it), norm [B, 1, T], mask [B, 1, T], g [B, gin, 1 or T] -> [B, 1, T]."""
        x = x.detach() + self.cond(g) + self.f0_prenet(norm)
        x = self.decoder(self.prenet(x) * mask, mask)
        out: Tensor = self.proj(x) * mask
        return out
