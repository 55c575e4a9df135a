"""Convolutions of the VITS family: weight-normalised layers that fold, depthwise pairs, the gated WN stack, masks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def length_mask(lengths: Tensor, frames: int) -> Tensor:
    """1 where a frame is inside its sequence.

    Args:
        lengths: int64 [B]. ``frames``: T of the padded batch.

    Returns:
        float32 [B, 1, T].
    """
    return (torch.arange(frames, device=lengths.device)[None] < lengths[:, None]).unsqueeze(1).float()


def same_padding(kernel: int, dilation: int = 1) -> int:
    """Padding that keeps the length of an odd kernel."""
    return (kernel * dilation - dilation) // 2


class WeightNorm(nn.Module):
    """Weight normalisation ``w = g * v / ||v||`` (Salimans and Kingma 2016), the norm over all dimensions but the first.

    The parameters keep the legacy names ``weight_g`` and ``weight_v`` of official files. :meth:`fold` replaces them by
    the product, for inference.
    """

    weight_g: nn.Parameter
    weight_v: nn.Parameter

    def __init__(self, shape: tuple[int, ...], biases: int) -> None:
        super().__init__()
        direction = nn.init.kaiming_uniform_(torch.empty(shape), a=math.sqrt(5))
        self.weight_v = nn.Parameter(direction)
        # Norms of nothing (a net that is built for its shapes) are not asked for: torch would load its compiler.
        lengths = direction.new_empty(shape[0], *[1] * (len(shape) - 1)) if direction.is_meta else self._norm(direction)
        self.weight_g = nn.Parameter(lengths.detach())
        self.bias = nn.Parameter(torch.zeros(biases))
        self.weight: Tensor | None = None

    def kernel(self) -> Tensor:
        """The weight as the convolution uses it."""
        if self.weight is not None:
            return self.weight
        product: Tensor = self.weight_v * (self.weight_g / self._norm(self.weight_v))
        return product

    @staticmethod
    def _norm(direction: Tensor) -> Tensor:
        norms: Tensor = direction.flatten(1).norm(dim=1)
        return norms.view(-1, *[1] * (direction.dim() - 1))

    def fold(self) -> None:
        """Replace the two parameters by their product; afterwards the layer can serve, but not train or be saved."""
        folded = self.kernel().detach()
        del self.weight_g, self.weight_v, self.weight
        self.register_buffer("weight", folded)


class NormConv1d(WeightNorm):
    """Weight-normalised ``Conv1d`` [B, inputs, T] -> [B, outputs, T']."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__((outputs, inputs // groups, kernel), outputs)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv1d(x, self.kernel(), self.bias, self.stride, self.padding, self.dilation, self.groups)


class NormConvTranspose1d(WeightNorm):
    """Weight-normalised ``ConvTranspose1d`` [B, inputs, T] -> [B, outputs, (T-1)*stride - 2*padding + kernel]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int, padding: int) -> None:
        super().__init__((inputs, outputs, kernel), outputs)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv_transpose1d(x, self.kernel(), self.bias, self.stride, self.padding)


class NormConv2d(WeightNorm):
    """Weight-normalised ``Conv2d`` with a kernel of (size, 1): [B, inputs, T, period] -> [B, outputs, T', period]."""

    def __init__(self, inputs: int, outputs: int, size: int, *, stride: int, padding: int) -> None:
        super().__init__((outputs, inputs, size, 1), outputs)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.kernel(), self.bias, (self.stride, 1), (self.padding, 0))


class DepthwiseSeparableConv1d(nn.Module):
    """A depthwise and a pointwise convolution, both weight-normalised: the tiny variant's replacement of a dilated one."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, padding: int, dilation: int = 1) -> None:
        super().__init__()
        self.depth_conv = NormConv1d(inputs, inputs, kernel, padding=padding, dilation=dilation, groups=inputs)
        self.point_conv = NormConv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.point_conv(self.depth_conv(x))
        return out


def gate(x: Tensor) -> Tensor:
    """Gated activation: tanh of the first half of the channels times sigmoid of the second."""
    filtered, gating = x.chunk(2, dim=1)
    return torch.tanh(filtered) * torch.sigmoid(gating)


class WN(nn.Module):
    """The non-causal WaveNet stack of VITS (Kim et al. 2021) with global conditioning; spec section 13, M5.

    Args:
        hidden: channels H of input and output [B, H, T].
        conditioning: channels of ``g`` [B, conditioning, 1 or T].
        depthwise: use depthwise-separable convolutions (tiny variant).
    """

    def __init__(self, hidden: int, kernel: int, layers: int, conditioning: int, *, depthwise: bool = False) -> None:
        super().__init__()
        self.hidden = hidden
        self.cond_layer = NormConv1d(conditioning, 2 * hidden * layers, 1)
        layer = DepthwiseSeparableConv1d if depthwise else NormConv1d
        self.in_layers = nn.ModuleList(
            layer(hidden, 2 * hidden, kernel, padding=same_padding(kernel)) for _ in range(layers)
        )
        self.res_skip_layers = nn.ModuleList(
            NormConv1d(hidden, hidden if last else 2 * hidden, 1) for last in (i == layers - 1 for i in range(layers))
        )

    def forward(self, x: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        """x [B, H, T], mask [B, 1, T], g [B, conditioning, 1 or T] -> [B, H, T]."""
        skips = torch.zeros_like(x)
        conditions = self.cond_layer(g).split(2 * self.hidden, dim=1)
        for conv, out, condition in zip(self.in_layers, self.res_skip_layers, conditions, strict=True):
            step = out(gate(conv(x) + condition))
            if step.shape[1] == self.hidden:
                skips = skips + step
            else:
                residual, skip = step.split(self.hidden, dim=1)
                x = (x + residual) * mask
                skips = skips + skip
        return skips * mask


def fold_weight_norm(net: nn.Module) -> None:
    """Fold every weight-normalised layer below ``net``, for inference."""
    for module in net.modules():
        if isinstance(module, WeightNorm) and module.weight is None:
            module.fold()
