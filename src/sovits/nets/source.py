"""Sine source of the neural source-filter decoders (Wang, Takaki and Yamagishi 2019); takes Noise, never draws itself.

Phases are sums over minutes of audio; they are kept in the number formats in which the recorded numbers were made,
because a plain float32 sum drifts audibly and measurably (spec section 13, M1, M2, W2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.core.rng import Noise

AMPLITUDE = 0.1
VOICED_NOISE = 0.003


def cumulative_phase(steps: Tensor, dim: int = 1) -> Tensor:
    """Cumulative sum with a float64 accumulator and a float32 result, on every device."""
    return steps.double().cumsum(dim).float()


def sine_at_sample_rate(f0: Tensor, harmonics: int, sample_rate: int, initial_phase: Tensor) -> Tensor:
    """Harmonics with the wrap rule of the svc decoder (spec section 13, M1).

    Args:
        f0: float32 [B, samples, 1] in Hz.
        initial_phase: float32 [B, harmonics] in turns, added to the first sample.

    Returns:
        ``AMPLITUDE * sin``, float32 [B, samples, harmonics].
    """
    # Samples last: running sums over neighbours are several times faster than over every ninth number.
    turns = f0.transpose(1, 2) * _orders(f0, harmonics)[:, None] / sample_rate % 1
    turns[..., 0] += initial_phase
    wrapped = cumulative_phase(turns, 2) % 1
    turns[..., 1:] -= (wrapped[..., 1:] < wrapped[..., :-1]).to(turns)
    phase = cumulative_phase(turns, 2).mul_(2 * math.pi)
    return phase.sin_().mul_(AMPLITUDE).transpose(1, 2)


def _orders(f0: Tensor, harmonics: int) -> Tensor:
    return torch.arange(1, harmonics + 1, device=f0.device, dtype=f0.dtype)


def sine_at_frame_rate(f0: Tensor, hop: int, harmonics: int, sample_rate: int, initial_phase: Tensor) -> Tensor:
    """Harmonics of the 44.1 kHz vocoder: turns at frame rate, repeated, summed in float64 (spec section 13, W2).

    Args:
        f0: float32 [B, frames, 1] in Hz.

    Returns:
        ``AMPLITUDE * sin``, float32 [B, frames * hop, harmonics].
    """
    turns = (f0.transpose(1, 2) * _orders(f0, harmonics)[:, None] / sample_rate % 1).repeat_interleave(hop, dim=2)
    turns[..., 0] += initial_phase
    phase = turns.double().cumsum(2).remainder_(1).mul_(2 * math.pi)
    return phase.sin_().mul_(AMPLITUDE).float().transpose(1, 2)


def sine_for_export(f0: Tensor, hop: int, harmonics: int, sample_rate: int) -> Tensor:
    """Harmonics as the exported graph computes them (spec section 13, M2): wraps found from interpolated phases.

    Args:
        f0: float32 [1, frames, 1] in Hz.

    Returns:
        ``AMPLITUDE * sin``, float32 [1, frames * hop, harmonics].
    """
    turns = (f0 * _orders(f0, harmonics) / sample_rate) % 1
    upsampled = functional.interpolate(turns.transpose(1, 2), scale_factor=float(hop), mode="nearest").transpose(1, 2)
    summed = (cumulative_phase(turns) * hop).transpose(1, 2)
    wrapped = functional.interpolate(summed, scale_factor=float(hop), mode="linear", align_corners=True) % 1
    wrapped = wrapped.transpose(1, 2)
    shift = functional.pad(-(wrapped[:, 1:] < wrapped[:, :-1]).to(turns), (0, 0, 1, 0))
    return torch.sin(cumulative_phase(upsampled + shift) * (2 * math.pi)) * AMPLITUDE


class HarmonicSource(nn.Module):
    """Nine harmonics, voicing noise and a learned mix: F0 at frame rate -> excitation at sample rate.

    Args:
        frame_rate_phase: sum phases of frame-rate turns (the vocoder) instead of sample-rate turns (the svc decoder).
    """

    def __init__(self, sample_rate: int, *, harmonics: int = 9, frame_rate_phase: bool = False) -> None:
        super().__init__()
        self.sample_rate, self.harmonics, self.frame_rate_phase = sample_rate, harmonics, frame_rate_phase
        self.l_linear = nn.Linear(harmonics, 1)

    def forward(self, f0: Tensor, hop: int, noise: Noise, start: Tensor | None = None) -> Tensor:
        """f0 float32 [B, frames] in Hz (0 unvoiced), hop in samples -> [B, 1, frames * hop].

        ``start`` [B, harmonics] in turns goes on where an earlier window ended; ``None`` draws phases anew.
        """
        if start is None:
            drawn = torch.from_numpy(noise.uniform("source phase", (f0.shape[0], self.harmonics))).to(f0)
            start = torch.cat([torch.zeros_like(drawn[:, :1]), drawn[:, 1:]], dim=1)
        phase = start
        frames = f0.unsqueeze(2)
        samples = frames.repeat_interleave(hop, dim=1)
        if self.frame_rate_phase:
            sine = sine_at_frame_rate(frames, hop, self.harmonics, self.sample_rate, phase)
        else:
            sine = sine_at_sample_rate(samples, self.harmonics, self.sample_rate, phase)
        return self.mix(sine, samples, torch.from_numpy(noise.normal("source noise", tuple(sine.shape))).to(f0))

    def mix(self, sine: Tensor, f0: Tensor, random: Tensor) -> Tensor:
        """Add noise by voicing and mix the harmonics.

        Args:
            sine, random: [B, samples, harmonics]. ``f0``: [B, samples, 1] in Hz.

        Returns:
            [B, 1, samples].
        """
        voiced = (f0 > 0).to(sine)
        spread = voiced * VOICED_NOISE + (1 - voiced) * (AMPLITUDE / 3)
        mixed: Tensor = torch.tanh(self.l_linear(sine * voiced + spread * random))
        return mixed.transpose(1, 2)
