"""Convolution in time with fewer multiplications: Toom-Cook / Winograd filtering, blocked over long kernels.

A kernel is cut into segments of at most as many taps as a tile has outputs. Of every tile the transformed input is
computed once, at tile + taps - 1 points, and shared by all segments; each point is then a matrix product over the
channels. A kernel of 11 taps so needs 22 products per six outputs, where the plain convolution needs 66 (Winograd
1980; Lavin and Gray 2016). The dilation d only changes what neighbouring rows are: rows that lie d apart form one
sequence.

The price is rounding: with tiles of 4 the result agrees with the plain convolution to about 1e-6 of the largest value,
with tiles of 6 to about 1e-5; the golden cases hold with room. That is why short kernels keep the small tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.nets.serving.onednn import (
    as_image,
    as_rows,
    has_onednn,
    pack,
    pack_matrix,
    packed_convolution,
    packed_product,
)

#: Finite points of evaluation by outputs per tile, in the order in which they are taken; infinity is the last one.
POINTS = {
    4: (0.0, 1.0, -1.0, 0.5, -2.0, 2.0),
    6: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -1 / 3, -1.5),
}
#: Place of the point 1.
_ONE = 1

Matrix = npt.NDArray[np.float64]


def tile_of(size: int) -> int:
    """Outputs per tile for a kernel of this size: two segments of six taps pay only if both are used."""
    return 6 if size > 8 else 4


def transforms(tile: int, taps: int) -> tuple[Matrix, Matrix, Matrix]:
    """The matrices of ``y = out @ ((kernel @ w) * (inputs @ x))`` for a correlation of ``taps`` taps, float64.

    Args:
        tile: outputs, 4 or 6. ``taps``: 2 to ``tile``.

    Returns:
        out [tile, points], kernel [points, taps], inputs [points, points]; points = tile + taps - 1.
    """
    count = tile + taps - 1

    def powers(columns: int) -> Matrix:
        table = np.zeros((count, columns))
        table[:-1] = np.vander(POINTS[tile][: count - 1], columns, increasing=True)
        table[-1, -1] = 1.0  # the point at infinity sees the highest power alone
        return table

    # The transpose of polynomial multiplication at these points is correlation.
    inputs = np.linalg.inv(powers(count)).T
    scale = np.abs(inputs).max(axis=1, keepdims=True)
    return powers(tile).T, powers(taps) * scale, inputs / scale


class ToomConv(nn.Module):
    """A convolution of stride 1 that keeps the length, over rows of channels.

    Args:
        weight: [C', C, k], k odd and at least 3. ``bias``: [C'].
        slope: of the leaky ReLUs around it.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dilation: int, slope: float) -> None:
        super().__init__()
        outputs, inputs, size = weight.shape
        self.dilation, self.slope, self.shift = dilation, slope, (size - 1) // 2
        self.tile = tile_of(size)
        taps = min(self.tile, size)
        self.segments = -(-size // taps)
        out, kernel, before = transforms(self.tile, taps)
        self.points = len(before)
        exact = torch.zeros(outputs, inputs, self.segments * taps, dtype=torch.float64)
        exact[..., :size] = weight.double()
        parts = exact.view(outputs, inputs, self.segments, taps)
        product = torch.einsum("pt,oijt->poij", torch.from_numpy(kernel), parts).to(weight.dtype)
        # Over the segments, every point is a convolution of its own. The bias rides at the point 1, which counts once
        # in every output.
        kernels = product.unsqueeze(3)  # [points, outputs, inputs, 1, segments]
        self.packed: list[Any] = [self._pack(one) for one in kernels] if has_onednn() else []
        self.weight = nn.Parameter(kernels.new_empty(0) if self.packed else kernels.contiguous(), requires_grad=False)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        for name, value in (("out", torch.from_numpy(out)), ("before", torch.from_numpy(before))):
            self.register_buffer(name, value.to(weight.dtype).contiguous(), persistent=False)

    out: Tensor
    before: Tensor

    def forward(self, x: Tensor, *, ready: bool, total: Tensor | None = None) -> Tensor:
        """Activation, convolution, and an activation or a sum.

        Args:
            x: [T, C], T a multiple of ``tile * dilation``. ``ready``: it is activated already.
            total: [T, C'], to which the result is added in place; without it, the result is activated.

        Returns:
            [T, C'].
        """
        y = self._convolved(x, ready)
        if total is None:
            activated = y.new_empty(y.shape)
            torch.ops.aten.leaky_relu.out(y, self.slope, out=activated)
            return activated.view(len(x), -1)
        total.view(y.shape).add_(y)
        return total

    def _convolved(self, x: Tensor, ready: bool) -> Tensor:
        """Rows in the order of time [tiles, tile, dilation * C']."""
        rows = x.view(-1, self.dilation * x.shape[1])
        tiles = len(rows) // self.tile
        length = tiles + self.segments - 1
        phases = self._phases(rows, length + 1, ready)
        # The rows that enter a tile: its own ones, and the first ones of the next tile.
        seen = torch.mm(self.before[:, : self.tile], phases[:, :length].flatten(1))
        seen.addmm_(self.before[:, self.tile :], phases[: self.points - self.tile, 1:].flatten(1))
        seen = seen.view(self.points, length * self.dilation, -1)
        products = seen.new_empty(self.points, tiles * self.dilation, len(self.bias))
        for point in range(self.points):
            products[point] = self._at(point, seen[point])
        y = torch.mm(self.out, products.view(self.points, -1))
        return y.view(self.tile, tiles, -1).transpose(0, 1)

    def _pack(self, kernel: Tensor) -> Any:
        """The kernel [C', C, 1, segments] of a point."""
        return pack_matrix(kernel[:, :, 0, 0]) if self.segments == 1 else pack(kernel, 0, self.dilation)

    def _at(self, point: int, rows: Tensor) -> Tensor:
        """The products at one point, summed over the segments: [length * d, C] -> [tiles * d, C']."""
        bias = self.bias if point == _ONE else None
        if not self.packed:
            return as_rows(functional.conv2d(as_image(rows), self.weight[point], bias, dilation=(1, self.dilation)))
        if self.segments == 1:
            return packed_product(rows, self.packed[point], bias)
        image = packed_convolution(as_image(rows), self.packed[point], bias, padding=0, dilation=self.dilation)
        return as_rows(image)

    def _phases(self, rows: Tensor, length: int, ready: bool) -> Tensor:
        """The activated rows, moved by the padding, row 4s+a at [a, s]; zeros around: [tile, length, width]."""
        phases = rows.new_empty(self.tile, length, rows.shape[1])
        for phase in range(self.tile):
            # phases[phase, s] is row 4s + phase - shift
            first = max(0, -(-(self.shift - phase) // self.tile))
            start = self.tile * first + phase - self.shift
            count = min(length - first, -(-(len(rows) - start) // self.tile))
            phases[phase, :first] = 0
            phases[phase, first + count :] = 0
            taken, place = rows[start :: self.tile][:count], phases[phase, first : first + count]
            if ready:
                place.copy_(taken)
            else:
                torch.ops.aten.leaky_relu.out(taken, self.slope, out=place)
        return phases
