"""The built-in converter: WORLD analysis, a map of pitch and envelope, and resynthesis. It needs no weights.

It moves timbre towards the target, it does not become it. The source is walked through twice, in pieces: the first walk
gathers F0 and statistics, the second analyses, maps and synthesises. What is kept of a recording meanwhile is its F0
(800 bytes a second) and a bounded sample of its spectra.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Audio, AudioSource, MemorySource, Samples, concatenate
from sovits.audio.limiter import Limiter
from sovits.audio.resample import StreamResampler, resampled_length
from sovits.core.errors import AudioError
from sovits.core.hashing import file_hash, options_hash
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.core.rng import Noise
from sovits.engines.world_analysis import FRAMES, frames, pitch
from sovits.engines.world_mapping import CONTEXT, Mapping
from sovits.engines.world_pieces import MARGIN, Piece, Pieces
from sovits.engines.world_synthesis import Plan, Synthesiser
from sovits.engines.world_target import Profile, Survey, profile_of
from sovits.features.pitch.contour import PitchPredictor
from sovits.options.convert import ConvertOptions
from sovits.options.pitch import PitchOptions
from sovits.zoo.tables import pitch_predictor
from sovits.zoo.voice import Voice

#: Frames that are in memory as full spectra at once.
_STEP = 3 * FRAMES
#: What an engine remembers at most: target profiles (2 MB each) and loaded pitch trackers.
_PROFILES, _PREDICTORS = 16, 4
#: WORLD's envelope lies this far above the power of the sound (natural log, 1.3 dB); seen on singing of seven voices.
_ENVELOPE_BIAS = 0.3
#: The first walk looks at the spectrum of every second voiced frame.
_SURVEY_STEP = 2

Track = npt.NDArray[np.float32]
T = TypeVar("T")


class WorldEngine:
    """The built-in converter (see the module). Thread-safe; remembers the profiles of the voices used last.

    Args:
        predictor: pitch tracker; if not given, the one that the options of a call name.
    """

    def __init__(self, predictor: PitchPredictor | None = None) -> None:
        self._predictor = predictor
        self._lock = threading.Lock()
        self._profiles: OrderedDict[str, Profile] = OrderedDict()
        self._predictors: OrderedDict[str, PitchPredictor] = OrderedDict()

    def convert(
        self,
        audio: Audio,
        voice: Voice,
        options: ConvertOptions,
        noise: Noise,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
    ) -> Audio:
        """As :meth:`sovits.engines.engine.Engine.convert`."""
        return concatenate(
            list(self.stream(MemorySource(audio), voice, options, noise, progress=progress, cancel=cancel))
        )

    def stream(
        self,
        source: AudioSource,
        voice: Voice,
        options: ConvertOptions,
        noise: Noise,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
    ) -> Iterator[Audio]:
        """As :meth:`sovits.engines.engine.Engine.stream`. Errors come when the first piece is asked for."""
        cancel = cancel or Cancel()
        pieces = Pieces(source, options.window)
        known = self._listen(pieces, voice, options, progress, cancel)
        mapping = Mapping(known.source, known.target, options.timbre, pieces.rate)
        ratio = 2.0 ** (known.shift / 12.0)
        length = pieces.length
        output = _Output(pieces.rate, source.sample_rate, options.sample_rate or source.sample_rate, length)
        synthesiser = Synthesiser(pieces.rate, noise)
        with progress.stage("conversion", pieces.seconds, "s") as stage:
            for piece, track in zip(pieces, known.tracks, strict=False):
                for first in range(0, piece.seconds * FRAMES, _STEP):
                    cancel.check()
                    count = min(_STEP, piece.seconds * FRAMES - first)
                    plan = _plan(piece, track, first, count, mapping, ratio, pieces.rate)
                    origin = (piece.start - MARGIN) * pieces.rate
                    done = synthesiser.push(plan, piece.start * FRAMES + first, piece.samples, origin)
                    yield from output.push(done)
                stage.advance(piece.sound)
        if pieces.length != length:
            raise AudioError("the recording changed while it was being converted", hint="convert it again")
        yield from output.finish(synthesiser)

    def transposition(self, source: AudioSource, voice: Voice, options: ConvertOptions) -> float:
        """The pitch shift in semitones that a conversion with these options makes."""
        pieces = Pieces(source, options.window)
        return self._listen(pieces, voice, options, SILENT, Cancel()).shift

    def _listen(
        self, pieces: Pieces, voice: Voice, options: ConvertOptions, progress: Progress, cancel: Cancel
    ) -> _Known:
        """The first walk: F0 and statistics of the source, and those of the voice."""
        tracker = self._tracker(options.pitch)
        with progress.stage("voice", 1.0) as stage:
            target = self._profile(voice, options.pitch, tracker, cancel)
            stage.advance()
        tracks: list[Track] = []
        survey = Survey(_SURVEY_STEP)
        with progress.stage("analysis", pieces.seconds, "s") as stage:
            for piece in pieces:
                cancel.check()
                tracks.append(_track(piece, pieces.rate, tracker))
                survey.add(piece.samples, pieces.rate, tracks[-1][CONTEXT : -CONTEXT - 2], MARGIN * FRAMES)
                stage.advance(piece.sound)
        source = survey.profile()
        return _Known(source, target, tracks, transposition(options, source, target))

    def _tracker(self, options: PitchOptions) -> PitchPredictor:
        if self._predictor is not None:
            return self._predictor
        key = options_hash(options.model_dump())
        with self._lock:
            found = self._predictors.get(key)
        return _remember(self._lock, self._predictors, key, found or pitch_predictor(options), _PREDICTORS)

    def _profile(self, voice: Voice, options: PitchOptions, tracker: PitchPredictor, cancel: Cancel) -> Profile:
        """The target's statistics, from memory if the same clips were heard with the same pitch options before."""
        clips = [file_hash(clip) for clip in voice.references if clip.is_file()]
        key = options_hash({"clips": clips, "pitch": options.model_dump()})
        with self._lock:
            found = self._profiles.get(key)
        if found is None:
            found = profile_of(voice, tracker, cancel)
        return _remember(self._lock, self._profiles, key, found, _PROFILES)


