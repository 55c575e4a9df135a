"""Blends of a voice's speakers: fixed weights, or weights that follow tracks over the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sovits.core.errors import VoiceError
from sovits.core.rng import FloatArray
from sovits.options.svc import Ramp
from sovits.zoo.svc_voice import SvcVoice


def fixed_weights(voice: SvcVoice, mix: Mapping[str, float]) -> FloatArray:
    """Weights of every row of the speaker table, float32 [1, rows]; they add up to 1.

    Raises:
        VoiceError: a speaker that does not exist.
    """
    weights = np.zeros((1, _rows(voice)), np.float32)
    for speaker, weight in mix.items():
        weights[0, _row(voice, speaker)] += weight
    return np.asarray(weights / weights.sum())


class Tracks:
    """Weights over time.

    Args:
        tracks: ramps by speaker; a speaker without one is silent.
    """

    def __init__(self, voice: SvcVoice, tracks: Mapping[str, Sequence[Ramp]]) -> None:
        self._ramps = {_row(voice, speaker): ramps for speaker, ramps in tracks.items()}
        self._speakers = _rows(voice)

    def at(self, shares: FloatArray) -> FloatArray:
        """Weights at moments given as shares of the recording [n] -> float32 [n, rows], rows that add up to 1."""
        places = np.clip(shares, 0.0, 1.0)
        weights = np.zeros((len(places), self._speakers))
        for row, ramps in self._ramps.items():
            times = [time for start, stop, _, _ in ramps for time in (start, stop)]
            values = [value for _, _, first, last in ramps for value in (first, last)]
            weights[:, row] = np.interp(places, times, values)
        return _normalised(weights, sorted(self._ramps))


def upstream_table(tracks: Mapping[str, Sequence[Ramp]], frames: int) -> FloatArray:
    """The table of so-vits-svc (spec section 4, "Dynamic speaker mix"): float32 [frames, speakers], ids 0..n-1.

    A ramp holds for the frames from int(frames * start) to int(frames * stop), its last value excluded.
    """
    weights = np.zeros((frames, len(tracks)))
    for row, ramps in enumerate(tracks[str(number)] for number in range(len(tracks))):
        for start, stop, first, last in ramps:
            low, high = int(frames * start), int(frames * stop)
            if high > low:
                weights[low:high, row] = first + np.arange(high - low) * ((last - first) / (high - low))
    return _normalised(weights, list(range(len(tracks))))


def _normalised(weights: np.ndarray, taking_part: list[int]) -> FloatArray:
    """Rows that add up to 1; where all are 0, all speakers that take part sound alike."""
    total = weights.sum(axis=1, keepdims=True)
    even = np.zeros(weights.shape[1])
    even[taking_part] = 1 / len(taking_part)
    return np.where(total > 0, weights / np.where(total > 0, total, 1.0), even).astype(np.float32)


def _rows(voice: SvcVoice) -> int:
    """Rows of the speaker tables that a blend may use; those of generator and diffusion agree where both are there."""
    nets = (voice.generator, voice.diffusion.net if voice.diffusion else None)
    tables = [
        net.config.n_speakers if hasattr(net.config, "n_speakers") else net.config.speakers for net in nets if net
    ]
    return min(tables)


def _row(voice: SvcVoice, speaker: str) -> int:
    number = voice.speaker_id(speaker)
    if number >= _rows(voice):
        raise VoiceError(
            f"speaker '{speaker}' has number {number}, the speaker table of '{voice.name}' has {_rows(voice)} rows",
            hint="give the config that belongs to the model",
        )
    return number
