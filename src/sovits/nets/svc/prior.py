"""Prior encoder of the svc net: content and pitch -> mean and log scale of the latent (spec section 3)."""

from __future__ import annotations

from torch import Tensor, nn

from sovits.core.rng import Noise
from sovits.nets.attention import RelativeEncoder
from sovits.nets.posterior import draw_latent
from sovits.nets.svc.pitch import BINS


class PriorEncoder(nn.Module):
    """Adds the pitch embedding, runs the relative transformer and draws the latent."""

    def __init__(
        self, latent: int, hidden: int, inner: int, heads: int, layers: int, kernel: int, dropout: float
    ) -> None:
        super().__init__()
        self.latent = latent
        self.f0_emb = nn.Embedding(BINS, hidden)
        self.enc_ = RelativeEncoder(hidden, inner, heads, layers, kernel, dropout)
        self.proj = nn.Conv1d(hidden, 2 * latent, 1)

    def statistics(self, x: Tensor, mask: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, H, T], mask [B, 1, T], bins int64 [B, T] -> mean and log scale, each [B, latent, T]."""
        x = x + self.f0_emb(bins).transpose(1, 2)
        mean, log_scale = (self.proj(self.enc_(x * mask, mask)) * mask).split(self.latent, dim=1)
        return mean, log_scale

    def forward(
        self, x: Tensor, mask: Tensor, bins: Tensor, noise: Noise, scale: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`statistics`, and a draw: z, mean, log scale, each [B, latent, T]."""
        mean, log_scale = self.statistics(x, mask, bins)
        return draw_latent(mean, log_scale, noise, "prior", scale) * mask, mean, log_scale
