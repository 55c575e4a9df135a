"""The Python interface: load a voice once, convert with it as often as needed, from as many threads as needed.

::

    import sovits

    voice = sovits.load_voice("alto")
    sung = voice.convert("song.wav", transpose=-2)
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from sovits.audio.audio import Audio, MemorySource, concatenate
from sovits.core.device import Compute, choose
from sovits.core.errors import AudioError, OptionError
from sovits.core.hashing import options_hash
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.core.rng import SeededNoise
from sovits.engines.engine import Engine
from sovits.options.convert import ConvertOptions
from sovits.pipelines import engines
from sovits.zoo.voice import Voice

#: Engines that a voice of recordings remembers at most, one per choice of tracker.
_ENGINES = 4

PathLike = str | os.PathLike[str]


class LoadedVoice:
    """A voice that is ready to convert. Thread-safe: any number of threads may call it at once.

    Args:
        voice: where its files lie.
        models: folder of official weight files.
        compute: where nets run.
    """

    def __init__(self, voice: Voice, models: Path | None, compute: Compute) -> None:
        self._voice, self._models, self._compute = voice, models, compute
        self._lock = threading.Lock()
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        if engines.is_trained(voice):
            self._engine(self.options())

    @property
    def name(self) -> str:
        """What the voice is called."""
        return self._voice.name

    @property
    def is_trained(self) -> bool:
        """Whether nets sing it; otherwise the built-in converter imitates its recordings."""
        return engines.is_trained(self._voice)

    @property
    def speakers(self) -> dict[str, int]:
        """The speakers of a trained voice, name to number; empty for a voice of recordings."""
        from sovits.engines.svc import SvcEngine

        engine = self._engine(self.options()) if self.is_trained else None
        return dict(engine.loaded.speakers) if isinstance(engine, SvcEngine) else {}

    def options(self, **fields: Any) -> ConvertOptions:
        """The options that this voice takes, checked.

        Args:
            fields: fields of :class:`~sovits.options.svc.SvcOptions` for a trained voice, else of
                :class:`~sovits.options.convert.ConvertOptions`; docs/options.md lists both.

        Raises:
            OptionError: an unknown field or a wrong value.
        """
        return engines.settled(self._voice, engines.options_type(self._voice).build(fields, where="options"))

    def convert(
        self,
        source: Audio | PathLike,
        options: ConvertOptions | None = None,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
        **fields: Any,
    ) -> Audio:
        """Convert a recording and return the result, mono.

        Args:
            source: sound in memory, or the path of an audio or video file.
            options: a value of :meth:`options`, instead of ``fields``.
            progress: is told how far the work is. ``cancel``: stops it from another thread.
            fields: options by name, as in ``transpose=-2``.

        Raises:
            OptionError: an unknown option or a wrong value.
            PathError, AudioError: the source cannot be used.
            VoiceError: the voice lacks what is asked for, such as a speaker.
            MissingWeightsError: a file that the options need; says which one goes where.
            CancelledError: ``cancel`` was raised.
        """
        from sovits.audio.io import open_source

        chosen = self._chosen(options, fields)
        sound = MemorySource(source) if isinstance(source, Audio) else open_source(Path(source))
        parts = list(
            self._engine(chosen).stream(
                sound, self._voice, chosen, SeededNoise(chosen.seed), progress=progress, cancel=cancel
            )
        )
        if not parts:
            raise AudioError("there is no sound to convert", hint="give a recording that is not empty")
        return concatenate(parts)

    def convert_file(
        self,
        source: PathLike,
        output: PathLike,
        options: ConvertOptions | None = None,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
        **fields: Any,
    ) -> float:
        """Convert file to file in bounded memory, hours if need be; arguments and errors as :meth:`convert`.

        Args:
            output: its suffix chooses the format; it appears complete or not at all.

        Returns:
            Seconds of sound that were written.

        Raises:
            OutputError: the result cannot be written.
        """
        from sovits.pipelines.convert import convert_file

        chosen = self._chosen(options, fields)
        return convert_file(
            Path(source), Path(output), self._engine(chosen), self._voice, chosen, progress=progress, cancel=cancel
        )

    def _chosen(self, options: ConvertOptions | None, fields: dict[str, Any]) -> ConvertOptions:
        if options is None:
            return self.options(**fields)
        if fields:
            raise OptionError("options were given both as a value and by name", hint="choose one of them")
        return engines.settled(self._voice, options)

    def _engine(self, options: ConvertOptions) -> Engine:
        """The engine; one that has loaded its tracker is kept. A trained voice has a single one for all options."""
        key = "" if self.is_trained else options_hash(options.pitch.model_dump())
        with self._lock:
            if key not in self._engines:
                self._engines[key] = engines.engine_for(self._voice, options, self._models, self._compute)
            self._engines.move_to_end(key)
            found = self._engines[key]
            while len(self._engines) > _ENGINES:
                self._engines.popitem(last=False)
            return found


def load_voice(
    voice: PathLike,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    models: PathLike | None = None,
    voices: PathLike | None = None,
) -> LoadedVoice:
    """Load a voice.

    Args:
        voice: its name in the voices folder, or the path of its folder or model file; a folder of recordings does too;
            ``tiny`` has random weights and no download.
        device: where nets run: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        threads: of a CPU; 0 for all cores.
        models, voices: the folders of official files and of voices; those of this installation if not given.

    Raises:
        VoiceError: no such voice.
        CheckpointError: model files that cannot be used.
        MissingWeightsError: an official file that is not on this machine; says which one goes where.
        MissingDependencyError: a trained voice needs torch.
    """
    from sovits.settings import Settings

    settings = Settings.load()
    found = engines.named(os.fspath(voice), settings.voices if voices is None else Path(voices))
    # The built-in converter has no use for a GPU, and asking for one takes seconds.
    compute = choose(device if engines.is_trained(found) else "cpu", precision, threads)
    return LoadedVoice(found, settings.models if models is None else Path(models), compute)
