"""What a call asks of a voice, checked before any work: speaker, files, steps of diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sovits.core.errors import OptionError, VoiceError
from sovits.options.svc import SvcOptions
from sovits.zoo.svc_voice import SvcVoice

if TYPE_CHECKING:
    from sovits.nets.diffusion.samplers import Sampler


def check(voice: SvcVoice, options: SvcOptions, speaker: int) -> None:
    """Whether a voice can do what the options ask for; loads the vocoder where it is needed.

    Raises:
        VoiceError: what the voice lacks.
        MissingWeightsError: the vocoder is not on this machine.
    """
    if options.diffusion != "alone" and voice.generator is None:
        raise VoiceError(
            f"the voice '{voice.name}' has no generator, only a diffusion model",
            hint="use it with diffusion alone (diffusion='alone')",
        )
    _check_speaker(voice, options, speaker)
    if options.retrieval_ratio and not options.speaker_tracks:
        _check_retrieval(voice, options, speaker)
    if options.diffusion != "off":
        if voice.diffusion is None:
            raise _no_diffusion(voice)
        _check_vocoder(voice)
    elif options.enhance:
        voice.vocoder()


def _check_speaker(voice: SvcVoice, options: SvcOptions, speaker: int) -> None:
    if options.diffusion == "alone" or voice.generator is None:
        return
    rows = voice.generator.config.n_speakers
    if speaker >= rows:
        raise VoiceError(
            f"speaker {speaker} is beyond the {rows} rows of the speaker table of '{voice.name}'",
            hint="give the config that belongs to the model",
        )


def _check_retrieval(voice: SvcVoice, options: SvcOptions, speaker: int) -> None:
    name = voice.speaker_name(speaker)
    if options.retrieval == "index" and speaker not in voice.indexes:
        raise VoiceError(
            f"the voice '{voice.name}' has no retrieval index for speaker '{name}'",
            hint="put feature_and_index.pkl into its folder, or set retrieval_ratio to 0",
        )
    if options.retrieval == "cluster" and (voice.clusters is None or name not in voice.clusters.centres):
        raise VoiceError(
            f"the voice '{voice.name}' has no k-means centres for speaker '{name}'",
            hint="put kmeans_10000.pt into its folder, or set retrieval_ratio to 0",
        )


def _check_vocoder(voice: SvcVoice) -> None:
    mel = voice.vocoder().mel
    if (mel.sample_rate, mel.hop) != (voice.sample_rate, voice.hop):
        raise VoiceError(
            f"the vocoder makes {mel.sample_rate} Hz with a hop of {mel.hop}, the voice '{voice.name}' "
            f"{voice.sample_rate} Hz with {voice.hop}",
            hint="diffusion needs a vocoder of the voice's rate and hop",
        )


def _no_diffusion(voice: SvcVoice) -> VoiceError:
    return VoiceError(
        f"the voice '{voice.name}' has no diffusion model", hint="put model_*.pt and its config.yaml in its folder"
    )


def choose_sampler(voice: SvcVoice, options: SvcOptions) -> tuple[Sampler, int]:
    """The sampler of a call, and how many steps it takes at once; checks the number of steps.

    Raises:
        VoiceError: the voice has no diffusion model.
        OptionError: an unknown sampler, or steps out of the trained range.
    """
    from sovits.nets.diffusion.samplers import SAMPLERS

    part = voice.diffusion
    if part is None:
        raise _no_diffusion(voice)
    config = part.net.config
    name, speedup = options.sampler or part.sampler, options.speedup or part.speedup
    if name is not None and name not in SAMPLERS:
        raise OptionError(f"unknown diffusion sampler '{name}'", hint=f"known: {', '.join(SAMPLERS)}")
    if options.diffusion == "alone":
        if config.k_step_max != config.timesteps:
            raise OptionError(
                f"the diffusion model of '{voice.name}' was trained for {config.k_step_max} of "
                f"{config.timesteps} steps only",
                hint="use it for shallow diffusion (diffusion='shallow')",
            )
        steps = config.timesteps
    else:
        steps = options.k_step
        if steps > config.k_step_max:
            raise OptionError(
                f"k_step {steps} is beyond the trained range of the diffusion model of '{voice.name}'",
                hint=f"choose at most {config.k_step_max}",
            )
    if speedup == 1 or name is None:
        return SAMPLERS["ddpm"], 1
    if name in ("dpm-solver", "dpm-solver++", "unipc") and steps // speedup < 2:
        raise OptionError(
            f"{steps} diffusion steps taken {speedup} at once leave too few for '{name}'",
            hint=f"take at least {2 * speedup} steps (k_step, --k_step), or a speedup of at most {max(1, steps // 2)}"
            " (infer.speedup in the config of the diffusion model)",
        )
    return SAMPLERS[name], speedup
