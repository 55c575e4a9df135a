"""Whisper's encoder as a source of phonetic features (Radford et al. 2022; spec sections 11 and 13, M13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.features.filterbank import filterbank

SAMPLE_RATE = 16000
WINDOW_SECONDS = 30
N_FFT, HOP = 400, 160


@dataclass(frozen=True)
class WhisperConfig:
    """Sizes of the encoder half."""

    mels: int = 80
    context: int = 1500
    width: int = 1024
    heads: int = 16
    layers: int = 24

    @classmethod
    def from_official(cls, dims: Mapping[str, Any]) -> WhisperConfig:
        """From the ``dims`` of a checkpoint."""
        names = {"mels": "n_mels", "context": "n_audio_ctx", "width": "n_audio_state", "heads": "n_audio_head"}
        return cls(**{ours: int(dims[name]) for ours, name in names.items()}, layers=int(dims["n_audio_layer"]))


def mel_bank(mels: int) -> Tensor:
    """Slaney filters over 0 to 8000 Hz, float32 [mels, 201]."""
    return torch.from_numpy(filterbank(SAMPLE_RATE, N_FFT, mels, 0.0, 8000.0, "slaney").copy())


def log_mel(samples: Tensor, bank: Tensor) -> Tensor:
    """Whisper's log-mel of a 30 s window.

    Args:
        samples: float32 [30 * 16000]. ``bank``: mel filters [mels, 201].

    Returns:
        [mels, 3000], log10, floored 8 below the maximum, then (x + 4) / 4.
    """
    window = torch.hann_window(N_FFT, device=samples.device)
    power = torch.stft(samples, N_FFT, HOP, window=window, return_complex=True)[..., :-1].abs() ** 2
    logarithm = torch.log10((bank @ power).clamp_min(1e-10))
    return (torch.maximum(logarithm, logarithm.max() - 8.0) + 4.0) / 4.0


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same shape."""
        parts = (proj(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for proj in (self.query, self.key, self.value))
        out: Tensor = self.out(functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = _Attention(width, heads)
        self.attn_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same shape; pre-norm."""
        x = x + self.attn(self.attn_ln(x))
        out: Tensor = x + self.mlp(self.mlp_ln(x))
        return out


class WhisperEncoder(nn.Module):
    """Parameter names are those of OpenAI's files below ``encoder.``."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.mels, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", torch.zeros(config.context, config.width))
        self.blocks = nn.ModuleList(_Block(config.width, config.heads) for _ in range(config.layers))
        self.ln_post = nn.LayerNorm(config.width)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel [B, mels, 2 * context] -> [B, context, width]."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.get_buffer("positional_embedding")
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.ln_post(x)
        return out

    @torch.inference_mode()
    def units(self, samples: Tensor, bank: Tensor) -> Tensor:
        """Encode at most 30 s (longer input is cut, as the original does; callers hand windows).

        Args:
            samples: float32 [samples] at 16 kHz.

        Returns:
            [1, width, samples // 320].
        """
        length = WINDOW_SECONDS * SAMPLE_RATE
        window = functional.pad(samples[:length], (0, max(0, length - len(samples))))
        encoded: Tensor = self(log_mel(window, bank).unsqueeze(0))
        return encoded[:, : min(len(samples), length) // 320].transpose(1, 2)
