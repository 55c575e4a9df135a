"""``pm``: the autocorrelation method of Boersma (1993), our own implementation.

Source: P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
sampled sound", IFA Proceedings 17 (1993), 97-110. Numbers in comments such as "(step 3.9)" are that paper's. The idea:
divide the autocorrelation of a windowed frame by that of its window, so that the maximum at the period has its true
height; place the maxima between samples by windowed-sinc interpolation; choose one per frame by dynamic programming.

Frames are worked through in blocks, so memory does not grow with the length of the sound beyond a few bytes per value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.core.device import Compute
from sovits.features.pitch.contour import Contour, Hz
from sovits.options.pitch import PitchOptions

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Samples on each side that the sinc interpolation of a maximum looks at.
DEPTH = 70
#: Steps per sample at which the interpolation kernel is tabulated; a parabola finds the place between them.
_PHASES = 256
#: Frames times transform length of one block of work (2 MB of doubles: fits a processor's cache).
_BLOCK = 1 << 18
#: Voicing threshold that so-vits-svc asks of ``pm`` (the method's own is 0.45).
VOICING_THRESHOLD = 0.6


@dataclass(frozen=True)
class Settings:
    """The constants of the method.

    Attributes:
        floor, ceiling: range of F0 in Hz; a frame is three periods of the floor long.
        silence_threshold: frames with a peak below this part of the whole sound's peak tend to unvoiced.
        voicing_threshold: strength of the unvoiced candidate, 0..1.
        octave_cost: favours higher candidates, per octave.
        octave_jump_cost, voiced_unvoiced_cost: price of a change from frame to frame, at 10 ms between frames.
        candidates: places per frame, the unvoiced one included.
    """

    floor: float = 50.0
    ceiling: float = 1100.0
    silence_threshold: float = 0.03
    voicing_threshold: float = VOICING_THRESHOLD
    octave_cost: float = 0.01
    octave_jump_cost: float = 0.35
    voiced_unvoiced_cost: float = 0.14
    candidates: int = 15


class PraatPredictor:
    """F0 by autocorrelation, with frames centred on the values' times and zeros beyond both ends of the sound."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """As :meth:`sovits.features.pitch.contour.PitchPredictor.track`."""
        hz = track_at(samples, sample_rate, 0.0, hop, len(samples) // hop, self.settings)
        return Contour(hz, hz > 0, hop, sample_rate)


def create(options: PitchOptions, weights: Path | None, compute: Compute) -> PraatPredictor:
    """The registry's factory."""
    threshold = VOICING_THRESHOLD if options.threshold is None else options.threshold
    return PraatPredictor(Settings(options.f0_min, options.f0_max, voicing_threshold=threshold))


def centred_track(samples: Samples, sample_rate: int, hop: int, settings: Settings) -> Hz:
    """F0 at frames that lie wholly inside the sound and are centred in it as a group, the way Praat lays them.

    Returns:
        Hz, 0 where unvoiced, ``floor((length - 3 periods of the floor) / hop) + 1`` values; none for a shorter sound.
    """
    span = len(samples) - 3 * sample_rate / settings.floor
    if span < 0:
        return np.zeros(0)
    count = int(span / hop) + 1
    first = (len(samples) - count * hop + hop) / 2 - 0.5  # sample k of the sound lies at (k + 1/2) / sample_rate
    return track_at(samples, sample_rate, first, hop, count, settings)


def track_at(samples: Samples, sample_rate: int, first: float, hop: int, count: int, settings: Settings) -> Hz:
    """F0 around the sample positions ``first + i * hop``.

    Args:
        samples: mono float32 [time].
        first: position of frame 0 in samples, may lie between two.
        count: number of frames.

    Returns:
        float64 [count], Hz, 0 where unvoiced.
    """
    if count <= 0 or len(samples) == 0:
        return np.zeros(max(count, 0))
    mean = float(samples.mean(dtype=np.float64))
    peak = max(float(samples.max()) - mean, mean - float(samples.min()))  # (step 2)
    if not peak > 0:
        return np.zeros(count)
    frame = _Frame(sample_rate, settings)
    centres = np.floor(first + np.arange(count, dtype=np.float64) * hop).astype(np.int64)
    path = _Path(hop / sample_rate, settings)
    rows = max(1, _BLOCK // frame.transform)
    for start in range(0, count, rows):
        correlation, loudness = frame.correlate(samples, centres[start : start + rows], mean)
        path.extend(*_candidates(correlation, loudness / peak, frame, sample_rate, settings))
    return path.best()


class _Frame:
    """Sizes of one analysis frame at one rate, and its normalised autocorrelation.

    Attributes:
        window: even number of samples in three periods of the floor.
        longest: lag in samples of the floor.
        lags: number of lags kept, ``longest`` plus what the interpolation needs beyond.
        transform: length of the Fourier transform, at least one and a half windows.
    """

    def __init__(self, sample_rate: int, settings: Settings) -> None:
        from scipy.fft import next_fast_len

        self.half = int(3 * sample_rate / settings.floor) // 2 - 1
        self.window = 2 * self.half
        self.period = int(sample_rate / settings.floor)
        self.longest = self.window // 3 + 2
        self.lags = self.longest + DEPTH + 2
        self.transform = next_fast_len(max(3 * self.window // 2, self.window + self.lags), real=True)
        shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, self.window + 1) / (self.window + 1))
        self.shape = shape
        own = np.fft.irfft(np.abs(np.fft.rfft(shape, self.transform)) ** 2, self.transform)[: self.lags]
        # Near its full length the window's own autocorrelation vanishes: lags out there count as uncorrelated. That
        # concerns only the interpolation's far ends, where the floor is so high that a window holds few samples.
        self.own = np.where(np.arange(self.lags) < 0.75 * self.window, own / own[0], np.inf)

    def correlate(self, samples: Samples, centres: Ints, mean: float) -> tuple[Floats, Floats]:
        """Normalised autocorrelation and local peak of the frames around ``centres``.

        Returns:
            float64 [frames, lags], 1 at lag 0 and all 0 for a frame of zeros; float64 [frames].
        """
        reach = self.half + self.period
        low, high = int(centres[0]) - reach, int(centres[-1]) + reach + 2
        part = np.zeros(high - low)
        inside = samples[max(low, 0) : max(high, 0)]
        part[max(-low, 0) : max(-low, 0) + len(inside)] = inside - mean
        offsets = centres - low
        total = np.concatenate([[0.0], np.cumsum(part)])
        local = (total[offsets + self.period + 1] - total[offsets - self.period + 1]) / (2 * self.period)
        frames = np.lib.stride_tricks.sliding_window_view(part, self.window)[offsets - self.half + 1]
        frames = frames - local[:, None]  # (step 3.1)
        near = max(1, self.period // 2)
        middle = frames[:, max(self.half - near, 0) : self.half + near]
        loudness = np.abs(middle).max(axis=1)
        spectrum = np.fft.rfft(frames * self.shape, self.transform)  # (steps 3.3 to 3.6)
        raw = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, self.transform)[:, : self.lags]  # (steps 3.7, 3.8)
        power = raw[:, :1]
        return np.divide(raw, power * self.own, out=np.zeros_like(raw), where=power > 0), loudness  # (step 3.9)


def _candidates(
    correlation: Floats, loudness: Floats, frame: _Frame, sample_rate: int, settings: Settings
) -> tuple[Floats, Floats]:
    """The candidates of a block: frequencies in Hz (0 for unvoiced) and strengths, each float64 [frames, candidates].

    Column 0 is the unvoiced candidate; unused places have strength minus infinity.
    """
    frames = len(correlation)
    frequency = np.zeros((frames, settings.candidates))
    strength = np.full((frames, settings.candidates), -np.inf)
    quiet = 2 - loudness * (1 + settings.voicing_threshold) / settings.silence_threshold
    strength[:, 0] = settings.voicing_threshold + np.maximum(0, quiet)  # (step 3.2)

    row, lag = _maxima(correlation[:, : frame.longest + 1], 0.5 * settings.voicing_threshold)
    place, height = _parabola(correlation[row, lag - 1], correlation[row, lag], correlation[row, lag + 1])
    score = height - settings.octave_cost * np.log2(lag + place)
    row, lag, place, rank = _strongest(row, lag, lag + place, score, settings.candidates - 1)
    place, height = _refined(correlation, row, lag, place)
    found = sample_rate / place
    height = np.where(height > 1, 1 / height, height)  # a maximum above 1 is an artefact of a short window
    usable = (found >= settings.floor) & (found <= settings.ceiling)
    frequency[row[usable], rank[usable] + 1] = found[usable]
    cost = settings.octave_cost * np.log2(settings.ceiling / found[usable])
    strength[row[usable], rank[usable] + 1] = height[usable] - cost  # (step 3.10)
    return frequency, strength


def _maxima(correlation: Floats, least: float) -> tuple[Ints, Ints]:
    """Rows and lags of the local maxima above ``least``; weaker ones could never win against the unvoiced candidate."""
    middle = correlation[:, 1:-1]
    peaks = (middle > least) & (middle > correlation[:, :-2]) & (middle >= correlation[:, 2:])
    peaks[:, 0] = False  # lag 1 has no period of two samples
    row, lag = np.nonzero(peaks)
    return row.astype(np.int64), lag.astype(np.int64) + 1


def _parabola(left: Floats, middle: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Place (in steps from the middle) and height of the vertex through three equally spaced values."""
    slope, bend = (right - left) / 2, 2 * middle - left - right
    place = np.divide(slope, bend, out=np.zeros_like(slope), where=bend > 0)
    return place, middle + slope * place / 2


def _strongest(row: Ints, lag: Ints, place: Floats, score: Floats, most: int) -> tuple[Ints, Ints, Floats, Ints]:
    """Keep the ``most`` best of every row; also returns each one's rank in its row."""
    order = np.lexsort((-score, row))
    row, lag, place = row[order], lag[order], place[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < most
    return row[kept], lag[kept], place[kept], rank[kept]


def _refined(correlation: Floats, row: Ints, lag: Ints, place: Floats) -> tuple[Floats, Floats]:
    """Place and height of maxima of the sinc-interpolated autocorrelation, never more than a sample from ``lag``.

    Two rounds of three values and a parabola, an eighth and then a thirty-second of a sample apart: the rest error is
    below a millionth of the period.
    """
    mirrored = np.concatenate([correlation[:, DEPTH:0:-1], correlation], axis=1)  # lag k lies in column k + DEPTH
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, 2 * DEPTH, axis=1)
    table = _kernel()

    def value(position: Ints) -> Floats:
        whole, phase = np.divmod(position, _PHASES)
        return np.asarray(np.einsum("ij,ij->i", windows[row, whole + 1], table[phase]))

    centre = np.rint(place * _PHASES).astype(np.int64)
    height = np.zeros(len(row))
    exact = place
    for step in (_PHASES // 8, _PHASES // 32):
        offset, height = _parabola(value(centre - step), value(centre), value(centre + step))
        exact = np.clip((centre + step * np.clip(offset, -2, 2)) / _PHASES, lag - 1, lag + 1)
        centre = np.rint(exact * _PHASES).astype(np.int64)
    return exact, height


@lru_cache(maxsize=1)
def _kernel() -> Floats:
    """Windowed-sinc weights, float64 [phases, 2 * DEPTH], of the values at ``m - DEPTH + 1`` to ``m + DEPTH``.

    Row ``p`` gives the value at ``m + p / phases``. The paper's equation 22: each side has its own raised-cosine window
    that ends just beyond its last sample.
    """
    phase = np.arange(_PHASES)[:, None] / _PHASES
    steps = np.arange(DEPTH)[None, :]
    left, right = phase + steps, 1 - phase + steps
    left = np.sinc(left) * (0.5 + 0.5 * np.cos(np.pi * left / (phase + DEPTH)))
    right = np.sinc(right) * (0.5 + 0.5 * np.cos(np.pi * right / (1 - phase + DEPTH)))
    table = np.concatenate([left[:, ::-1], right], axis=1)
    table.flags.writeable = False
    return table


class _Path:
    """The cheapest path through the candidates (step 4), fed block by block."""

    def __init__(self, step: float, settings: Settings) -> None:
        scale = 0.01 / step  # the costs are stated for frames 10 ms apart
        self._jump = settings.octave_jump_cost * scale
        self._switch = settings.voiced_unvoiced_cost * scale
        self._frequencies: list[Floats] = []
        self._origins: list[npt.NDArray[np.int8]] = []
        self._score: Floats | None = None

    def extend(self, frequency: Floats, strength: Floats) -> None:
        """Add frames, both float64 [frames, candidates]."""
        previous = self._frequencies[-1][-1:] if self._frequencies else frequency[:1]
        before = np.concatenate([previous, frequency[:-1]])
        origins = np.zeros(frequency.shape, np.int8)
        score = np.zeros(frequency.shape[1]) if self._score is None else self._score
        columns = np.arange(frequency.shape[1])
        for index, cost in enumerate(self._costs(before, frequency)):
            if self._score is not None:
                total = score[:, None] - cost
                best = total.argmax(axis=0)
                origins[index] = best
                score = total[best, columns]
            self._score = score = score + strength[index]
        self._frequencies.append(frequency)
        self._origins.append(origins)

    def _costs(self, before: Floats, after: Floats) -> Iterator[Floats]:
        """Price of every change, [from, to], frame by frame."""
        with np.errstate(divide="ignore"):
            old, new = np.log2(before), np.log2(after)
        for a, b in zip(old, new, strict=True):
            a_voiced, b_voiced = np.isfinite(a)[:, None], np.isfinite(b)[None, :]
            distance = np.abs(np.where(a_voiced, a[:, None], 0.0) - np.where(b_voiced, b[None, :], 0.0))
            yield np.where(a_voiced & b_voiced, self._jump * distance, np.where(a_voiced ^ b_voiced, self._switch, 0.0))

    def best(self) -> Hz:
        """F0 of the best path in Hz, 0 where unvoiced."""
        assert self._score is not None
        frequency, origins = np.concatenate(self._frequencies), np.concatenate(self._origins)
        hz = np.zeros(len(frequency))
        place = int(self._score.argmax())
        for index in range(len(frequency) - 1, -1, -1):
            hz[index] = frequency[index, place]
            place = int(origins[index, place])
        return hz
