"""Which engine serves a voice: the neural one for a trained model, the built-in one for recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sovits.core.device import Compute
from sovits.engines.engine import Engine
from sovits.options.convert import ConvertOptions
from sovits.zoo.voice import Voice

if TYPE_CHECKING:
    from sovits.engines.svc import SvcEngine
    from sovits.zoo.svc_files import SvcFiles
    from sovits.zoo.voice import ModelFiles


def options_type(voice: Voice) -> type[ConvertOptions]:
    """The option type of the engine that serves a voice."""
    if voice.model is None:
        return ConvertOptions
    from sovits.options.svc import SvcOptions

    return SvcOptions


def engine_for(voice: Voice, options: ConvertOptions, models: Path | None, compute: Compute) -> Engine:
    """Load everything that conversions into a voice need.

    Args:
        options: their pitch tracker is loaded with the built-in engine; the neural one loads the tracker it is asked for.
        models: folder of official weight files.

    Raises:
        MissingDependencyError, MissingWeightsError: what is not installed or not on this machine.
        CheckpointError: model files that cannot be used.
    """
    if voice.model is None:
        from sovits.engines.world import WorldEngine
        from sovits.zoo.tables import pitch_predictor

        return WorldEngine(pitch_predictor(options.pitch, models=models, compute=compute))
    return svc_engine(files_of(voice.model), models, compute, name=voice.name)


def svc_engine(files: SvcFiles, models: Path | None, compute: Compute, *, name: str = "") -> SvcEngine:
    """The neural engine with a voice loaded from its files; errors as :func:`engine_for`."""
    from sovits.core.registry import missing
    from sovits.engines.svc import SvcEngine
    from sovits.zoo.svc_voice import load_svc_voice

    try:
        return SvcEngine(load_svc_voice(files, compute, models=models, name=name))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing("torch", "singing with a trained voice", "neural") from error


def files_of(model: ModelFiles) -> SvcFiles:
    """The files of an imported voice, as the loader takes them."""
    from sovits.zoo.svc_files import SvcFiles

    return SvcFiles(
        model.weights, model.config, model.diffusion, model.diffusion_config, model.clusters, model.index
    )
