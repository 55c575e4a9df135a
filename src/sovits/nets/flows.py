"""Mean-only affine coupling flows of VITS: residual (WN) and transformer couplings, optionally sharing parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Coupling(nn.Module):
    """``x1 +- post(enc(pre(x0), g))`` on the halves of the channels."""

    def __init__(self, channels: int, hidden: int, enc: nn.Module) -> None:
        super().__init__()
        self.side = channels // 2
        self.pre = nn.Conv1d(self.side, hidden, 1)
        self.enc = enc
        self.post = nn.Conv1d(hidden, self.side, 1)
        nn.init.zeros_(self.post.weight)
        if self.post.bias is not None:
            nn.init.zeros_(self.post.bias)

    def forward(self, x: Tensor, mask: Tensor, g: Tensor, *, inverse: bool = False) -> Tensor:
        """x [B, C, T], mask [B, 1, T], g [B, conditioning, 1 or T] -> [B, C, T]."""
        x0, x1 = x.split(self.side, dim=1)
        shift = self.post(self.enc(self.pre(x0) * mask, mask, g)) * mask
        moved = x1 - shift if inverse else x1 + shift
        return torch.cat([x0, moved * mask], dim=1)


class Flip(nn.Module):
    """Reverse the channels; its own inverse. A module, because official files count it in the layer numbers."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x.flip(1)


class CouplingFlow(nn.Module):
    """Couplings, each followed by a flip: latent of speech -> prior space; inverse at inference.

    Args:
        encoders: one stack (WN or conditioned CausalEncoder) per coupling; the same object everywhere when the
            parameters are shared, and then official files name it ``wn`` as well.
    """

    def __init__(self, channels: int, hidden: int, encoders: list[nn.Module]) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for encoder in encoders:
            steps += [Coupling(channels, hidden, encoder), Flip()]
        self.flows = nn.ModuleList(steps)
        # Registered after the couplings: "flows.0.enc" is the first name of a shared stack, as in official files.
        self.wn = encoders[0] if len(encoders) > 1 and encoders[0] is encoders[-1] else None

    def forward(self, x: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        """Speech latent to prior space; x [B, C, T], mask [B, 1, T], g [B, conditioning, 1 or T]."""
        for step in self.flows:
            x = step(x) if isinstance(step, Flip) else step(x, mask, g)
        return x

    def inverse(self, x: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        """Prior space to speech latent, shapes as :meth:`forward`."""
        for step in reversed(self.flows):
            x = step(x) if isinstance(step, Flip) else step(x, mask, g, inverse=True)
        return x
