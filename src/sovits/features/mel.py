"""The one mel front end. Every variant that a net was trained on is a :class:`MelConfig` value.

Functions on tensors, differentiable, on the device of their input; numbers as in section 6 of the specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sovits.features.filterbank import MelScale, filterbank

Padding = Literal["centre", "even", "window"]


@dataclass(frozen=True)
class MelConfig:
    """How a waveform becomes a log-mel spectrogram.

    Attributes:
        sample_rate: in Hz.
        n_fft, window, hop: lengths in samples (Hann window).
        bands: number of mel filters between ``low`` and ``high`` Hz.
        scale: mel scale of the filters.
        padding: ``centre``: n_fft / 2 reflected on both sides, frame i is centred on sample i * hop, length // hop + 1
            frames; ``even``: (n_fft - hop) / 2 reflected on both sides, length // hop frames; ``window``: as ``even``
            by the window's length, with zeros instead of a reflection where the signal is too short for one.
        epsilon: added to the power before the root, so that the gradient at silence is finite.
        floor: least mel magnitude before the natural logarithm.
    """

    sample_rate: int
    n_fft: int
    window: int
    hop: int
    bands: int
    low: float
    high: float
    scale: MelScale = "slaney"
    padding: Padding = "window"
    epsilon: float = 1e-9
    floor: float = 1e-5


#: Training mel of the so-vits-svc generator (``mel_processing``), default ``data`` section.
SVC = MelConfig(44100, 2048, 2048, 512, 80, 0.0, 22050.0, padding="even", epsilon=1e-6)
#: Mel of the NSF-HiFiGAN vocoder (``nvSTFT``), also what shallow diffusion works on.
VOCODER = MelConfig(44100, 2048, 2048, 512, 128, 40.0, 16000.0)
#: Input of RMVPE.
RMVPE = MelConfig(16000, 1024, 1024, 160, 128, 30.0, 8000.0, scale="htk", padding="centre", epsilon=0.0)
#: Input of FCPE.
FCPE = MelConfig(16000, 1024, 1024, 160, 128, 0.0, 8000.0)


def spectrogram(audio: Tensor, config: MelConfig, *, keyshift: float = 0.0, speed: float = 1.0) -> Tensor:
    """Magnitude spectrogram.

    Args:
        audio: float [batch, time].
        config: framing and padding.
        keyshift: semitones; the window and the transform grow by ``2 ** (keyshift / 12)``, the bins are cut or padded
            to the usual number, so the spectrum looks shifted while the frames stay where they are.
        speed: factor on the hop.

    Returns:
        float [batch, n_fft // 2 + 1, frames].
    """
    factor = 2.0 ** (keyshift / 12.0)
    n_fft, window = round(config.n_fft * factor), round(config.window * factor)
    hop = round(config.hop * speed)
    padded = _padded(audio, config.padding, n_fft, window, hop)
    shape = torch.hann_window(window, dtype=audio.dtype, device=audio.device)
    transform = torch.stft(padded, n_fft, hop, window, shape, center=False, return_complex=True)
    parts = torch.view_as_real(transform)
    magnitude: Tensor = (parts.square().sum(-1) + config.epsilon).sqrt()
    if keyshift == 0.0:
        return magnitude
    bins = config.n_fft // 2 + 1
    resized = functional.pad(magnitude, (0, 0, 0, max(0, bins - magnitude.shape[1])))[:, :bins]
    scaled: Tensor = resized * (config.window / window)
    return scaled


def to_mel(magnitude: Tensor, config: MelConfig) -> Tensor:
    """Mel bands of a magnitude spectrogram, natural logarithm.

    Args:
        magnitude: float [batch, n_fft // 2 + 1, frames].

    Returns:
        float [batch, bands, frames].
    """
    bank = filterbank(config.sample_rate, config.n_fft, config.bands, config.low, config.high, config.scale)
    weights = torch.tensor(bank, dtype=magnitude.dtype, device=magnitude.device)
    return torch.matmul(weights, magnitude).clamp(min=config.floor).log()


def log_mel(audio: Tensor, config: MelConfig, *, keyshift: float = 0.0, speed: float = 1.0) -> Tensor:
    """Log-mel spectrogram, float [batch, bands, frames]; arguments as :func:`spectrogram`."""
    return to_mel(spectrogram(audio, config, keyshift=keyshift, speed=speed), config)


def _padded(audio: Tensor, padding: Padding, n_fft: int, window: int, hop: int) -> Tensor:
    """``audio`` [batch, time] with the edges that ``padding`` asks for."""
    length = audio.shape[-1]
    if padding == "window":
        left = (window - hop) // 2
        right = max((window - hop + 1) // 2, window - length - left)
    else:
        left = right = n_fft // 2 if padding == "centre" else (n_fft - hop) // 2
    if padding == "window" and right >= length:
        return functional.pad(audio, (left, right))
    return functional.pad(audio[:, None], (left, right), mode="reflect")[:, 0]
