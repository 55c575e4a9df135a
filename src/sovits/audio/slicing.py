"""Cutting recordings at silence.

One rule decides the cuts (:func:`find_cuts`); so-vits-svc and GPT-SoVITS differ in its settings (:data:`SVC`,
:data:`GSV`), in what they leave whole and in what they return: :func:`svc_chunks` and :func:`gsv_ranges`.
:func:`slice_audio` is the product's slicer: any number of channels, any length in bounded memory, and segments that
cover the recording without gap or overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import AudioSource, Samples
from sovits.audio.framing import FrameRms, frame_rms
from sovits.audio.levels import from_db
from sovits.options.slicing import SliceOptions

Cut = tuple[int, int]


@dataclass(frozen=True)
class Segment:
    """Samples ``start`` to ``stop`` of a recording."""

    start: int
    stop: int
    silent: bool


@dataclass(frozen=True)
class Frames:
    """The settings of a slicer in frames of ``hop`` samples.

    Attributes:
        threshold: amplitude of RMS below which a frame is silent.
        hop, window: in samples.
        min_length: shortest piece, in hops.
        min_interval: shortest silence that is cut, in hops.
        max_silence: longest silence that is kept at an edge, in hops.
    """

    threshold: float
    hop: int
    window: int
    min_length: int
    min_interval: int
    max_silence: int


@dataclass(frozen=True)
class SlicerTimes:
    """The settings of an upstream slicer in its own units.

    Attributes:
        threshold: in dB of full scale; ``min_length``, ``min_interval``, ``hop`` and ``max_silence`` in milliseconds.
        whole_samples: a recording of at most ``min_length`` hops is left whole; where this is set, its length in
            samples is compared with that number of hops (so-vits-svc), else its length in hops.
        hops_of_samples: lengths in hops are rounded from samples (GPT-SoVITS), else from milliseconds. It matters only
            at rates where a hop is no whole number of samples.
    """

    threshold: float
    min_length: float
    min_interval: float
    hop: float
    max_silence: float
    whole_samples: bool
    hops_of_samples: bool

    def frames(self, sample_rate: int) -> Frames:
        """These settings at a sample rate in Hz."""
        per_ms = sample_rate / 1000
        hop = round(self.hop * per_ms)
        hop_ms = hop / per_ms if self.hops_of_samples else self.hop
        return Frames(
            threshold=from_db(self.threshold),
            hop=hop,
            window=min(round(self.min_interval * per_ms), 4 * hop),
            min_length=round(self.min_length / hop_ms),
            min_interval=round(self.min_interval / hop_ms),
            max_silence=round(self.max_silence / hop_ms),
        )


# Defaults of the two programs: so-vits-svc's conversion command, GPT-SoVITS's slicing tool.
SVC = SlicerTimes(-40.0, 5000.0, 300.0, 20.0, 5000.0, whole_samples=True, hops_of_samples=False)
GSV = SlicerTimes(-34.0, 4000.0, 300.0, 10.0, 500.0, whole_samples=False, hops_of_samples=True)


def silent_runs(levels: Samples, threshold: float) -> list[Cut]:
    """Runs of frames whose RMS lies below ``threshold``, as ``(first, first after)``."""
    quiet = np.concatenate([[False], levels < threshold, [False]]).astype(np.int8)
    edges = np.diff(quiet)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]


def find_cuts(levels: Samples, frames: Frames) -> list[Cut]:
    """The silences at which a recording is cut (so-vits-svc spec M14, GPT-SoVITS spec B9).

    A run of silence is used if it is at least ``min_interval`` long and the piece before it at least ``min_length``, or
    if it leads in and is longer than ``max_silence``. A cut lies at the quietest frame of a short run; of a longer one,
    it takes out what lies between the quietest frames near its two ends.

    Args:
        levels: RMS of each frame.

    Returns:
        ``(first frame, frame)`` of what is cut out, possibly empty; a cut at the end reaches to ``len(levels) + 1``.
    """
    cuts: list[Cut] = []
    piece = 0
    keep = frames.max_silence
    for start, stop in silent_runs(levels, frames.threshold):
        long_enough = stop - start >= frames.min_interval
        if stop == len(levels):
            if long_enough:
                cuts.append((_quietest(levels, start, start + keep), len(levels) + 1))
            break
        leads = start == 0 and stop > keep
        if not leads and not (long_enough and stop - piece >= frames.min_length):
            continue
        left, right = _cut(levels, start, stop, keep)
        cuts.append((0 if start == 0 else left, right))
        piece = right
    return cuts


def _cut(levels: Samples, start: int, stop: int, keep: int) -> Cut:
    """Where one run of silence is cut; ``stop`` is the first loud frame and may be chosen."""
    if stop - start <= keep:
        place = _quietest(levels, start, stop)
        return place, place
    left = _quietest(levels, start, start + keep)
    right = _quietest(levels, stop - keep, stop)
    if stop - start <= 2 * keep and start > 0:
        middle = _quietest(levels, stop - keep, start + keep)
        return min(left, middle), max(right, middle)
    return left, right


def _quietest(levels: Samples, first: int, last: int) -> int:
    """The first of the quietest frames from ``first`` to ``last``, both included."""
    return first + int(np.argmin(levels[first : last + 1]))


def svc_chunks(samples: npt.ArrayLike, sample_rate: int, times: SlicerTimes = SVC) -> list[Segment]:
    """The chunks of so-vits-svc's slicer, voiced and silent, the empty silent ones included.

    Args:
        samples: mono [time].
        sample_rate: in Hz.
        times: the settings; ``dataclasses.replace(SVC, threshold=...)`` for another threshold.
    """
    signal = np.asarray(samples, np.float32)
    length = signal.shape[0]
    frames = times.frames(sample_rate)
    if _left_whole(length, frames, times):
        return [Segment(0, length, silent=False)]
    cuts = find_cuts(frame_rms(signal, frames.window, frames.hop), frames)
    return _segments(cuts, frames.hop, length)


def svc_segments(source: AudioSource, times: SlicerTimes = SVC) -> tuple[list[Segment], int]:
    """:func:`svc_chunks` of a stream of any length, and that length in samples.

    Args:
        source: any number of channels, walked through once; the channels' mean is listened to.
    """
    frames = times.frames(source.sample_rate)
    levels, length = _stream_levels(source, frames)
    if _left_whole(length, frames, times):
        return [Segment(0, length, silent=False)], length
    return _segments(find_cuts(levels, frames), frames.hop, length), length


def gsv_ranges(samples: npt.ArrayLike, sample_rate: int, times: SlicerTimes = GSV) -> list[Segment]:
    """The pieces that GPT-SoVITS's slicer keeps, all voiced.

    Args:
        samples: mono [time].
        sample_rate: in Hz.
        times: the settings.
    """
    return [segment for segment in svc_chunks(samples, sample_rate, times) if not segment.silent]


def _left_whole(length: int, frames: Frames, times: SlicerTimes) -> bool:
    counted = length if times.whole_samples else math.ceil(length / frames.hop)
    return counted <= frames.min_length


def _segments(cuts: list[Cut], hop: int, length: int) -> list[Segment]:
    """The pieces between the cuts and the cuts themselves, in samples."""
    found: list[Segment] = []
    place = 0
    for left, right in cuts:
        start, stop = min(left * hop, length), min(right * hop, length)
        if start > place:
            found.append(Segment(place, start, silent=False))
        found.append(Segment(start, stop, silent=True))
        place = stop
    if place < length:
        found.append(Segment(place, length, silent=False))
    return found


def loud_part(samples: npt.ArrayLike, below_peak: float, *, window: int = 2048, hop: int = 512) -> Cut:
    """Where a recording begins and ends once the quiet at both ends is left out, as librosa's ``trim`` finds it.

    Args:
        samples: mono [time].
        below_peak: frames whose RMS lies this many dB or more below that of the loudest are quiet.

    Returns:
        ``(start, stop)`` in samples; ``(0, 0)`` for silence.
    """
    signal = np.asarray(samples, np.float32)
    levels = frame_rms(signal, window, hop)
    largest = float(levels.max(initial=0.0))
    loud = np.flatnonzero(levels > largest * from_db(-below_peak))
    if not len(loud):
        return 0, 0
    return int(loud[0]) * hop, min(len(signal), (int(loud[-1]) + 1) * hop)


def normalise_piece(piece: npt.ArrayLike, *, top: float = 0.9, share: float = 0.25) -> npt.NDArray[np.int16]:
    """The levelled 16-bit piece that GPT-SoVITS's slicer writes (spec section 15).

    A share of the piece is brought to the level ``top``, the rest stays as it is. A peak above full scale is divided by
    first, and by once more after that, as there; silence stays silence.

    Args:
        piece: mono [time].
        top, share: its ``max`` and ``alpha``.
    """
    samples = np.asarray(piece, np.float32)
    largest = float(np.abs(samples).max(initial=0.0))
    if largest == 0.0:
        return np.zeros(samples.shape, np.int16)
    if largest > 1:
        samples = samples / np.float32(largest)
    mixed = samples / np.float32(largest) * np.float32(top * share) + np.float32(1 - share) * samples
    return np.trunc(mixed * np.float32(32767)).astype(np.int16)


def slice_audio(source: AudioSource, options: SliceOptions) -> list[Segment]:
    """Cut a recording at silence for the user.

    Args:
        source: any number of channels, walked through once; the channels' mean is listened to.

    Returns:
        segments in order that cover the recording from 0 to its last sample, none of them empty. Pieces longer than
        ``options.max_length`` are cut at their quietest frames. Where no frame is loud, all is one silent segment.
    """
    rate = source.sample_rate
    hop = max(1, round(options.hop * rate))
    frames = Frames(
        threshold=from_db(options.threshold),
        hop=hop,
        window=max(2, min(2 * round(options.min_interval * rate / 2), 4 * hop)),
        min_length=round(options.min_length * rate / hop),
        min_interval=round(options.min_interval * rate / hop),
        max_silence=max(1, round(options.max_silence * rate / hop)),
    )
    levels, length = _stream_levels(source, frames)
    if not (levels >= frames.threshold).any():
        return [Segment(0, length, silent=True)] if length else []
    found: list[Segment] = []
    for segment in _segments(find_cuts(levels, frames), hop, length):
        if segment.silent or options.max_length is None:
            found.append(segment)
        else:
            found.extend(_shortened(segment, levels, hop, round(options.max_length * rate)))
    return [segment for segment in found if segment.stop > segment.start]


def _stream_levels(source: AudioSource, frames: Frames) -> tuple[Samples, int]:
    """RMS of every frame of a source, and its length in samples."""
    meter = FrameRms(frames.window, frames.hop)
    parts: list[Samples] = []
    length = 0
    for block in source.blocks(10.0):
        parts.append(meter.push(block.mono()))
        length += block.length
    parts.append(meter.finish())
    return np.concatenate(parts), length


def _shortened(segment: Segment, levels: Samples, hop: int, longest: int) -> list[Segment]:
    """Cut a piece until none is longer than ``longest`` samples; each part keeps at least a quarter of that."""
    found: list[Segment] = []
    start = segment.start
    while (rest := segment.stop - start) > longest:
        first = -(-(start + longest // 2) // hop)
        last = (start + min(longest, rest - longest // 4)) // hop
        place = _quietest(levels, first, last) * hop if first <= last else start + longest
        found.append(Segment(start, place, silent=False))
        start = place
    found.append(Segment(start, segment.stop, silent=False))
    return found
