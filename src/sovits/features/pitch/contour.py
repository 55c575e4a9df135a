"""``Contour``: an F0 track with voiced flags, and the protocol that every pitch tracker follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.core.errors import AudioError

Hz = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Contour:
    """F0 over time, one value per hop; value ``i`` belongs to the time ``i * hop / sample_rate``.

    Attributes:
        hz: float64 [frames], 0 where unvoiced.
        voiced: bool [frames].
        hop: samples between values.
        sample_rate: rate in Hz that ``hop`` counts in.
        confidence: float64 [frames] in 0..1 where the tracker has one, else ``None``.
    """

    hz: Hz
    voiced: Flags
    hop: int
    sample_rate: int
    confidence: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.hz.shape != self.voiced.shape or self.hz.ndim != 1:
            raise AudioError(f"hz {self.hz.shape} and voiced {self.voiced.shape} must be vectors of one length")

    def __len__(self) -> int:
        return int(self.hz.shape[0])

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds from the start, float64 [frames]."""
        return np.arange(len(self), dtype=np.float64) * (self.hop / self.sample_rate)


class PitchPredictor(Protocol):
    """A pitch tracker. Instances hold weights and settings, no state of a signal; threads may share them."""

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """Track F0.

        Args:
            samples: mono float32 [time].
            sample_rate: in Hz, 8000 to 192000.
            hop: samples between values.

        Returns:
            A contour of exactly ``len(samples) // hop`` values.
        """
