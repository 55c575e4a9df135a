"""What the converter knows about a voice: a sample of its voiced spectra and its F0, gathered in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.audio.io import open_source
from sovits.audio.resample import StreamResampler
from sovits.core.errors import VoiceError
from sovits.core.progress import Cancel
from sovits.engines.world_analysis import FRAMES, Floats, envelope, pitch, work_rate
from sovits.features.pitch.contour import PitchPredictor
from sovits.zoo.voice import Voice

#: The axis of all long-term statistics: points equally spaced in mel (1127 ln(1 + f / 700)).
GRID_LOW, GRID_HIGH, GRID_POINTS = 60.0, 15000.0, 108
#: Spectra kept of one voice: 20 s of voiced sound without loss, an evenly thinned selection beyond.
CAPACITY = 4096
#: Least voiced sound of a usable reference, seconds.
LEAST_VOICED = 0.4
#: Voiced frames this far below the loud ones say more about the room than about the voice, dB.
RANGE_DB = 40.0
#: Voiced sounds have their strongest point below this, Hz.
VOWEL_HZ = 2000.0
_BLOCK = 20.0
_PITCH_STEPS, _PITCH_BINS = 240, 240 * 12  # of 5 cents, from 8 Hz up
_PER_DECIBEL = np.log(10.0) / 10.0


def mel(hz: npt.ArrayLike) -> Floats:
    """Hz to mel."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0))


def grid() -> Floats:
    """Frequencies of the statistics' axis in Hz, [GRID_POINTS]."""
    return np.asarray(700.0 * np.expm1(np.linspace(mel(GRID_LOW), mel(GRID_HIGH), GRID_POINTS) / 1127.0))


def on_grid(log_power: Floats, rate: int, warp: float = 1.0) -> Floats:
    """Read spectra [frames, bins] on the axis of the statistics, [frames, GRID_POINTS]; held beyond half the rate.

    Args:
        warp: stretch of the frequency axis; above 1 moves formants up.
    """
    bins = log_power.shape[1]
    place = np.clip(grid() / warp / (rate / 2) * (bins - 1), 0, bins - 1)
    left = np.minimum(place.astype(np.int64), bins - 2)
    part = place - left
    return np.asarray(log_power[:, left] * (1 - part) + log_power[:, left + 1] * part)


class Reservoir:
    """Keeps every ``stride``-th of the rows it is given; when full, drops every other one and doubles the stride."""

    def __init__(self, width: int, capacity: int = CAPACITY) -> None:
        self._rows = np.empty((capacity, width), np.float32)
        self._kept = 0
        self._seen = 0
        self._stride = 1

    def add(self, rows: npt.NDArray[np.floating]) -> None:
        """Take [count, width]."""
        for row in rows:
            if self._seen % self._stride == 0:
                if self._kept == len(self._rows):
                    half = self._rows[::2].copy()
                    self._rows[: len(half)] = half
                    self._kept = len(half)
                    self._stride *= 2
                if self._seen % self._stride == 0:
                    self._rows[self._kept] = row
                    self._kept += 1
            self._seen += 1

    def rows(self) -> Floats:
        """What was kept, [kept, width]."""
        return self._rows[: self._kept].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Profile:
    """Long-term statistics of a voice.

    Attributes:
        spectra: log power of voiced frames on :func:`grid`, [frames, GRID_POINTS]; quiet frames left out.
        octaves: median of log2 F0 (Hz), or nan if nothing is voiced.
        bandwidth: Hz up to which the recordings hold anything.
        voiced_seconds: how much voiced sound was heard.
    """

    spectra: Floats
    octaves: float
    bandwidth: float
    voiced_seconds: float


