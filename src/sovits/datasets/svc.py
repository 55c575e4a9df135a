"""Items and batches of the so-vits-svc generator (spec section 9)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sovits.core.errors import InputError
from sovits.core.rng import FloatArray, IntArray, Noise
from sovits.features.alignment import stretch

#: Frames by which content and spectrogram of one recording may differ.
LENGTH_SLACK = 3
#: Longer items are cropped at random to ``CROP`` frames.
LONGEST, CROP = 800, 790
#: Seed of the one shuffle that the original does before the first epoch (F27; ours shuffles every epoch).
UPSTREAM_SEED = 1234


@dataclass(frozen=True, eq=False)
class SvcItem:
    """One recording, everything at the frame rate of the model.

    Attributes:
        content: [dim, frames]. ``f0`` in Hz, ``voiced``, ``volume`` (``None`` without volume embedding): [frames].
        spec: linear spectrogram [bins, frames]. ``wave``: [frames * hop]. ``speaker``: id.
    """

    content: FloatArray
    f0: FloatArray
    voiced: FloatArray
    spec: FloatArray
    wave: FloatArray
    speaker: int
    volume: FloatArray | None = None

    @property
    def frames(self) -> int:
        """Length in frames."""
        return int(self.content.shape[1])

    def crop(self, start: int, frames: int, hop: int) -> SvcItem:
        """Frames ``start`` .. ``start + frames``."""
        cut = slice(start, start + frames)
        return SvcItem(
            self.content[:, cut],
            self.f0[cut],
            self.voiced[cut],
            self.spec[:, cut],
            self.wave[start * hop : (start + frames) * hop],
            self.speaker,
            None if self.volume is None else self.volume[cut],
        )


def assemble(
    name: str,
    units: FloatArray,
    f0: npt.NDArray[Any],
    voiced: FloatArray,
    spec: FloatArray,
    wave: FloatArray,
    speaker: int,
    volume: FloatArray | None,
    *,
    hop: int,
    mode: str,
) -> SvcItem:
    """Stretch content to the F0 track and trim everything to the shortest.

    Args:
        units: content at 50 frames per second [dim, frames]. ``mode``: of :func:`~sovits.features.alignment.stretch`.

    Raises:
        InputError: lengths that differ by ``LENGTH_SLACK`` frames or more: the features are of different recordings.
    """
    content = stretch(units, len(f0), mode)
    frames = min(content.shape[1], spec.shape[1])
    if abs(content.shape[1] - spec.shape[1]) >= LENGTH_SLACK or len(wave) < (frames - 1) * hop:
        raise InputError(
            f"{name}: content has {content.shape[1]} frames, the spectrogram {spec.shape[1]}, the wave {len(wave) // hop}",
            hint="the features were not made from this recording; prepare it again",
        )
    whole = SvcItem(content, np.asarray(f0, np.float32), voiced, spec, wave, speaker, volume)
    return whole.crop(0, frames, hop)


def shortened(item: SvcItem, hop: int, noise: Noise) -> SvcItem:
    """A random crop of items longer than ``LONGEST`` frames."""
    if item.frames <= LONGEST:
        return item
    start = int(noise.integers("item crop", (1,), 0, item.frames - LONGEST + 1)[0])
    return item.crop(start, CROP, hop)


@dataclass(frozen=True, eq=False)
class SvcBatch:
    """Items sorted by falling length, padded with zeros to the longest (float32, int64); ``volume`` is all or nothing."""

    content: FloatArray
    f0: FloatArray
    spec: FloatArray
    wave: FloatArray
    speaker: IntArray
    lengths: IntArray
    voiced: FloatArray
    volume: FloatArray | None


def collate(items: Sequence[SvcItem]) -> SvcBatch:
    """Items -> content [B, dim, T], f0, voiced, volume [B, T], spec [B, bins, T], wave [B, 1, T * hop], speaker [B, 1]."""
    ordered = sorted(items, key=lambda item: -item.frames)
    with_volume = all(item.volume is not None for item in ordered)
    return SvcBatch(
        content=_padded([item.content for item in ordered]),
        f0=_padded([item.f0 for item in ordered]),
        spec=_padded([item.spec for item in ordered]),
        wave=_padded([item.wave[None] for item in ordered]),
        speaker=np.array([[item.speaker] for item in ordered], np.int64),
        lengths=np.array([item.frames for item in ordered], np.int64),
        voiced=_padded([item.voiced for item in ordered]),
        volume=_padded([item.volume for item in ordered if item.volume is not None]) if with_volume else None,
    )


def _padded(arrays: Sequence[FloatArray]) -> FloatArray:
    """Stack along a new first axis, zeros after the shorter ones' last axis."""
    longest = max(array.shape[-1] for array in arrays)
    out = np.zeros((len(arrays), *arrays[0].shape[:-1], longest), np.float32)
    for row, array in enumerate(arrays):
        out[row, ..., : array.shape[-1]] = array
    return out


def upstream_order(names: Sequence[str]) -> list[str]:
    """The order of files in every epoch of the original: one shuffle by Python's generator, seed 1234 (F27)."""
    order = list(names)
    random.Random(UPSTREAM_SEED).shuffle(order)
    return order
