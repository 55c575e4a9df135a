"""``Audio``: float32 samples with their rate, checked once at the edge; and the protocol of things that stream it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sovits.core.errors import AudioError

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Audio:
    """Sound in memory.

    Attributes:
        samples: float32 of shape [channels, time], full scale at +-1.
        sample_rate: in Hz.
    """

    samples: Samples
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32:
            raise AudioError(f"samples must be float32 [channels, time], got {self.samples.dtype} {self.samples.shape}")
        if self.sample_rate <= 0:
            raise AudioError(f"sample rate must be positive, got {self.sample_rate}")

    @classmethod
    def from_mono(cls, samples: npt.ArrayLike, sample_rate: int) -> Audio:
        """One channel from a vector of samples."""
        return cls(np.asarray(samples, np.float32).reshape(1, -1), sample_rate)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Number of samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    def mono(self) -> Samples:
        """The mean of the channels, float32 [time]."""
        if self.channels == 1:
            only: Samples = self.samples[0]
            return only
        mixed: Samples = self.samples.mean(axis=0, dtype=np.float32)
        return mixed

    def cut(self, start: int, stop: int) -> Audio:
        """Samples ``start`` to ``stop`` (a view, not a copy)."""
        return Audio(self.samples[:, start:stop], self.sample_rate)


class AudioSource(Protocol):
    """Audio that can be walked through in blocks as often as needed, without being in memory whole."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def channels(self) -> int:
        """Number of channels of every block."""

    @property
    def length(self) -> int | None:
        """Samples in each channel where the container states it, else ``None``; the blocks decide."""

    def blocks(self, seconds: float) -> Iterator[Audio]:
        """Walk from the start in blocks of ``seconds`` (the last one shorter); every call starts anew."""


class MemorySource:
    """An :class:`Audio` behind the :class:`AudioSource` protocol."""

    def __init__(self, audio: Audio) -> None:
        self._audio = audio

    @property
    def sample_rate(self) -> int:
        return self._audio.sample_rate

    @property
    def channels(self) -> int:
        return self._audio.channels

    @property
    def length(self) -> int | None:
        return self._audio.length

    def blocks(self, seconds: float) -> Iterator[Audio]:
        size = max(1, round(seconds * self.sample_rate))
        for start in range(0, self._audio.length, size):
            yield self._audio.cut(start, start + size)


def concatenate(parts: list[Audio]) -> Audio:
    """Join pieces of one rate and channel count in time."""
    return Audio(np.concatenate([part.samples for part in parts], axis=1), parts[0].sample_rate)
