"""Which engine serves a voice: the neural one for a trained model, the built-in one for recordings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sovits.core.device import Compute
from sovits.core.registry import missing
from sovits.engines.engine import Engine
from sovits.options.convert import ConvertOptions
from sovits.options.svc import SvcOptions
from sovits.zoo.tiny import KINDS
from sovits.zoo.voice import Voice, find

if TYPE_CHECKING:
    from sovits.engines.svc import SvcEngine
    from sovits.zoo.svc_files import SvcFiles
    from sovits.zoo.voice import ModelFiles


def named(name_or_folder: str, voices_folder: Path) -> Voice:
    """A voice as :func:`sovits.zoo.voice.find` finds it, or a tiny one with random weights by its name.

    Raises:
        VoiceError, CheckpointError: as ``find``.
    """
    if name_or_folder in KINDS and not any(
        place.exists() for place in (Path(name_or_folder), voices_folder / name_or_folder)
    ):
        return Voice(name_or_folder)
    return find(name_or_folder, voices_folder)


def is_tiny(voice: Voice) -> bool:
    """Whether the voice is one of random weights, made in memory for tests and documentation."""
    return voice.name in KINDS and voice == Voice(voice.name)


def is_trained(voice: Voice) -> bool:
    """Whether nets sing it: the voice has a trained model, or is a tiny one."""
    return voice.model is not None or is_tiny(voice)


def options_type(voice: Voice) -> type[ConvertOptions]:
    """The option type of the engine that serves a voice."""
    return SvcOptions if is_trained(voice) else ConvertOptions


def settled(voice: Voice, options: ConvertOptions) -> ConvertOptions:
    """The options with the voice's own speaker where they name none."""
    if not isinstance(options, SvcOptions) or not voice.speaker:
        return options
    named = (options.speaker, options.speaker_mix, options.speaker_tracks)
    return (
        options if any(value is not None for value in named) else options.model_copy(update={"speaker": voice.speaker})
    )


def engine_for(voice: Voice, options: ConvertOptions, models: Path | None, compute: Compute) -> Engine:
    """Load everything that conversions into a voice need.

    Args:
        options: their pitch tracker is loaded with the built-in engine; the neural one loads the tracker it is asked for.
        models: folder of official weight files.

    Raises:
        MissingDependencyError, MissingWeightsError: what is not installed or not on this machine.
        CheckpointError: model files that cannot be used.
    """
    if not is_trained(voice):
        from sovits.engines.world import WorldEngine
        from sovits.zoo.tables import pitch_predictor

        return WorldEngine(pitch_predictor(options.pitch, models=models, compute=compute))
    from sovits.engines.svc import SvcEngine
    from sovits.zoo.tiny import tiny_voice

    if voice.model is not None:
        return svc_engine(files_of(voice.model), models, compute, name=voice.name)
    with _needing_torch():
        return SvcEngine(tiny_voice(voice.name, compute))


def svc_engine(files: SvcFiles, models: Path | None, compute: Compute, *, name: str = "") -> SvcEngine:
    """The neural engine with a voice loaded from its files; errors as :func:`engine_for`."""
    from sovits.engines.svc import SvcEngine
    from sovits.zoo.svc_voice import load_svc_voice

    with _needing_torch():
        return SvcEngine(load_svc_voice(files, compute, models=models, name=name))


@contextlib.contextmanager
def _needing_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing("torch", "singing with a trained voice", "neural") from error


def files_of(model: ModelFiles) -> SvcFiles:
    """The files of an imported voice, as the loader takes them."""
    from sovits.zoo.svc_files import SvcFiles

    return SvcFiles(model.weights, model.config, model.diffusion, model.diffusion_config, model.clusters, model.index)
