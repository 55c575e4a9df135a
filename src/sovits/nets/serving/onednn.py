"""Convolutions and matrix products of oneDNN with weights that are kept in the order it computes with.

What torch offers for this is private and may be missing (another processor, another torch): :func:`has_onednn` tells,
and every layer that uses it has another way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_USED = (
    "_reorder_convolution_weight",
    "_convolution_pointwise",
    "_convolution_pointwise_",
    "_reorder_linear_weight",
    "_linear_pointwise",
)
#: Rows for which weights are put in order. Much shorter inputs of some sizes are computed in another order, and
#: oneDNN then reorders a kernel of a convolution in every call; it never does so with a matrix.
_ROWS = 1920


def has_onednn() -> bool:
    """Whether layers with prepacked weights exist in this torch on this machine."""
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in _USED)


def pack_matrix(weight: Tensor) -> Any:
    """A matrix [C', C] in the order of oneDNN; opaque as what :func:`pack` gives."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)


def packed_product(rows: Tensor, matrix: Any, bias: Tensor | None) -> Tensor:
    """``rows @ matrix.T + bias``: [..., C] -> [..., C']. ``matrix``: of :func:`pack_matrix`."""
    made: Tensor = torch.ops.mkldnn._linear_pointwise(rows, matrix, bias, "none", [], "")
    return made


def pack(kernel: Tensor, padding: int, dilation: int) -> Any:
    """A kernel [C', C, 1, k] in the order of oneDNN.

    It is an opaque tensor that can be neither copied nor saved, and is made from the net when that is loaded.
    """
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    shape = [1, kernel.shape[1], 1, _ROWS]
    return torch.ops.mkldnn._reorder_convolution_weight(kernel, [0, padding], [1, 1], [1, dilation], 1, shape)


def packed_convolution(
    image: Tensor, kernel: Any, bias: Tensor | None, *, padding: int, dilation: int, slope: float | None = None
) -> Tensor:
    """Convolution in time, and a leaky ReLU on numbers that are still in registers.

    Args:
        image: [1, C, 1, T]. ``kernel``: of :func:`pack`. ``slope``: of the leaky ReLU, ``None`` for none.

    Returns:
        [1, C', 1, T'].
    """
    name, slopes = ("none", []) if slope is None else ("leaky_relu", [slope])
    made: Tensor = torch.ops.mkldnn._convolution_pointwise(
        image, kernel, bias, [0, padding], [1, 1], [1, dilation], 1, name, slopes, ""
    )
    return made


def add_packed_convolution(
    total: Tensor, image: Tensor, kernel: Any, bias: Tensor, *, padding: int, dilation: int
) -> Tensor:
    """``total + convolution``, all [1, C, 1, T]; ``total`` may be overwritten."""
    summed: Tensor = torch.ops.mkldnn._convolution_pointwise_(
        total, image, kernel, bias, [0, padding], [1, 1], [1, dilation], 1, "add", 1.0, None, [], None
    )
    return summed


def as_image(rows: Tensor) -> Tensor:
    """[T, C] -> [1, C, 1, T] in the channels-last order, without a copy."""
    return rows.view(1, 1, *rows.shape).permute(0, 3, 1, 2)


def as_rows(image: Tensor) -> Tensor:
    """[1, C, 1, T] -> [T, C]; a copy only where a convolution did not keep the channels-last order."""
    return image[0, :, 0].T.contiguous()
