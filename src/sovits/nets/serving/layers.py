"""Leaf layers that serve: oneDNN's order of weights, a number format of choice, float32 in and out.

``pack_layers`` exchanges the leaves of a net; the net itself, its forward and its other parameters stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sovits.nets.convolution import NormConv1d
from sovits.nets.serving.onednn import has_onednn, pack_matrix, packed_product

#: Fewest weights with which a packed layer pays for the conversions around it.
_LEAST = 1 << 14


def fold_batch_norm(net: nn.Module) -> None:
    """Fold every batch norm that follows a convolution into it, in place, for inference; both must be neighbours."""
    for parent in list(net.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        for place, (layer, norm) in enumerate(itertools.pairwise(list(parent))):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                parent[place] = fuse_conv_bn_eval(layer.eval(), norm.eval())
                parent[place + 1] = nn.Identity()


def channels_last(net: nn.Module) -> None:
    """Put the kernels of two-dimensional convolutions in that order, in place; torch then keeps images in it."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)


def pack_layers(net: nn.Module, dtype: torch.dtype) -> None:
    """Exchange the linear layers and convolutions below a net on a CPU, in place; without oneDNN nothing changes.

    Weight norm has to be folded. Layers with few weights stay.

    Args:
        dtype: float32 or bfloat16, of the products alone: sums are float32 in either.
    """
    if not has_onednn():
        return
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            make = _FORMS.get(type(child))
            if make is not None and _pays(child):
                setattr(parent, name, make(child, dtype))


class PackedLinear(nn.Module):
    """As ``nn.Linear``."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.matrix = Matrix(layer.weight, layer.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs], float32."""
        made: Tensor = self.matrix(x)
        return made.float()


class PackedConv1d(nn.Module):
    """As an ``nn.Conv1d`` or folded ``NormConv1d`` of one group: one matrix product over rows that hold all taps.

    The result lies in memory with the channels last.
    """

    def __init__(self, layer: nn.Conv1d | NormConv1d, dtype: torch.dtype) -> None:
        super().__init__()
        weight = _weight(layer)
        self.size = weight.shape[2]
        self.stride, self.padding, self.dilation = (
            _single(value) for value in (layer.stride, layer.padding, layer.dilation)
        )
        self.matrix = Matrix(weight.transpose(1, 2).flatten(1), layer.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T] -> [B, outputs, T'], float32."""
        rows = x.to(self.matrix.dtype).transpose(1, 2)
        if self.padding:
            rows = functional.pad(rows, (0, 0, self.padding, self.padding))
        if self.size > 1:
            rows = self._with_taps(rows.contiguous())
        made: Tensor = self.matrix(rows[:, :: self.stride] if self.size == 1 else rows)
        return made.float().transpose(1, 2)

    def _with_taps(self, rows: Tensor) -> Tensor:
        """[B, T, C] -> [B, T', size * C]."""
        batch, length, channels = rows.shape
        count = (length - self.dilation * (self.size - 1) - 1) // self.stride + 1
        shape = (batch, count, self.size, channels)
        steps = (length * channels, self.stride * channels, self.dilation * channels, 1)
        return rows.as_strided(shape, steps).flatten(2)


def make_matrix(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> nn.Module:
    """A product with a matrix [outputs, inputs] that takes and gives ``dtype``, packed where oneDNN is there."""
    if has_onednn():
        return Matrix(weight, bias, dtype)
    plain = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, dtype=dtype)
    plain.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return plain.requires_grad_(False)


class Matrix(nn.Module):
    """A packed matrix [outputs, inputs] with its bias; takes any float type and gives ``dtype``."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.packed: Any = pack_matrix(weight.detach().to(dtype))
        self.bias = None if bias is None else nn.Parameter(bias.detach().to(dtype), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return packed_product(x.to(self.dtype).contiguous(), self.packed, self.bias)


def _single(value: int | str | tuple[int, ...]) -> int:
    """Of one dimension."""
    return int(value[0] if isinstance(value, tuple) else value)


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.kernel() if isinstance(layer, NormConv1d) else layer.weight
    assert isinstance(weight, Tensor)
    return weight.detach()


def _pays(layer: nn.Module) -> bool:
    """Whether a layer has enough weights, and no groups."""
    return getattr(layer, "groups", 1) == 1 and _weight(layer).numel() >= _LEAST


_FORMS: dict[type[nn.Module], Callable[[Any, torch.dtype], nn.Module]] = {
    nn.Linear: PackedLinear,
    nn.Conv1d: PackedConv1d,
    NormConv1d: PackedConv1d,
}
