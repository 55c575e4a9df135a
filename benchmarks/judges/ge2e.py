"""Speaker similarity: the GE2E speaker encoder (Wan et al. 2018, arXiv:1710.10467), written from the paper in numpy.

40 mel bands at 16 kHz (25 ms window, 10 ms step), three LSTM layers of 256, a linear layer of 256 with ReLU, and the
unit norm; a recording's embedding is the normalised mean over partials of 160 frames that overlap by half. The weights
lie inside the ``resemblyzer`` wheel and are opened as data: the package is located, never imported.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

Floats = npt.NDArray[np.float32]

RATE = 16000
WINDOW = 400
STEP = 160
BANDS = 40
PARTIAL = 160
LEVEL_DB = -30.0


def weights_file() -> Path:
    """Where the encoder's weights lie in this environment."""
    found = importlib.util.find_spec("resemblyzer")
    if found is None or found.origin is None:
        raise FileNotFoundError("the speaker judge needs the weights in the wheel: pip install --no-deps resemblyzer")
    return Path(found.origin).parent / "pretrained.pt"


def mel_bank(bands: int, size: int, rate: int, top: float) -> npt.NDArray[np.float64]:
    """Triangles of equal area on Slaney's mel scale (linear below 1 kHz, logarithmic above), [bands, size // 2 + 1]."""
    step = np.log(6.4) / 27.0

    def to_mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
        f = np.asarray(hz, np.float64)
        return np.where(f < 1000.0, f * 3.0 / 200.0, 15.0 + np.log(np.maximum(f, 1.0) / 1000.0) / step)

    mels = np.linspace(0.0, float(to_mel(top)), bands + 2)
    edges = np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * np.exp(step * (mels - 15.0)))
    freqs = np.arange(size // 2 + 1) * rate / size
    rise = (freqs - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - freqs) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]


def mel_power(samples: Floats) -> Floats:
    """Mel power of 16 kHz audio, [frames, 40]; frames are centred, the ends padded with zeros."""
    padded = np.pad(samples.astype(np.float64), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP]
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return (power @ mel_bank(BANDS, WINDOW, RATE, RATE / 2).T).astype(np.float32)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class SpeakerJudge:
    """Embeds recordings; instances hold the weights."""

    def __init__(self, path: Path | None = None) -> None:
        import torch

        state: dict[str, Any] = torch.load(path or weights_file(), map_location="cpu", weights_only=True)["model_state"]
        self._state = {name: tensor.numpy().astype(np.float32) for name, tensor in state.items()}

    def _lstm(self, x: Floats, layer: int) -> Floats:
        """One layer over [batch, time, width] (gate order: input, forget, cell, output)."""
        w_in, w_rec = self._state[f"lstm.weight_ih_l{layer}"], self._state[f"lstm.weight_hh_l{layer}"]
        bias = self._state[f"lstm.bias_ih_l{layer}"] + self._state[f"lstm.bias_hh_l{layer}"]
        driven = x @ w_in.T + bias
        hidden = np.zeros((x.shape[0], 256), np.float32)
        cell = np.zeros_like(hidden)
        out = np.empty((*x.shape[:2], 256), np.float32)
        for t in range(x.shape[1]):
            gates = driven[:, t] + hidden @ w_rec.T
            i, f, g, o = np.split(gates, 4, axis=1)
            cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
            hidden = _sigmoid(o) * np.tanh(cell)
            out[:, t] = hidden
        return out

    def embed(self, samples: Floats, rate: int) -> Floats:
        """The unit vector [256] of a mono recording."""
        audio = trim(soxr.resample(samples.astype(np.float32), rate, RATE) if rate != RATE else samples)
        level = 10.0 * np.log10(np.mean(audio.astype(np.float64) ** 2) + 1e-12)
        mels = mel_power((audio * 10.0 ** ((LEVEL_DB - level) / 20.0)).astype(np.float32))
        if len(mels) < PARTIAL:
            mels = np.pad(mels, ((0, PARTIAL - len(mels)), (0, 0)))
        starts = list(range(0, len(mels) - PARTIAL + 1, PARTIAL // 2))
        x = np.stack([mels[start : start + PARTIAL] for start in starts])
        for layer in range(3):
            x = self._lstm(x, layer)
        partial = np.maximum(0.0, x[:, -1] @ self._state["linear.weight"].T + self._state["linear.bias"])
        partial /= np.linalg.norm(partial, axis=1, keepdims=True) + 1e-9
        mean = partial.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


def trim(samples: Floats, floor_db: float = -45.0) -> Floats:
    """Drop 30 ms frames more than ``-floor_db`` below the loudest one, as an encoder of speech expects."""
    size = 480
    count = len(samples) // size
    if count == 0:
        return samples
    frames = samples[: count * size].reshape(count, size)
    level = 10.0 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
    keep = level > level.max() + floor_db
    keep = np.convolve(keep, np.ones(7), "same") > 0
    return np.asarray(frames[keep].reshape(-1), np.float32)


@cache
def judge() -> SpeakerJudge:
    """The one instance of a process."""
    return SpeakerJudge()
