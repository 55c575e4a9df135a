"""From a recording to the pieces that go through the nets one by one, and back to one sound in order.

The geometry is that of so-vits-svc (spec section 4, ``slice_inference``): segments at silence, forced clips that start
earlier by the overlap, silence around each piece, a linear cross-fade. With ``compat="upstream"`` it is kept to the sample;
otherwise everything counts in whole frames of the model at its own rate (F11), a piece inside a segment hears its
neighbours instead of silence, and no segment goes through the nets in one go that is longer than the window (F34).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sovits.audio.audio import Audio, AudioSource, Samples
from sovits.audio.overlap import ClipJoiner, forced_clips, pad_centre
from sovits.audio.resample import StreamResampler
from sovits.audio.slicing import SVC, Segment, svc_segments
from sovits.core.errors import AudioError
from sovits.core.rng import FloatArray
from sovits.engines.svc_mix import upstream_table
from sovits.options.svc import SvcOptions

_BLOCK = 4.0
#: Cross-fade in seconds between windows that only the limit of memory asks for.
_FADE = 0.1
#: The most silence in seconds that is handed on at once.
_SILENCE = 10.0


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of sound for one pass through the nets.

    Attributes:
        samples: mono [time] at ``rate``, with what is heard around it.
        segment: number of the segment it belongs to; noise and phases go on within one.
        frame: frame of the segment that ``samples`` starts with (negative in the silence before it).
        weights: gives the speaker weights [frames, rows] of this many frames; ``None`` for one speaker.
    """

    samples: Samples
    rate: int
    segment: int = 0
    frame: int = 0
    weights: Callable[[int], FloatArray] | None = None


#: A piece -> sound at the model's rate, and the number of its frames.
Render = Callable[[Piece], tuple[Samples, int]]
#: Shares of the recording [n] -> speaker weights [n, rows].
Weights = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Model:
    """What of a model the plan depends on: its rate in Hz and its hop in samples."""

    rate: int
    hop: int


def convert(
    source: AudioSource, model: Model, options: SvcOptions, render: Render, weights: Weights | None = None
) -> Iterator[Samples]:
    """Convert a recording; mono pieces at the model's rate, in order, as they come.

    Args:
        source: walked through twice: for the silences, then for the sound.
        weights: speaker weights over the recording; with ``compat="upstream"`` the table follows from the options.

    Yields:
        float32 [some time]; joined they are ``ceil(length * model rate / source rate)`` samples.

    Raises:
        AudioError: no sample, or one that is no number.
    """
    upstream = options.compat == "upstream"
    work = _Mono(source) if upstream else _Mono(source, model.rate)
    segments, length = svc_segments(work, dataclasses.replace(SVC, threshold=options.slice_db))
    if length == 0:
        raise AudioError("there is no sound to convert: the recording has no samples")
    segments = [segment for segment in segments if segment.stop > segment.start]
    sizes = _Sizes.upstream(options, work.sample_rate, model) if upstream else _Sizes.fixed(options, model)
    plan = _Plan(segments, sizes, work.sample_rate, model)
    table = None
    if upstream and options.speaker_tracks:
        table = upstream_table(options.speaker_tracks, plan.upstream_frames())
    walk = _Walk(work)
    before = 0
    for number, segment in enumerate(segments):
        if segment.silent:
            count = plan.sounding(segment.start, segment.stop)
            before += count // model.hop
            yield from _silence(count, model.rate)
            continue
        joiner = ClipJoiner(sizes.faded if sizes.size else 0, options.overlap_share)
        for start, stop in plan.clips(segment):
            sound, frame = walk.take(segment, start, stop, sizes), (start - segment.start - sizes.pad) // model.hop
            if table is not None:
                piece = Piece(sound, work.sample_rate, number, before, _columns(table, before))
            elif weights is not None and not upstream:
                piece = Piece(sound, work.sample_rate, number, frame, _over(weights, start - sizes.pad, length, model))
            else:
                piece = Piece(sound, work.sample_rate, number, frame, _constant(weights))
            heard, frames = render(piece)
            before += frames
            wanted = plan.sounding(start, stop)
            if upstream:
                own = pad_centre(heard[sizes.edge : max(sizes.edge, len(heard) - sizes.edge)], wanted)
            else:
                own = heard[sizes.edge : sizes.edge + wanted]
            yield joiner.push(own).astype(np.float32, copy=False)
        yield joiner.finish().astype(np.float32, copy=False)
    if walk.length not in (None, length):
        raise AudioError("the recording changed while it was being converted", hint="convert it again")