class Survey:
    """Gathers a :class:`Profile` from pieces of a recording in order; memory does not grow with their number.

    Args:
        step: look at the spectrum of every ``step``-th frame.
    """

    def __init__(self, step: int = 1) -> None:
        self._step = step
        self._spectra = Reservoir(GRID_POINTS)
        self._pitches = np.zeros(_PITCH_BINS, np.int64)
        self._voiced = 0
        self._rate = 0

    def add(self, samples: Samples, rate: int, f0: npt.NDArray[np.float32], first: int) -> None:
        """Take the frames ``first ..`` of a mono piece; arguments as of ``world_analysis.frames``."""
        self._rate = max(self._rate, rate)
        voiced = np.flatnonzero(f0 > 0)
        steps = (np.log2(np.maximum(f0[voiced].astype(np.float64), 8.0)) - 3.0) * _PITCH_STEPS
        np.add.at(self._pitches, np.minimum(steps.astype(np.int64), _PITCH_BINS - 1), 1)
        # Counting voiced frames, not frames, makes the selection independent of how the recording is cut.
        picked = voiced[(self._voiced + np.arange(len(voiced))) % self._step == 0]
        self._voiced += len(voiced)
        if len(picked):
            sound = np.ascontiguousarray(samples, np.float64)
            spectra = envelope(sound, rate, f0[picked].astype(np.float64), (picked + first) / FRAMES)
            self._spectra.add(on_grid(spectra, rate))

    def profile(self) -> Profile:
        """The statistics of everything that was added."""
        spectra = self._spectra.rows()
        limit = 0.95 * self._rate / 2
        if not len(spectra):
            return Profile(spectra, float("nan"), limit, 0.0)
        median = float(np.searchsorted(np.cumsum(self._pitches), self._pitches.sum() / 2))
        level = spectra.max(axis=1)
        loud = level > np.percentile(level, 90) - RANGE_DB * _PER_DECIBEL
        # A spectrum that is strongest this high is a voiced hiss or a slip of the tracker, not a vowel.
        vowel = spectra[:, grid() < VOWEL_HZ].max(axis=1) >= level
        spectra = spectra[loud & vowel] if (loud & vowel).any() else spectra[loud]
        seconds = self._voiced / FRAMES
        return Profile(spectra, 3.0 + (median + 0.5) / _PITCH_STEPS, min(limit, _bandwidth(spectra)), seconds)


def _bandwidth(spectra: Floats) -> float:
    """The frequency above which even the strongest frames lie 75 dB below the strongest point, Hz."""
    strong = np.percentile(spectra, 98, axis=0)
    present = np.flatnonzero(strong > strong.max() - 75.0 * _PER_DECIBEL)[-1]
    return GRID_HIGH if present == GRID_POINTS - 1 else float(0.95 * grid()[present])


def profile_of(voice: Voice, predictor: PitchPredictor, cancel: Cancel | None = None) -> Profile:
    """Listen to all reference clips of a voice.

    Raises:
        VoiceError: no clips, or less than :data:`LEAST_VOICED` seconds of voiced sound in them.
    """
    if not voice.references:
        raise VoiceError(
            f"voice '{voice.name}' has no reference clips, which the built-in converter needs",
            hint="give at least one recording of the target with --reference",
        )
    survey = Survey()
    for clip in voice.references:
        for samples, rate in _pieces(clip):
            if cancel is not None:
                cancel.check()
            f0 = pitch(samples, rate, predictor)[:-1]
            survey.add(samples, rate, f0, 0)
    profile = survey.profile()
    if profile.voiced_seconds < LEAST_VOICED or len(profile.spectra) < LEAST_VOICED * FRAMES / 2:
        raise VoiceError(
            f"the reference clips of voice '{voice.name}' hold {profile.voiced_seconds:.2f} s of voiced sound,"
            f" at least {LEAST_VOICED} s are needed",
            hint="give a few seconds or more of clean speech or singing; ten seconds are good, minutes are better",
        )
    return profile


def _pieces(clip: Path) -> Iterator[tuple[Samples, int]]:
    """A clip in mono pieces of 20 s at its work rate."""
    source = open_source(clip)
    rate = work_rate(source.sample_rate)
    resampler = StreamResampler(source.sample_rate, rate, 1)

    def pushed() -> Iterable[Samples]:
        for block in source.blocks(_BLOCK):
            yield resampler.push(block.mono()[None])[0]
        yield resampler.finish()[0]

    for piece in pushed():
        if len(piece) >= rate // FRAMES:
            yield piece, rate
