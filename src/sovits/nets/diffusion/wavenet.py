"""The WaveNet denoiser of Unit2Mel (after DiffSinger, Liu et al. 2021; spec section 7)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class StepEmbedding(nn.Module):
    """Diffusion step, whole or fractional, [B] -> [B, width]: sines, then cosines."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sines = width // 2

    def forward(self, step: Tensor) -> Tensor:
        rates = torch.exp(torch.arange(self.sines, device=step.device) * (-math.log(10000) / (self.sines - 1)))
        angles = step[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualLayer(nn.Module):
    """One gated layer; every layer has dilation 1."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.dilated_conv = nn.Conv1d(channels, 2 * channels, 3, padding=1)
        self.diffusion_projection = nn.Linear(channels, channels)
        self.conditioner_projection = nn.Conv1d(condition, 2 * channels, 1)
        self.output_projection = nn.Conv1d(channels, 2 * channels, 1)

    def forward(self, x: Tensor, condition: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, C, T], condition [B, hidden, T], step [B, C] -> residual and skip, each [B, C, T]."""
        y = self.dilated_conv(x + self.diffusion_projection(step).unsqueeze(2)) + self.conditioner_projection(condition)
        gating, filtered = y.chunk(2, dim=1)
        residual, skip = self.output_projection(torch.sigmoid(gating) * torch.tanh(filtered)).chunk(2, dim=1)
        return (x + residual) / math.sqrt(2), skip


class Denoiser(nn.Module):
    """Noisy mel, step and condition -> predicted noise."""

    def __init__(self, bins: int, layers: int, channels: int, condition: int) -> None:
        super().__init__()
        self.input_projection = nn.Conv1d(bins, channels, 1)
        self.diffusion_embedding = StepEmbedding(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.Mish(), nn.Linear(4 * channels, channels))
        self.residual_layers = nn.ModuleList(ResidualLayer(channels, condition) for _ in range(layers))
        self.skip_projection = nn.Conv1d(channels, channels, 1)
        self.output_projection = nn.Conv1d(channels, bins, 1)

    def forward(self, x: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """x [B, bins, T], step [B], condition [B, hidden, T] -> [B, bins, T]."""
        x = functional.relu(self.input_projection(x))
        embedded = self.mlp(self.diffusion_embedding(step))
        skips = torch.zeros_like(x)
        for layer in self.residual_layers:
            x, skip = layer(x, condition, embedded)
            skips = skips + skip
        x = functional.relu(self.skip_projection(skips / math.sqrt(len(self.residual_layers))))
        out: Tensor = self.output_projection(x)
        return out