@dataclass(frozen=True)
class _Sizes:
    """Lengths in samples: ``pad``, ``size`` (0: uncut) and ``overlap`` of the sound that is read; ``edge``, cut off the
    result on both sides, and ``faded``, the overlap there. ``context``: neighbours are heard, not silence."""

    pad: int
    edge: int
    size: int
    overlap: int
    faded: int
    context: bool
    grid: int

    @classmethod
    def upstream(cls, options: SvcOptions, rate: int, model: Model) -> _Sizes:
        # The overlap is counted at the source's rate on both sides (F11).
        overlap = int(options.clip_overlap * rate)
        pad, edge = int(rate * options.pad_seconds), int(model.rate * options.pad_seconds)
        return cls(pad, edge, int(options.clip_seconds * rate), overlap, overlap, False, 1)

    @classmethod
    def fixed(cls, options: SvcOptions, model: Model) -> _Sizes:
        def frames(seconds: float, least: int = 0) -> int:
            return max(least, round(seconds * model.rate / model.hop)) * model.hop

        limit = frames(options.window, 1)
        pad = frames(options.pad_seconds)
        if not options.clip_seconds or options.clip_seconds > options.window:
            overlap = frames(min(max(options.clip_overlap, _FADE), options.window / 2), 1)
            return cls(pad, pad, limit, overlap, overlap, True, model.hop)
        size = frames(options.clip_seconds, 2)
        overlap = min(frames(options.clip_overlap), size - model.hop)
        return cls(pad, pad, size, overlap, overlap, True, model.hop)


class _Plan:
    """Where pieces lie in the source and in the result."""

    def __init__(self, segments: list[Segment], sizes: _Sizes, rate: int, model: Model) -> None:
        self._segments, self._sizes, self._rate, self._model = segments, sizes, rate, model

    def clips(self, segment: Segment) -> list[tuple[int, int]]:
        """``(start, stop)`` of each piece of a segment, in samples of the source."""
        length = segment.stop - segment.start
        found = forced_clips(length, self._sizes.size, self._sizes.overlap) if self._sizes.size else [(0, length)]
        return [(segment.start + start, segment.start + stop) for start, stop in found]

    def sounding(self, start: int, stop: int) -> int:
        """Samples of the result for a stretch of the source."""
        return math.ceil((stop - start) / self._rate * self._model.rate)

    def upstream_frames(self) -> int:
        """The length of so-vits-svc's speaker mix table; the padding counts at the source's rate (kept)."""
        total = len(self._segments)
        for segment in self._segments:
            pads = 0 if segment.silent else 2 * self._sizes.pad
            pieces = [(segment.start, segment.stop)] if segment.silent else self.clips(segment)
            total += sum((self.sounding(start, stop) + pads) // self._model.hop for start, stop in pieces)
        return total


def _columns(table: FloatArray, first: int) -> Callable[[int], FloatArray]:
    return lambda frames: table[first : first + frames]


def _over(weights: Weights, start: int, length: int, model: Model) -> Callable[[int], FloatArray]:
    return lambda frames: weights(((start + model.hop * np.arange(frames)) / length).astype(np.float32))


def _constant(weights: Weights | None) -> Callable[[int], FloatArray] | None:
    return None if weights is None else lambda frames: weights(np.zeros(frames, np.float32))


def _silence(count: int, rate: int) -> Iterator[Samples]:
    step = int(_SILENCE * rate)
    for start in range(0, count, step):
        yield np.zeros(min(step, count - start), np.float32)


class _Mono:
    """A source as one channel, checked, at another rate if one is given."""

    channels = 1
    length = None

    def __init__(self, source: AudioSource, rate: int | None = None) -> None:
        self._source = source
        self.sample_rate = rate or source.sample_rate

    def blocks(self, seconds: float) -> Iterator[Audio]:
        """As :meth:`sovits.audio.audio.AudioSource.blocks`."""
        resampler = StreamResampler(self._source.sample_rate, self.sample_rate, 1)
        passed = 0
        for block in self._source.blocks(seconds):
            if not np.isfinite(block.samples).all():
                place = (passed + int(np.argmin(np.isfinite(block.samples).all(axis=0)))) / block.sample_rate
                raise AudioError(
                    f"the recording holds a sample that is not a finite number at {place:.3f} s",
                    hint="export it again from the program that made it",
                )
            passed += block.length
            yield Audio(resampler.push(block.mono()[None]), self.sample_rate)
        yield Audio(resampler.finish(), self.sample_rate)


class _Walk:
    """Reads stretches of a source in order, holding no more than the one it gives."""

    def __init__(self, source: _Mono) -> None:
        self._blocks = source.blocks(_BLOCK)
        self._held = np.zeros(0, np.float32)
        self._first = 0
        self.length: int | None = None

    def take(self, segment: Segment, start: int, stop: int, sizes: _Sizes) -> Samples:
        """``start`` to ``stop`` with ``sizes.pad`` on both sides, up to whole frames on the grid."""
        low = max(segment.start, start - sizes.pad) if sizes.context else start
        high = min(segment.stop, stop + sizes.pad) if sizes.context else stop
        sound = self._read(low, high)
        after = stop + sizes.pad - high
        total = sizes.pad - (start - low) + len(sound) + max(0, after)
        return np.pad(sound, (sizes.pad - (start - low), max(0, after) + -total % sizes.grid))

    def _read(self, low: int, high: int) -> Samples:
        while self._first + len(self._held) < high:
            block = next(self._blocks, None)
            if block is None:
                self.length = self._first + len(self._held)
                raise AudioError("the recording changed while it was being converted", hint="convert it again")
            self._held = np.concatenate([self._held, block.samples[0]])
            if low > self._first:
                drop = min(low - self._first, len(self._held))
                self._held = self._held[drop:]
                self._first += drop
        drop = max(0, low - self._first)
        self._held = self._held[drop:]
        self._first += drop
        return self._held[: high - self._first]
