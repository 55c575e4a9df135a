"""The HiFi-GAN decoder as it serves: weight norm folded, rows of channels, one stage at a time in tiles of time.

Made from a loaded :class:`~sovits.nets.vocoders.hifigan.HifiGan`, which stays the home of the weights. A stage works
on windows that fit the processor's caches; a window is wider than its part of the result by what its convolutions
reach, so nothing changes at the seams.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.core.rng import Noise
from sovits.nets.convolution import NormConv1d, NormConvTranspose1d, fold_weight_norm
from sovits.nets.serving.convolution import make_conv
from sovits.nets.serving.layers import make_matrix
from sovits.nets.serving.toom import tile_of
from sovits.nets.source import HarmonicSource
from sovits.nets.vocoders.hifigan import SLOPE, HifiGan, HifiGanConfig, ResBlock1, ResBlock2

#: Bytes of the rows of one window, without its margins.
WINDOW = 1_920_000
#: Slope of the leaky ReLU before the last convolution.
_LAST_SLOPE = 0.01


class ServedDecoder(nn.Module, ABC):
    """What the forms of a decoder share: the excitation is made in float32, whatever number format the rest has."""

    config: HifiGanConfig
    m_source: HarmonicSource

    @torch.no_grad()
    def forward(
        self, x: Tensor, f0: Tensor, noise: Noise, g: Tensor | None = None, start: Tensor | None = None
    ) -> Tensor:
        """As :meth:`HifiGan.forward`: float32 [B, 1, T * hop]."""
        with torch.autocast(x.device.type, enabled=False):
            source = self.m_source(f0.float(), self.config.hop, noise, start)
        return self.decode(x, source, g)

    @abstractmethod
    def decode(self, x: Tensor, source: Tensor, g: Tensor | None = None) -> Tensor:
        """As :meth:`HifiGan.decode`, with the excitation [B, 1, T * hop] given."""


class ServingDecoder(ServedDecoder):
    """As :class:`HifiGan` with leaky ReLUs: frames -> samples, the same call.

    Args:
        net: the loaded decoder; nothing of it is changed.
        dtype: of the residual blocks and of the upsampling.
    """

    def __init__(self, net: HifiGan, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = net.config
        self.m_source = net.m_source
        self.cond = net.cond
        self.dtype = dtype
        self.register_buffer("pre", net.conv_pre.kernel().detach().clone())
        self.register_buffer("pre_bias", net.conv_pre.bias.detach())
        blocks = len(net.config.resblock_kernels)
        self.stages = nn.ModuleList(
            Stage(net, i, list(net.resblocks[i * blocks : (i + 1) * blocks]), dtype) for i in range(len(net.ups))
        )
        # A stage gives the sum of its blocks, not their mean; leaky ReLUs let the factor through.
        kernel = net.conv_post.kernel().detach() / blocks
        self.register_buffer("post", kernel.unsqueeze(2).contiguous(memory_format=torch.channels_last))
        self.register_buffer("post_bias", net.conv_post.bias.detach())

    pre: Tensor
    pre_bias: Tensor
    post: Tensor
    post_bias: Tensor

    @torch.no_grad()
    def decode(self, x: Tensor, source: Tensor, g: Tensor | None = None) -> Tensor:
        """As :meth:`HifiGan.decode`, with the excitation [B, 1, T * hop] given."""
        x = functional.conv1d(x.to(self.pre), self.pre, self.pre_bias, padding=3)
        if self.cond is not None and g is not None:
            x = x + self.cond(g)
        return torch.stack([self._one(row, sound[0]) for row, sound in zip(x, source, strict=True)])

    def _one(self, x: Tensor, source: Tensor) -> Tensor:
        """One item of the batch: [C, T], [samples] -> [1, samples]."""
        rows = x.T.to(self.dtype).contiguous()
        for stage in cast("Iterable[Stage]", self.stages):
            length = stage.length(len(rows))
            size = max(1, WINDOW // (stage.channels * rows.element_size()))
            out = rows.new_empty(length, stage.channels)
            for first, last in even(length, size):
                stage(rows, source, first, last, out[first:last])
            rows = out
        image = functional.leaky_relu(rows.float(), _LAST_SLOPE).T[None, :, None]
        return torch.tanh(functional.conv2d(image, self.post, self.post_bias, padding=(0, 3)))[0, :, 0]


class Stage(nn.Module):
    """Upsampling, the source and the residual blocks of one stage, for a window of its output."""

    def __init__(self, net: HifiGan, index: int, blocks: list[nn.Module], dtype: torch.dtype) -> None:
        super().__init__()
        up = cast(NormConvTranspose1d, net.ups[index])
        from_source = cast(nn.Conv1d, net.noise_convs[index])
        weight = up.kernel().detach()  # [inputs, outputs, size]
        inputs, self.channels, self.size = weight.shape
        self.rate, self.padding = up.stride, up.padding
        self.overlap = -(-self.size // self.rate)
        whole = functional.pad(weight, (0, self.overlap * self.rate - self.size))
        if index > 0:
            whole = whole / len(blocks)
        # One matrix product makes all that an input row adds to the output: [overlap * rate * outputs, inputs].
        self.up = make_matrix(whole.transpose(1, 2).reshape(inputs, -1).T, None, dtype)
        self.reach = max(reach_of(block) for block in blocks)
        self.blocks = [Block(block, dtype) for block in blocks]
        self.parts = nn.ModuleList(self.blocks)
        self.unit = math.lcm(*(unit_of(conv) for block in blocks for step in steps_of(block) for conv in step))
        self.source_stride, self.source_padding = from_source.stride[0], int(from_source.padding[0])
        kernel = from_source.weight.detach()[:, 0].T.float().contiguous()
        self.register_buffer("source_kernel", kernel)
        self.register_buffer("bias", (cast(Tensor, from_source.bias) + up.bias).detach().float())

    source_kernel: Tensor
    bias: Tensor

    def length(self, rows: int) -> int:
        """Rows of output for rows of input."""
        return int((rows - 1) * self.rate - 2 * self.padding + self.size)

    def forward(self, x: Tensor, source: Tensor, first: int, last: int, out: Tensor) -> None:
        """Write the sum of the blocks, rows ``first`` to ``last`` of this stage, [last - first, channels].

        Args:
            x: all rows of the stage before [T, inputs]. ``source``: the excitation [samples], float32.
        """
        left, right = max(0, first - self.reach), min(self.length(len(x)), last + self.reach)
        live = right - left
        total = -(-live // self.unit) * self.unit
        rows = self._begun(x, source, left, right, total)
        sums = []
        for block in self.blocks:
            # A block of short kernels needs less margin.
            begin = max(0, (first - block.reach - left) // self.unit * self.unit)
            end = min(total, -(-(last + block.reach - left) // self.unit) * self.unit)
            sums.append(block(rows[begin:end], live - begin)[first - left - begin : last - left - begin])
        out.copy_(sums[0])
        for more in sums[1:]:
            out.add_(more)

    def _begun(self, x: Tensor, source: Tensor, left: int, right: int, total: int) -> Tensor:
        """The sum of excitation and transposed convolution after a leaky ReLU: rows left to right, zeros up to total."""
        low = max(0, (left + self.padding - self.size) // self.rate)
        high = min(len(x), (right + self.padding) // self.rate + 1)
        parts = self.up(functional.leaky_relu(x[low:high], SLOPE))
        skip = left + self.padding - low * self.rate
        width = self.rate * self.channels
        count = max((high - low + self.overlap - 1) * self.rate, skip + total)
        room = x.new_empty(-(-count // self.rate) * self.rate, self.channels)
        rows = room[skip : skip + total]
        rows[: right - left] = self._excitation(source, left, right)
        joined = room.view(-1, width)
        for j in range(self.overlap):
            joined[j : j + high - low] += parts[:, j * width : (j + 1) * width]
        rows[right - left :] = 0
        return rows

    def _excitation(self, source: Tensor, left: int, right: int) -> Tensor:
        """The convolution that brings the source to the rate of this stage, and both biases; float32."""
        size, stride = len(self.source_kernel), self.source_stride
        begin = left * stride - self.source_padding
        end = (right - 1) * stride - self.source_padding + size
        part = source[max(0, begin) : min(len(source), end)].float()
        part = functional.pad(part, (max(0, -begin), max(0, end - len(source))))
        return torch.addmm(self.bias, part.unfold(0, size, stride), self.source_kernel)


class Block(nn.Module):
    """A residual block of either kind on a window."""

    def __init__(self, block: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.reach = reach_of(block)
        self.steps = [
            [
                make_conv(conv.kernel().detach().to(dtype), conv.bias.detach().to(dtype), conv.dilation, SLOPE)
                for conv in step
            ]
            for step in steps_of(block)
        ]
        self.parts = nn.ModuleList(conv for step in self.steps for conv in step)

    def forward(self, x: Tensor, live: int) -> Tensor:
        """x [T, C], rows from ``live`` on are beyond the end -> [T, C]."""
        x = x.clone()
        for step in self.steps:
            y, ready = x, False
            for conv in step[:-1]:
                y, ready = conv(y, ready=ready), True
                y[live:] = 0
            step[-1](y, ready=ready, total=x)
            x[live:] = 0
        return x


def steps_of(block: nn.Module) -> list[tuple[NormConv1d, ...]]:
    """The convolutions of a block, those together whose result is added to the residual."""
    if isinstance(block, ResBlock1):
        return cast(list[tuple[NormConv1d, ...]], list(zip(block.convs1, block.convs2, strict=True)))
    return [(cast(NormConv1d, conv),) for conv in cast(ResBlock2, block).convs]


def unit_of(conv: NormConv1d) -> int:
    """Rows of which a window has to be a multiple for a convolution to take it."""
    return tile_of(conv.kernel().shape[2]) * conv.dilation


def reach_of(block: nn.Module) -> int:
    """Rows to either side that one row of output depends on."""
    return sum(conv.padding for step in steps_of(block) for conv in step)


def even(length: int, size: int) -> Iterator[tuple[int, int]]:
    """Parts of nearly equal length, none longer than ``size``."""
    count = -(-length // size)
    for i in range(count):
        yield length * i // count, length * (i + 1) // count


class PlainDecoder(ServedDecoder):
    """A decoder as it is, weight norm folded, in a number format of choice with the source in float32.

    It serves where :class:`ServingDecoder` does not: on GPUs, and for snake activations.

    Args:
        net: the loaded decoder; nothing of it is changed.
    """

    def __init__(self, net: HifiGan, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = net.config
        self.m_source = net.m_source
        self.net = copy.deepcopy(net, {id(net.m_source): net.m_source})
        fold_weight_norm(self.net)
        self.dtype = dtype
        for name, part in self.net.named_children():
            if name != "m_source":
                part.to(dtype)

    @torch.no_grad()
    def decode(self, x: Tensor, source: Tensor, g: Tensor | None = None) -> Tensor:
        """As :meth:`HifiGan.decode`, float32, whatever is set around it about mixed precision."""
        kind = self.dtype
        with torch.autocast(x.device.type, enabled=False):
            return self.net.decode(x.to(kind), source.to(kind), None if g is None else g.to(kind)).float()
