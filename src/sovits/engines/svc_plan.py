"""From a recording to the pieces that go through the nets one by one, and back to one sound in order.

The geometry is that of so-vits-svc (spec section 4, ``slice_inference``): segments at silence, forced clips that start
earlier by the overlap, silence around each piece, a linear cross-fade. With ``compat="upstream"`` it is kept to the
sample; otherwise everything counts in whole frames of the model at its own rate (F11), a piece inside a segment hears
its neighbours instead of silence, and nothing longer than the window goes through the nets in one go (F34).
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
from sovits.engines.svc_track import Pitch, Track
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
        pitch: of its frames, where it was tracked already.
    """

    samples: Samples
    rate: int
    segment: int = 0
    frame: int = 0
    weights: Callable[[int], FloatArray] | None = None
    pitch: Pitch | None = None


#: A piece -> sound at the model's rate, and the number of its frames.
Render = Callable[[Piece], tuple[Samples, int]]
#: Shares of the recording [n] -> speaker weights [n, rows].
Weights = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Model:
    """What of a model the plan depends on: its rate in Hz and its hop in samples."""

    rate: int
    hop: int


class Plan:
    """The pieces of a recording. Making one walks through the source for its silences; :meth:`run` for the sound.

    Args:
        source: any rate and channels.
        weights: speaker weights over the recording; with ``compat="upstream"`` tracks come from the options.
        tick: called with every block that is read; raises to cancel.

    Attributes:
        table: so-vits-svc's table of speaker weights [frames, speakers], with ``compat="upstream"`` and tracks only.

    Raises:
        AudioError: no sample, or one that is no number.
    """

    def __init__(
        self,
        source: AudioSource,
        model: Model,
        options: SvcOptions,
        weights: Weights | None = None,
        *,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._upstream = options.compat == "upstream"
        self._work = _Mono(source, source.sample_rate if self._upstream else model.rate, tick)
        segments, self._length = svc_segments(self._work, dataclasses.replace(SVC, threshold=options.slice_db))
        if self._length == 0:
            raise AudioError("there is no sound to convert: the recording has no samples")
        self._segments = [segment for segment in segments if segment.stop > segment.start]
        self._model, self._share, self._weights = model, options.overlap_share, weights
        rate = self._work.sample_rate
        self._sizes = _Sizes.upstream(options, rate, model) if self._upstream else _Sizes.fixed(options, model)
        self.table: FloatArray | None = None
        if self._upstream and options.speaker_tracks:
            self.table = upstream_table(options.speaker_tracks, self._table_frames())

    def run(self, render: Render, follow: Callable[[Samples], Pitch] | None = None) -> Iterator[Samples]:
        """Convert; mono float32 pieces at the model's rate, in order, as they come.

        Joined they are ``ceil(length * model rate / source rate)`` samples.

        Args:
            follow: tracks the pitch of a sound at the model's rate; then every piece comes with the pitch of its place.
                Upstream tracks each piece by itself, so with ``compat="upstream"`` it is not asked.
        """
        walk = _Walk(self._work)
        before = 0  # frames that have gone through the nets
        for number, segment in enumerate(self._segments):
            if segment.silent:
                count = self._sounding(segment.start, segment.stop)
                before += count // self._model.hop
                yield from _silence(count, self._model.rate)
                continue
            joiner = ClipJoiner(self._sizes.faded if self._sizes.size else 0, self._share)
            track = None if self._upstream or follow is None else self._track(walk, segment, follow)
            for start, stop in self._clips(segment):
                heard, frames = render(self._piece(walk, number, start, stop, before, track))
                before += frames
                yield joiner.push(self._own(heard, self._sounding(start, stop))).astype(np.float32, copy=False)
            yield joiner.finish().astype(np.float32, copy=False)

    def _track(self, walk: _Walk, segment: Segment, follow: Callable[[Samples], Pitch]) -> Track:
        hop, sizes = self._model.hop, self._sizes
        frames = -(-(segment.stop - segment.start) // hop)

        def read(low: int, high: int) -> Samples:
            return walk.around(segment, segment.start + low * hop, segment.start + high * hop)

        pad = sizes.pad // hop
        return Track(-pad, frames + pad, hop, self._model.rate, read, follow)

    def _piece(self, walk: _Walk, number: int, start: int, stop: int, before: int, track: Track | None) -> Piece:
        """The sound from ``start`` to ``stop`` with what is heard around it."""
        segment, hop = self._segments[number], self._model.hop
        first = start - self._sizes.pad
        frame = (first - segment.start) // hop
        walk.forget(max(segment.start, first))
        if self._sizes.context:
            end = stop + self._sizes.pad
            end += -(end - first) % hop
            sound = walk.around(segment, first, end)
        else:
            sound = np.pad(walk.read(start, stop), self._sizes.pad)
        pitch = None if track is None else track.take(frame, frame + len(sound) // hop)
        weights: Callable[[int], FloatArray] | None = None
        if (table := self.table) is not None:
            weights = lambda frames: table[before : before + frames]  # noqa: E731
        elif (course := self._weights) is not None:
            weights = lambda frames: course(  # noqa: E731
                ((first + hop * np.arange(frames)) / self._length).astype(np.float32)
            )
        return Piece(sound, self._work.sample_rate, number, frame, weights, pitch)

    def _own(self, heard: Samples, wanted: int) -> Samples:
        """What a piece gives without its surroundings: ``wanted`` samples."""
        edge = self._sizes.edge
        if self._upstream:
            return pad_centre(heard[edge : max(edge, len(heard) - edge)], wanted)
        return heard[edge : edge + wanted]

    def _clips(self, segment: Segment) -> list[tuple[int, int]]:
        """``(start, stop)`` of each piece of a segment, in samples of the source."""
        length = segment.stop - segment.start
        found = forced_clips(length, self._sizes.size, self._sizes.overlap) if self._sizes.size else [(0, length)]
        return [(segment.start + start, segment.start + stop) for start, stop in found]

    def _sounding(self, start: int, stop: int) -> int:
        """Samples of the result for a stretch of the source."""
        if not self._upstream:
            return stop - start  # the source was brought to the model's rate
        return math.ceil((stop - start) / self._work.sample_rate * self._model.rate)

    def _table_frames(self) -> int:
        """The length of so-vits-svc's speaker mix table; the padding counts at the source's rate (kept)."""
        total = len(self._segments)
        for segment in self._segments:
            pads = 0 if segment.silent else 2 * self._sizes.pad
            pieces = [(segment.start, segment.stop)] if segment.silent else self._clips(segment)
            total += sum((self._sounding(start, stop) + pads) // self._model.hop for start, stop in pieces)
        return total


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

    @classmethod
    def upstream(cls, options: SvcOptions, rate: int, model: Model) -> _Sizes:
        # The overlap is counted at the source's rate on both sides (F11).
        overlap = int(options.clip_overlap * rate)
        pad, edge = int(rate * options.pad_seconds), int(model.rate * options.pad_seconds)
        return cls(pad, edge, int(options.clip_seconds * rate), overlap, overlap, False)

    @classmethod
    def fixed(cls, options: SvcOptions, model: Model) -> _Sizes:
        def frames(seconds: float, least: int = 0) -> int:
            return max(least, round(seconds * model.rate / model.hop)) * model.hop

        limit = frames(options.window, 1)
        pad = frames(options.pad_seconds)
        if not options.clip_seconds or options.clip_seconds > options.window:
            overlap = frames(min(max(options.clip_overlap, _FADE), options.window / 2), 1)
            return cls(pad, pad, limit, overlap, overlap, True)
        size = frames(options.clip_seconds, 2)
        overlap = min(frames(options.clip_overlap), size - model.hop)
        return cls(pad, pad, size, overlap, overlap, True)


def _silence(count: int, rate: int) -> Iterator[Samples]:
    step = int(_SILENCE * rate)
    for start in range(0, count, step):
        yield np.zeros(min(step, count - start), np.float32)


class _Mono:
    """A source as one channel, checked, brought to a rate."""

    channels = 1
    length = None

    def __init__(self, source: AudioSource, rate: int, tick: Callable[[], None]) -> None:
        self._source, self._tick = source, tick
        self.sample_rate = rate

    def blocks(self, seconds: float) -> Iterator[Audio]:
        """As :meth:`sovits.audio.audio.AudioSource.blocks`."""
        resampler = StreamResampler(self._source.sample_rate, self.sample_rate, 1)
        passed = 0
        for block in self._source.blocks(seconds):
            self._tick()
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
    """Reads a source in order and holds what may be asked for again."""

    def __init__(self, source: _Mono) -> None:
        self._blocks = source.blocks(_BLOCK)
        self._held = np.zeros(0, np.float32)
        self._first = 0
        self._needed = 0

    def forget(self, before: int) -> None:
        """Nothing before this sample will be asked for."""
        self._needed = max(self._needed, before)
        drop = min(max(0, self._needed - self._first), len(self._held))
        self._held = self._held[drop:]
        self._first += drop

    def around(self, segment: Segment, low: int, high: int) -> Samples:
        """Samples ``low`` to ``high``, silence where they lie outside the segment."""
        start, stop = max(segment.start, low), min(segment.stop, high)
        return np.pad(self.read(start, stop), (start - low, high - stop))

    def read(self, low: int, high: int) -> Samples:
        """Samples ``low`` to ``high``.

        Raises:
            AudioError: the source has become shorter than it was.
        """
        while self._first + len(self._held) < high:
            block = next(self._blocks, None)
            if block is None:
                raise AudioError("the recording changed while it was being converted", hint="convert it again")
            self._held = np.concatenate([self._held, block.samples[0]])
            self.forget(self._needed)
        return self._held[low - self._first : high - self._first]
