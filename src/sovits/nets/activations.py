"""Snake-beta activation with anti-aliasing (Ziyin et al. 2020; BigVGAN, Lee et al. 2023); spec section 3."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = 12


def kaiser_sinc(cutoff: float = 0.25, half_width: float = 0.3, taps: int = TAPS) -> Tensor:
    """A Kaiser-windowed sinc low-pass of unit sum, float32 [1, 1, taps]; cutoff in cycles per sample (Kaiser 1974)."""
    half = taps // 2
    attenuation = 2.285 * (half - 1) * math.pi * (4 * half_width) + 7.95
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation >= 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    window = torch.kaiser_window(taps, beta=beta, periodic=False)
    times = torch.arange(-half, half) + 0.5
    kernel = 2 * cutoff * window * torch.sinc(2 * cutoff * times)
    return (kernel / kernel.sum()).view(1, 1, taps)


class SnakeBeta(nn.Module):
    """``x + sin^2(exp(alpha) x) / (exp(beta) + 1e-9)`` with alpha and beta per channel, as logarithms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        frequency, amplitude = self.alpha.exp().view(1, -1, 1), self.beta.exp().view(1, -1, 1)
        return x + torch.sin(x * frequency).pow(2) / (amplitude + 1e-9)


class _Resampler(nn.Module):
    """Holds the filter under its official name; the convolution uses its own exact copy, as the original does."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("filter", kaiser_sinc())
        self.register_buffer("kernel", kaiser_sinc(), persistent=False)


class Upsample2(_Resampler):
    """Twice the rate: replicate padding of 5, transposed convolution times 2, cropped by 15 on both sides."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, 2T]."""
        padded = functional.pad(x, (5, 5), mode="replicate")
        kernel = self.kernel.to(x).expand(self.channels, -1, -1)
        return 2 * functional.conv_transpose1d(padded, kernel, stride=2, groups=self.channels)[..., 15:-15]


class _LowPass(_Resampler):
    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 2T] -> [B, C, T]."""
        padded = functional.pad(x, (5, 6), mode="replicate")
        kernel = self.kernel.to(x).expand(self.channels, -1, -1)
        return functional.conv1d(padded, kernel, stride=2, groups=self.channels)


class Downsample2(nn.Module):
    """Half the rate: replicate padding of 5 and 6, strided convolution. The nesting is that of official names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lowpass = _LowPass(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 2T] -> [B, C, T]."""
        out: Tensor = self.lowpass(x)
        return out


class AntiAliasedSnake(nn.Module):
    """Snake at twice the rate, so that the harmonics it makes do not fold back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = SnakeBeta(channels)
        self.upsample = Upsample2(channels)
        self.downsample = Downsample2(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        out: Tensor = self.downsample(self.act(self.upsample(x)))
        return out
