"""The engine of so-vits-svc voices: any length, in bounded memory, in order, as it comes.

Cutting and joining: :mod:`~sovits.engines.svc_plan`; one piece through the nets: :mod:`~sovits.engines.svc_render`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from sovits.audio.audio import Audio, AudioSource, MemorySource, Samples, concatenate
from sovits.audio.resample import StreamResampler
from sovits.core.errors import AudioError
from sovits.core.hashing import options_hash
from sovits.core.heap import trim_heap
from sovits.core.progress import SILENT, Cancel, Progress, Stage
from sovits.core.rng import Noise
from sovits.engines.svc_mix import Tracks, fixed_weights
from sovits.engines.svc_pitch import SvcPitch
from sovits.engines.svc_plan import Model, Piece, Plan, Weights
from sovits.engines.svc_render import Renderer
from sovits.engines.svc_track import Pitch
from sovits.engines.svc_watch import LayerWatch
from sovits.options.convert import ConvertOptions
from sovits.options.pitch import PitchOptions
from sovits.options.svc import SvcOptions
from sovits.zoo.svc_voice import SvcVoice
from sovits.zoo.voice import Voice

#: Loaded pitch trackers that an engine remembers at most.
_TRACKERS = 4


class SvcEngine:
    """Converts into one loaded voice. Thread-safe: nothing of a call is kept here but loaded trackers.

    Args:
        loaded: the voice with its nets.
        pitch: tracker; if not given, the one that the options of a call name.
    """

    def __init__(self, loaded: SvcVoice, *, pitch: SvcPitch | None = None) -> None:
        self.loaded = loaded
        self._pitch = pitch
        self._lock = threading.Lock()
        self._trackers: OrderedDict[str, SvcPitch] = OrderedDict()
        nets = [loaded.generator, loaded.encoder.net, loaded.diffusion.net if loaded.diffusion else None]
        self._watch = LayerWatch(net for net in nets if net is not None)

    def convert(
        self,
        audio: Audio,
        voice: Voice | None,
        options: ConvertOptions,
        noise: Noise,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
    ) -> Audio:
        """As :meth:`sovits.engines.engine.Engine.convert`; of ``voice`` only the speaker counts, the loaded one sings."""
        return concatenate(
            list(self.stream(MemorySource(audio), voice, options, noise, progress=progress, cancel=cancel))
        )

    def stream(
        self,
        source: AudioSource,
        voice: Voice | None,
        options: ConvertOptions,
        noise: Noise,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
    ) -> Iterator[Audio]:
        """As :meth:`sovits.engines.engine.Engine.stream`. Errors come when the first piece is asked for.

        Args:
            options: :class:`~sovits.options.svc.SvcOptions`, or general ones.
        """
        cancel = cancel or Cancel()
        settings = SvcOptions.of(options, source.sample_rate)
        if settings.speaker is None and voice is not None and voice.speaker:
            settings = settings.model_copy(update={"speaker": voice.speaker})
        tracker = self._tracker(settings.pitch)
        if tracker.net is not None:
            self._watch.add(tracker.net)
        renderer = Renderer(self.loaded, settings, tracker, noise, cancel)
        if self.loaded.vocoder_part is not None:
            self._watch.add(self.loaded.vocoder_part.net)
        model = Model(self.loaded.sample_rate, self.loaded.hop)
        rate = settings.sample_rate or model.rate
        resampler = StreamResampler(model.rate, rate, 1)
        seconds = None if source.length is None else source.length / source.sample_rate
        given = 0
        with progress.stage("conversion", seconds, "s") as stage:

            def render(piece: Piece) -> tuple[Samples, int]:
                cancel.check()
                with self._watch.under(cancel):
                    made = renderer(piece)
                trim_heap()
                return made

            def follow(sound: Samples) -> Pitch:
                with self._watch.under(cancel):
                    return renderer.follow(sound)

            plan = Plan(source, model, settings, self._weights(settings), tick=cancel.check)
            for samples in plan.run(render, follow):
                cancel.check()
                given += self._advanced(stage, samples)
                if rate != model.rate:
                    samples = resampler.push(samples[None])[0]
                if len(samples):
                    yield Audio.from_mono(samples, rate)
            last = resampler.finish()
            if last.shape[1]:
                yield Audio(last, rate)
        if not given:
            raise AudioError("there is no sound to convert")

    def _advanced(self, stage: Stage, samples: Samples) -> int:
        stage.advance(len(samples) / self.loaded.sample_rate)
        return len(samples)

    def _weights(self, options: SvcOptions) -> Weights | None:
        """Speaker weights over the recording, if the options blend speakers."""
        if options.speaker_mix is not None:
            fixed = fixed_weights(self.loaded, options.speaker_mix)
            return lambda shares: np.repeat(fixed, len(shares), axis=0)
        if options.speaker_tracks is not None and options.compat == "fixed":
            return Tracks(self.loaded, options.speaker_tracks).at
        return None

    def _tracker(self, options: PitchOptions) -> SvcPitch:
        if self._pitch is not None:
            return self._pitch
        key = options_hash(options.model_dump())
        with self._lock:
            found = self._trackers.get(key)
        if found is None:
            found = SvcPitch(options, self.loaded.models, self.loaded.compute)
        with self._lock:
            found = self._trackers.setdefault(key, found)
            self._trackers.move_to_end(key)
            while len(self._trackers) > _TRACKERS:
                self._trackers.popitem(last=False)
        return found