@dataclass(frozen=True, eq=False)
class _Known:
    """What the first walk found: statistics of both voices, F0 of every piece, and the pitch shift in semitones."""

    source: Profile
    target: Profile
    tracks: list[Track]
    shift: float


class _Output:
    """Resamples the stream to the output rate, keeps it below full scale and cuts it to the exact length."""

    def __init__(self, work: int, source: int, target: int, length: int) -> None:
        self._resampler = StreamResampler(work, target, 1)
        self._limiter = Limiter(target, 1)
        self._work_length = resampled_length(length, source, work)
        self._left = resampled_length(length, source, target)
        self._rate = target

    def push(self, samples: npt.NDArray[np.float64]) -> Iterator[Audio]:
        """Take work-rate samples [time]."""
        yield from self._give(self._limiter.push(self._resampled(samples)))

    def finish(self, synthesiser: Synthesiser) -> Iterator[Audio]:
        """Take what the synthesiser still holds, and end."""
        last = self._resampled(synthesiser.finish(self._work_length))
        yield from self._give(self._limiter.push(last))
        yield from self._give(self._limiter.push(self._resampler.finish()))
        yield from self._give(self._limiter.finish())

    def _resampled(self, samples: npt.NDArray[np.float64]) -> Samples:
        return self._resampler.push(samples.astype(np.float32)[None])

    def _give(self, samples: Samples) -> Iterator[Audio]:
        samples = samples[:, : self._left]
        self._left -= samples.shape[1]
        if samples.shape[1]:
            yield Audio(samples, self._rate)


def transposition(options: ConvertOptions, source: Profile, target: Profile) -> float:
    """Semitones of the pitch shift: as asked for, or from median to median, whole octaves in the mode ``auto``."""
    if not isinstance(options.transpose, str):
        return float(options.transpose)
    octaves = target.octaves - source.octaves
    if np.isnan(octaves):  # nothing in the source has a pitch
        return 0.0
    return 12.0 * (octaves if options.transpose == "range" else round(octaves))


def _track(piece: Piece, rate: int, tracker: PitchPredictor) -> Track:
    """F0 of the frames of a piece with :data:`CONTEXT` more on both sides, and the first two of the next piece."""
    first = MARGIN * FRAMES - CONTEXT
    track = pitch(piece.samples, rate, tracker)
    return np.array(track[first : first + piece.seconds * FRAMES + 2 + 2 * CONTEXT], np.float32)


def _plan(piece: Piece, track: Track, first: int, count: int, mapping: Mapping, ratio: float, rate: int) -> Plan:
    """Analyse and map ``count + 2`` frames from ``first`` of a piece."""
    hertz = track[first : first + count + 2 + 2 * CONTEXT]
    found = frames(piece.samples, rate, hertz, MARGIN * FRAMES + first - CONTEXT)
    mapped, gain = mapping.apply(found.envelope, found.voiced)
    inner = slice(CONTEXT, CONTEXT + count + 2)
    shifted = np.minimum(found.f0[inner] * ratio, rate / 4)
    return Plan(shifted, mapped[inner] - _ENVELOPE_BIAS, found.aperiodicity[inner], gain[inner])


def _remember(lock: threading.Lock, store: OrderedDict[str, T], key: str, value: T, most: int) -> T:
    """Put a value into a bounded store, the least recently used one leaves; the first of two writers wins."""
    with lock:
        kept = store.setdefault(key, value)
        store.move_to_end(key)
        while len(store) > most:
            store.popitem(last=False)
        return kept
