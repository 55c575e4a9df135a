"""Pieces of a long sequence that are computed with their surroundings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """One piece, in frames: compute ``start`` to ``stop``, keep ``first`` to ``last``."""

    start: int
    stop: int
    first: int
    last: int
