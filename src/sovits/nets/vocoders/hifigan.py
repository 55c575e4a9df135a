"""HiFi-GAN generator (Kong et al. 2020), one class: with a neural source, with snake activations, with a speaker.

It is the decoder of the svc net and the 44.1 kHz NSF-HiFiGAN vocoder alike; what differs is a :class:`HifiGanConfig`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.core.rng import Noise
from sovits.nets.activations import AntiAliasedSnake
from sovits.nets.convolution import NormConv1d, NormConvTranspose1d, same_padding
from sovits.nets.source import HarmonicSource

SLOPE = 0.1


@dataclass(frozen=True)
class HifiGanConfig:
    """Sizes and switches of a generator.

    Attributes:
        inputs: channels of the input at frame rate (latent or mel bins).
        rates, kernels: upsampling factor and transposed kernel of each stage; the hop is the product of the rates.
        resblock: "1" (three pairs of convolutions) or "2" (two single ones).
        conditioning: channels of the speaker vector, ``None`` for none.
        sample_rate: of the sine source, in Hz. ``frame_rate_phase``: see :class:`~sovits.nets.source.HarmonicSource`.
        snake: anti-aliased snake activations instead of leaky ReLU.
    """

    inputs: int
    channels: int = 512
    rates: tuple[int, ...] = (8, 8, 2, 2, 2)
    kernels: tuple[int, ...] = (16, 16, 4, 4, 4)
    resblock: str = "1"
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    resblock_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    conditioning: int | None = None
    sample_rate: int = 44100
    frame_rate_phase: bool = False
    snake: bool = False

    @property
    def hop(self) -> int:
        """Samples per input frame."""
        return math.prod(self.rates)

    @classmethod
    def vocoder(cls, config: Mapping[str, Any]) -> HifiGanConfig:
        """The 44.1 kHz NSF-HiFiGAN from the ``config.json`` beside its ``model`` file."""
        return cls(
            inputs=int(config["num_mels"]),
            channels=int(config["upsample_initial_channel"]),
            rates=tuple(config["upsample_rates"]),
            kernels=tuple(config["upsample_kernel_sizes"]),
            resblock=str(config["resblock"]),
            resblock_kernels=tuple(config["resblock_kernel_sizes"]),
            resblock_dilations=tuple(tuple(row) for row in config["resblock_dilation_sizes"]),
            sample_rate=int(config["sampling_rate"]),
            frame_rate_phase=True,
        )


class LeakyReLU(nn.Module):
    """Leaky ReLU in the place of a snake activation."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return functional.leaky_relu(x, SLOPE)


def activation(channels: int, snake: bool) -> nn.Module:
    """The activation of a place in the net."""
    return AntiAliasedSnake(channels) if snake else LeakyReLU()


class ResBlock1(nn.Module):
    """Per dilation: activation, dilated convolution, activation, convolution, residual."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], snake: bool) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            NormConv1d(channels, channels, kernel, dilation=d, padding=same_padding(kernel, d)) for d in dilations
        )
        self.convs2 = nn.ModuleList(
            NormConv1d(channels, channels, kernel, padding=same_padding(kernel)) for _ in dilations
        )
        self.activations = nn.ModuleList(activation(channels, snake) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        for i, (first, second) in enumerate(zip(self.convs1, self.convs2, strict=True)):
            y = first(self.activations[2 * i](x))
            x = x + second(self.activations[2 * i + 1](y))
        return x


class ResBlock2(nn.Module):
    """Per dilation (the first two): activation, dilated convolution, residual."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], snake: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            NormConv1d(channels, channels, kernel, dilation=d, padding=same_padding(kernel, d)) for d in dilations[:2]
        )
        self.activations = nn.ModuleList(activation(channels, snake) for _ in self.convs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        for act, conv in zip(self.activations, self.convs, strict=True):
            x = x + conv(act(x))
        return x


class HifiGan(nn.Module):
    """Frames -> samples. ``forward`` trains and serves alike."""

    def __init__(self, config: HifiGanConfig) -> None:
        super().__init__()
        self.config = config
        self.m_source = HarmonicSource(config.sample_rate, frame_rate_phase=config.frame_rate_phase)
        self.conv_pre = NormConv1d(config.inputs, config.channels, 7, padding=3)
        self.cond = nn.Conv1d(config.conditioning, config.channels, 1) if config.conditioning else None
        self.ups, self.noise_convs, self.resblocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.snakes = nn.ModuleList()
        block = ResBlock1 if config.resblock == "1" else ResBlock2
        for i, (rate, kernel) in enumerate(zip(config.rates, config.kernels, strict=True)):
            inputs, outputs = config.channels >> i, config.channels >> (i + 1)
            self.snakes.append(activation(inputs, config.snake))
            self.ups.append(NormConvTranspose1d(inputs, outputs, kernel, stride=rate, padding=(kernel - rate + 1) // 2))
            self.noise_convs.append(self._noise_conv(outputs, math.prod(config.rates[i + 1 :])))
            for size, dilations in zip(config.resblock_kernels, config.resblock_dilations, strict=True):
                self.resblocks.append(block(outputs, size, dilations, config.snake))
        self.snake_post = activation(outputs, True) if config.snake else None
        self.conv_post = NormConv1d(outputs, 1, 7, padding=3)

    @staticmethod
    def _noise_conv(channels: int, remaining: int) -> nn.Conv1d:
        """Brings the source down to the rate of a stage; ``remaining`` is the product of the later rates."""
        if remaining == 1:
            return nn.Conv1d(1, channels, 1)
        return nn.Conv1d(1, channels, 2 * remaining, stride=remaining, padding=(remaining + 1) // 2)

    def forward(
        self, x: Tensor, f0: Tensor, noise: Noise, g: Tensor | None = None, start: Tensor | None = None
    ) -> Tensor:
        """Generate.

        Args:
            x: [B, inputs, T]. ``f0``: float32 [B, T] in Hz, 0 unvoiced. ``g``: [B, conditioning, 1 or T].
            start: phases of the source at the first sample, see :class:`~sovits.nets.source.HarmonicSource`.

        Returns:
            [B, 1, T * hop], within +-1.
        """
        return self.decode(x, self.m_source(f0, self.config.hop, noise, start).to(x), g)

    def decode(self, x: Tensor, source: Tensor, g: Tensor | None = None) -> Tensor:
        """As :meth:`forward`, with the excitation [B, 1, T * hop] given."""
        x = self.conv_pre(x)
        if self.cond is not None and g is not None:
            x = x + self.cond(g)
        blocks = len(self.config.resblock_kernels)
        for i, (act, up, noise_conv) in enumerate(zip(self.snakes, self.ups, self.noise_convs, strict=True)):
            x = up(act(x)) + noise_conv(source)
            x = torch.stack([self.resblocks[i * blocks + j](x) for j in range(blocks)]).sum(0) / blocks
        x = self.snake_post(x) if self.snake_post is not None else functional.leaky_relu(x, 0.01)
        return torch.tanh(self.conv_post(x))
