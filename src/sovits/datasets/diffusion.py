"""Items of the diffusion model: whole recordings, or random crops with pitch and volume augmentation (spec section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sovits.core.rng import FloatArray
from sovits.features.alignment import stretch

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Shifted:
    """The augmented twin of a recording: its mel and volume at another pitch and gain.

    Attributes:
        mel: [frames, bins]. ``volume``: [frames]. ``semitones``: the shift.
    """

    mel: Array
    volume: Array
    semitones: float


@dataclass(frozen=True, eq=False)
class DiffusionRecording:
    """Features of one recording.

    Attributes:
        units: content at 50 frames per second [dim, frames].
        f0 in Hz and ``volume``: [frames]. ``mel``: [frames or one more, bins].
    """

    units: FloatArray
    f0: Array
    volume: FloatArray
    mel: Array
    speaker: int
    shifted: Shifted | None = None

    def halved(self) -> DiffusionRecording:
        """As it comes back from a cache that holds content and mel in half precision."""
        units, mel = (np.asarray(x, np.float16).astype(np.float32) for x in (self.units, self.mel))
        return DiffusionRecording(units, self.f0, self.volume, mel, self.speaker, self.shifted)


@dataclass(frozen=True, eq=False)
class DiffusionItem:
    """A crop: units [T, dim], f0 and volume [T, 1], mel [T, bins], semitones of augmentation."""

    units: FloatArray
    f0: FloatArray
    volume: FloatArray
    mel: Array
    speaker: int
    semitones: float


def crop_frames(seconds: float, sample_rate: int, hop: int) -> int:
    """Frames of a crop of ``seconds``."""
    return int(seconds * sample_rate / hop)


def cut(
    recording: DiffusionRecording, start: int, frames: int | None, *, mode: str, augmented: bool = False
) -> DiffusionItem:
    """A crop of a recording.

    Args:
        start, frames: in frames; ``None`` takes everything up to the end of the F0 track.
        mode: stretch of the content to the F0 track.
        augmented: take the shifted twin; F0 is shifted with it.
    """
    twin = recording.shifted if augmented else None
    length = len(recording.f0)
    stop = length if frames is None else start + frames
    semitones = twin.semitones if twin is not None else 0.0
    f0 = np.asarray(recording.f0, np.float32) * np.float32(2 ** (semitones / 12))
    volume = twin.volume if twin is not None else recording.volume
    mel = twin.mel if twin is not None else recording.mel
    units = stretch(np.asarray(recording.units, np.float32), length, mode).T
    return DiffusionItem(
        units[start:stop],
        f0[start:stop, None],
        np.asarray(volume, np.float32)[start:stop, None],
        mel[start:stop],
        recording.speaker,
        semitones,
    )
