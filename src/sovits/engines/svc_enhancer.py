"""Mel and back: what the 44.1 kHz vocoder does for a so-vits-svc voice, and the enhancer that is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sovits.audio.audio import Samples
from sovits.audio.resample import sinc_resample
from sovits.core.rng import FloatArray, Noise
from sovits.zoo.svc_voice import VocoderPart

if TYPE_CHECKING:
    from torch import Tensor

#: Zero crossings of the resampler around the vocoder ("lowpass_filter_width").
_WIDTH = 128


def mel_of(vocoder: VocoderPart, samples: Samples, sample_rate: int) -> Tensor:
    """The vocoder's mel of a sound at any rate, float32 [1, bands, frames], natural logarithm."""
    import torch

    from sovits.features.mel import log_mel

    sound = sinc_resample(samples, sample_rate, vocoder.mel.sample_rate, width=_WIDTH)
    device = _device(vocoder)
    # A mel floor of 1e-5 does not exist in half precision.
    with torch.autocast(device.partition(":")[0], enabled=False):
        return log_mel(torch.from_numpy(np.ascontiguousarray(sound))[None].to(device), vocoder.mel)


def vocode(vocoder: VocoderPart, mel: Tensor, f0: FloatArray, noise: Noise, start: FloatArray | None = None) -> Samples:
    """Mel [1, bands, frames] and F0 in Hz [at least frames] -> mono samples [frames * hop].

    ``start``: phases of the source at the first sample, float32 [1, harmonics].
    """
    import torch

    pitch = torch.from_numpy(np.array(f0[None, : mel.shape[2]], np.float32)).to(mel.device)
    phases = None if start is None else torch.from_numpy(start).to(mel.device)
    audio: Samples = vocoder.net(mel, pitch, noise, None, phases)[0, 0].float().cpu().numpy()
    return audio


def enhance(
    vocoder: VocoderPart,
    samples: Samples,
    sample_rate: int,
    f0: FloatArray,
    hop: int,
    noise: Noise,
    *,
    key: float = 0.0,
    silence_front: float = 0.0,
) -> Samples:
    """Pass a sound through the vocoder once more (spec section 7, "Enhancer"; section 13, M10).

    Args:
        samples: mono [time] at ``sample_rate``. ``f0``: float32 [time // hop] in Hz; it is not changed (F8).
        key: the sound is taken as this many semitones lower, for voices above the vocoder's range.
        silence_front: seconds at the start, in whole hops, that are left out and come back as silence.

    Returns:
        Mono samples at the vocoder's rate.
    """
    rate, grid = vocoder.mel.sample_rate, vocoder.mel.hop
    skipped = int(silence_front * sample_rate / hop)
    samples, f0 = samples[skipped * hop :], f0[skipped:]
    inner = 100 * round(rate * 2.0 ** (key / 12.0) / 100)
    sound = sinc_resample(samples, sample_rate, inner, width=_WIDTH)
    mel = mel_of(vocoder, sound, rate)
    places = np.arange(mel.shape[2]) * (grid / rate)
    times = np.arange(len(f0)) * (hop / sample_rate * inner / rate)
    pitch = np.interp(places, times, f0 * np.float32(rate / inner)).astype(np.float32)
    audio = sinc_resample(vocode(vocoder, mel, pitch, noise), inner, rate, width=_WIDTH)
    return np.pad(audio, (round(skipped * hop / sample_rate * rate), 0))


def _device(vocoder: VocoderPart) -> str:
    return str(next(vocoder.net.parameters()).device)
