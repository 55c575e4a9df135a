"""Convolutions of the serving decoder: rows are time, columns are channels, the leaky ReLU before each is part of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.nets.serving.onednn import (
    add_packed_convolution,
    as_image,
    as_rows,
    has_onednn,
    pack,
    packed_convolution,
)
from sovits.nets.serving.toom import ToomConv

#: From this product of channels and taps on, ToomConv is faster than the plain float32 convolution.
_TOOM_FROM = 800


def make_conv(weight: Tensor, bias: Tensor, dilation: int, slope: float) -> ToomConv | DirectConv:
    """The faster one of the two for these sizes; decided by rule, so that a machine always computes the same way."""
    channels, size = min(weight.shape[:2]), weight.shape[2]
    if weight.dtype == torch.float32 and size % 2 and size >= 3 and channels * size >= _TOOM_FROM:
        return ToomConv(weight, bias, dilation, slope)
    return DirectConv(weight, bias, dilation, slope)


class DirectConv(nn.Module):
    """The same as :class:`ToomConv`, computed plainly.

    Where torch has oneDNN, its weight is kept in the order that oneDNN computes with.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dilation: int, slope: float) -> None:
        super().__init__()
        self.dilation, self.slope = dilation, slope
        self.padding = (weight.shape[2] - 1) * dilation // 2
        kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        self.packed: Any = pack(kernel, self.padding, dilation) if has_onednn() else None
        self.weight = nn.Parameter(kernel if self.packed is None else kernel.new_empty(0), requires_grad=False)

    def forward(self, x: Tensor, *, ready: bool, total: Tensor | None = None) -> Tensor:
        """As :meth:`ToomConv.forward`; T may be any."""
        image = as_image(x if ready else functional.leaky_relu(x, self.slope))
        padding, dilation = self.padding, self.dilation
        if self.packed is None:
            y = as_rows(functional.conv2d(image, self.weight, self.bias, 1, (0, padding), (1, dilation)))
            return functional.leaky_relu_(y, self.slope) if total is None else total.add_(y)
        if total is None:
            return as_rows(
                packed_convolution(image, self.packed, self.bias, padding=padding, dilation=dilation, slope=self.slope)
            )
        return as_rows(
            add_packed_convolution(as_image(total), image, self.packed, self.bias, padding=padding, dilation=dilation)
        )
