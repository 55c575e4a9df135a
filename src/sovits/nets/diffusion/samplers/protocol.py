"""The protocol of samplers: from noise, or from a noised mel, back to a mel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from sovits.core.rng import Noise

#: Predicts the noise in x [B, bins, T] at a step [B] (whole or fractional).
Denoise = Callable[[Tensor, Tensor], Tensor]
#: Called before every step; raises to cancel.
Tick = Callable[[], None]


class Sampler(Protocol):
    """Walk the noise down."""

    def __call__(
        self, denoise: Denoise, x: Tensor, tables: dict[str, Tensor], steps: int, speedup: int, noise: Noise, tick: Tick
    ) -> Tensor:
        """Sample.

        Args:
            denoise: the net with its condition bound.
            x: normalised mel [B, bins, T] at step ``steps`` - 1 (or pure noise).
            tables: the discrete tables of :mod:`sovits.nets.diffusion.schedule`.
            steps: number of discrete steps to undo. ``speedup``: how many of them each step of the sampler covers.

        Returns:
            Normalised mel [B, bins, T].
        """
