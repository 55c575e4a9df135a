"""The built-in converter: WORLD analysis, a map of pitch and envelope, and resynthesis. It needs no weights.

It moves timbre towards the target, it does not become it. Work is done in two walks over the source, both in pieces:
the first gathers F0 and statistics, the second analyses, maps and synthesises. What is kept of a recording is its F0
(800 bytes a second) and a bounded sample of its spectra.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Audio, AudioSource, MemorySource, Samples, concatenate
from sovits.audio.limiter import Limiter
from sovits.audio.resample import StreamResampler, resampled_length
from sovits.core.errors import AudioError
from sovits.core.hashing import file_hash, options_hash
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.core.rng import Noise
from sovits.engines.world_analysis import FRAMES, Floats, frames, pitch, work_rate
from sovits.engines.world_mapping import CONTEXT, Mapping
from sovits.engines.world_synthesis import Plan, Synthesiser
from sovits.engines.world_target import Profile, Survey, profile_of
from sovits.features.pitch.contour import PitchPredictor
from sovits.options.convert import ConvertOptions
from sovits.options.pitch import PitchOptions
from sovits.zoo.tables import pitch_predictor
from sovits.zoo.voice import Voice

#: Seconds of sound on both sides of a piece that its analysis may look at; a whole number, so that pieces start on the
#: frame grid at any sample rate.
_MARGIN = 1
#: Frames that are in memory as full spectra at once.
_STEP = 3 * FRAMES
_PROFILES = 16
_PREDICTORS = 4
#: WORLD's envelope lies this far above the source's power (natural log); seen on speech and singing alike.
_ENVELOPE_BIAS = 0.3
_SURVEY_STEP = 2
_LOWEST_F0 = 20.0


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a recording at the work rate.

    Attributes:
        samples: mono [time], with margins.
        start: position of ``samples[0]`` in seconds; -1 for the first piece, whose margin is silence.
        seconds: length without margins, in whole seconds; the end of the last one may lie beyond the sound.
        sound: samples without margins that the recording really holds.
    """

    samples: Samples
    start: int
    seconds: int
    sound: int


class WorldEngine:
    """The built-in converter (see the module). Thread-safe; keeps the profiles of the voices used last.

    Args:
        predictor: pitch tracker; if not given, the one that the options of a call name.
    """

    def __init__(self, predictor: PitchPredictor | None = None) -> None:
        self._predictor = predictor
        self._lock = threading.Lock()
        self._profiles: OrderedDict[str, Profile] = OrderedDict()
        self._predictors: OrderedDict[PitchOptions, PitchPredictor] = OrderedDict()

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
        pieces = self.stream(MemorySource(audio), voice, options, noise, progress=progress, cancel=cancel)
        return concatenate(list(pieces))

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
        """As :meth:`sovits.engines.engine.Engine.stream`. Errors come with the first piece."""
        cancel = cancel or Cancel()
        predictor = self._tracker(options.pitch)
        rate = work_rate(source.sample_rate)
        seconds = source.length / source.sample_rate if source.length is not None else None
        with progress.stage("voice") as stage:
            target = self._profile(voice, options.pitch, predictor, cancel)
            stage.advance()
        tracks: list[npt.NDArray[np.float32]] = []
        survey = Survey(_SURVEY_STEP)
        with progress.stage("analysis", seconds, "s") as stage:
            for piece in pieces(source, rate, round(options.window)):
                cancel.check()
                tracks.append(_track(piece, rate, predictor))
                survey.add(piece.samples, rate, tracks[-1][:-1], _MARGIN * FRAMES)
                stage.advance(piece.sound / rate)
        here = survey.profile()
        mapping = Mapping(here, target, options.timbre, rate)
        ratio = 2.0 ** (transposition(options, here, target) / 12.0)
        length = resampled_length(self._counted(source, tracks, rate), source.sample_rate, rate)
        del length
        yield from self._synthesised(source, options, noise, tracks, mapping, ratio, rate, progress, cancel, seconds)
