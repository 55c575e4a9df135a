"""Convolutions of the serving decoder: rows are time, columns are channels, the leaky ReLU before each is part of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.nets.serving.toom import ToomConv

#: Fewest channels from which ToomConv is faster than the plain float32 convolution: of 3 and 5 taps, of more.
_TOOM_FROM_SHORT, _TOOM_FROM = 256, 64


def make_conv(weight: Tensor, bias: Tensor, dilation: int, slope: float) -> ToomConv | DirectConv:
    """The faster one of the two for these sizes; decided by rule, so that a machine always computes the same way."""
    channels, size = min(weight.shape[:2]), weight.shape[2]
    few = _TOOM_FROM if size > 5 else _TOOM_FROM_SHORT
    if weight.dtype == torch.float32 and size % 2 and size >= 3 and channels >= few:
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
        # An opaque tensor of oneDNN: it can be neither copied nor saved, and is made from the net when that is loaded.
        self.packed = pack(kernel, self.padding, dilation) if has_onednn() else None
        self.weight = nn.Parameter(kernel if self.packed is None else kernel.new_empty(0), requires_grad=False)

    def forward(self, x: Tensor, *, ready: bool, total: Tensor | None = None) -> Tensor:
        """As :meth:`ToomConv.forward`; T may be any."""
        image = as_image(x if ready else functional.leaky_relu(x, self.slope))
        if self.packed is not None:
            return as_rows(self._packed(image, total))
        y = as_rows(functional.conv2d(image, self.weight, self.bias, 1, (0, self.padding), (1, self.dilation)))
        return functional.leaky_relu_(y, self.slope) if total is None else total.add_(y)

    def _packed(self, image: Tensor, total: Tensor | None) -> Tensor:
        """With the activation or the sum done by oneDNN, on numbers that are still in registers."""
        padding, dilation = [0, self.padding], [1, self.dilation]
        if total is None:
            activated: Tensor = torch.ops.mkldnn._convolution_pointwise(
                image, self.packed, self.bias, padding, [1, 1], dilation, 1, "leaky_relu", [self.slope], ""
            )
            return activated
        summed: Tensor = torch.ops.mkldnn._convolution_pointwise_(
            as_image(total), image, self.packed, self.bias, padding, [1, 1], dilation, 1, "add", 1.0, None, [], None
        )
        return summed


def has_onednn() -> bool:
    """Whether convolutions with prepacked weights exist in this torch on this machine."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def pack(kernel: Tensor, padding: int, dilation: int) -> Any:
    """A kernel [C', C, 1, k] in the order of oneDNN."""
    shape = [1, kernel.shape[1], 1, 1920]
    return torch.ops.mkldnn._reorder_convolution_weight(kernel, [0, padding], [1, 1], [1, dilation], 1, shape)


def as_image(rows: Tensor) -> Tensor:
    """[T, C] -> [1, C, 1, T] in the channels-last order, without a copy."""
    return rows.view(1, 1, *rows.shape).permute(0, 3, 1, 2)


def as_rows(image: Tensor) -> Tensor:
    """[1, C, 1, T] -> [T, C]; a copy only where a convolution did not keep the channels-last order."""
    return image[0, :, 0].T.contiguous()
