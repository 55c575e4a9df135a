"""Discriminators of HiFi-GAN (Kong et al. 2020) as so-vits-svc trains with them (spec sections 9 and 13, M7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.nets.convolution import NormConv1d, NormConv2d

SLOPE = 0.1
PERIODS = (2, 3, 5, 7, 11)
#: outputs, kernel, stride, groups of the scale discriminator.
SCALE_LAYERS = (
    (16, 15, 1, 1),
    (64, 41, 4, 4),
    (256, 41, 4, 16),
    (1024, 41, 4, 64),
    (1024, 41, 4, 256),
    (1024, 5, 1, 1),
)
#: outputs and stride of a period discriminator.
PERIOD_LAYERS = ((32, 3), (128, 3), (512, 3), (1024, 3), (1024, 1))

#: Score [B, N] and the feature maps of every layer, the last one included.
Judgement = tuple[Tensor, list[Tensor]]


class ScaleDiscriminator(nn.Module):
    """Strided grouped convolutions over the waveform."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        inputs = 1
        for outputs, kernel, stride, groups in SCALE_LAYERS:
            padding = (kernel - 1) // 2
            self.convs.append(NormConv1d(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups))
            inputs = outputs
        self.conv_post = NormConv1d(inputs, 1, 3, padding=1)

    def forward(self, audio: Tensor) -> Judgement:
        """audio [B, 1, samples]."""
        return _judge(audio, self.convs, self.conv_post)


class PeriodDiscriminator(nn.Module):
    """Convolutions over the waveform folded to [time / period, period]."""

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period
        self.convs = nn.ModuleList()
        inputs = 1
        for outputs, stride in PERIOD_LAYERS:
            self.convs.append(NormConv2d(inputs, outputs, 5, stride=stride, padding=2))
            inputs = outputs
        self.conv_post = NormConv2d(inputs, 1, 3, stride=1, padding=1)

    def forward(self, audio: Tensor) -> Judgement:
        """audio [B, 1, samples], reflect-padded to a multiple of the period."""
        short = -audio.shape[2] % self.period
        if short:
            audio = functional.pad(audio, (0, short), mode="reflect")
        return _judge(audio.unflatten(2, (-1, self.period)), self.convs, self.conv_post)


def _judge(x: Tensor, convs: nn.ModuleList, last: nn.Module) -> Judgement:
    features = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), SLOPE)
        features.append(x)
    x = last(x)
    features.append(x)
    return torch.flatten(x, 1, -1), features


class Discriminators(nn.Module):
    """One scale and five periods. Parameter names are those of official ``D_*.pth`` files."""

    def __init__(self) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList([ScaleDiscriminator(), *(PeriodDiscriminator(p) for p in PERIODS)])

    def forward(self, audio: Tensor) -> list[Judgement]:
        """audio [B, 1, samples] -> one judgement per discriminator."""
        return [discriminator(audio) for discriminator in self.discriminators]
