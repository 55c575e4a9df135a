"""FCPE (Luo et al., "FCPE: a fast context-based pitch estimation model", 2025): net and decoding.

Convolutions, then layers of linear attention (Performer features, Choromanski et al. 2021) and Conformer convolution
(Gulati et al. 2020), give for every 10 ms a salience over 360 bins from 32.7 to 1975.5 Hz (specification section 5).
Two official files are read: ``fcpe.pt`` of so-vits-svc, with attention, and the smaller one inside the torchfcpe wheel,
which has convolution layers only and other names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sovits.audio.audio import Samples
from sovits.audio.resample import resample, sinc_resample
from sovits.core.device import Compute
from sovits.core.errors import WrongModelError
from sovits.features import mel
from sovits.features.pitch import neural
from sovits.features.pitch.contour import Contour, Hz
from sovits.features.pitch.neural import HOP, RATE
from sovits.features.pitch.postprocess import Floats, Singles, post_process
from sovits.features.pitch.sampling import sampled
from sovits.options.pitch import PitchOptions

#: Confidence below which a frame counts as unvoiced, as the singing tools have it.
THRESHOLD = 0.05
# Windows of 30 s with 2 s of context on both sides. The group norm of the first layer and the attention look at the
# whole window, so values depend on it slightly, everywhere; the convolutions reach 0.9 s.
_CORE, _MARGIN = 3000, 200

# Names in the wheel's file and what they are called in so-vits-svc's; None: not part of the net.
_WHEEL_NAMES: tuple[tuple[str, str | None], ...] = (
    ("input_stack.", "stack."),
    ("net.encoder_layers.", "decoder._layers."),
    ("output_proj.", "dense_out."),
    ("gaussian_blurred_cent_mask", None),
)

Salience = npt.NDArray[np.float32]


class _Transpose(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class _Depthwise(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.conv(x)
        return convolved


class _Conformer(nn.Module):
    """Conformer convolution module, [batch, frames, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(width),
            _Transpose(),
            nn.Conv1d(width, 4 * width, 1),
            nn.GLU(dim=1),
            _Depthwise(2 * width, 31),
            nn.SiLU(),
            nn.Conv1d(2 * width, width, 1),
            _Transpose(),
        )

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.net(x)
        return convolved


class _Features(nn.Module):
    """Positive random features of the softmax kernel; the projection comes from the file."""

    projection_matrix: Tensor

    def __init__(self, features: int, depth: int) -> None:
        super().__init__()
        self.register_buffer("projection_matrix", torch.empty(features, depth))

    def forward(self, x: Tensor, *, query: bool) -> Tensor:
        """[batch, heads, frames, depth] to [batch, heads, frames, features]."""
        features, depth = self.projection_matrix.shape
        projected = depth**-0.25 * x @ self.projection_matrix.T
        centred = projected - x.square().sum(-1, keepdim=True) / (2.0 * depth**0.5)
        if query:
            positive = (centred - projected.amax(-1, keepdim=True)).exp() + 1e-4
        else:
            positive = (centred + 1e-4).exp()
        scaled: Tensor = features**-0.5 * positive
        return scaled


class _Attention(nn.Module):
    """Linear attention over all frames, [batch, frames, width]."""

    def __init__(self, width: int, inner: int, features: int, depth: int) -> None:
        super().__init__()
        self.heads = inner // depth
        self.fast_attention = _Features(features, depth)
        self.to_q = nn.Linear(width, inner)
        self.to_k = nn.Linear(width, inner)
        self.to_v = nn.Linear(width, inner)
        self.to_out = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.to_q, self.to_k, self.to_v)
        )
        with torch.autocast(x.device.type, enabled=False):  # exponentials of half precision overflow
            q = self.fast_attention(q.float(), query=True)
            k = self.fast_attention(k.float(), query=False)
            weight = q @ k.sum(2).unsqueeze(-1) + 1e-8
            mixed = q @ (k.transpose(2, 3) @ v.float()) / weight
        projected: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return projected


class _Layer(nn.Module):
    """Attention (where the file has it) and Conformer convolution, each beside a shortcut."""

    def __init__(self, width: int, attention: tuple[int, int, int] | None) -> None:
        super().__init__()
        self.conformer = _Conformer(width)
        self.norm = nn.LayerNorm(width)
        self.attn = _Attention(width, *attention) if attention else None

    def forward(self, x: Tensor) -> Tensor:
        if self.attn is not None:
            x = x + self.attn(self.norm(x))
        summed: Tensor = x + self.conformer(x)
        return summed


class _Decoder(nn.Module):
    def __init__(self, width: int, layers: int, attention: tuple[int, int, int] | None) -> None:
        super().__init__()
        self._layers = nn.ModuleList(_Layer(width, attention) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return x


class Fcpe(nn.Module):
    """Log-mel [batch, frames, bands] to salience [batch, frames, bins] in 0..1.

    Args:
        bands: of the mel spectrogram.
        width: channels of the layers.
        layers: their number.
        bins: of the salience.
        attention: (inner width, random features, width of a head), or ``None`` for convolution only.
    """

    cent_table: Tensor

    def __init__(
        self, bands: int, width: int, layers: int, bins: int, attention: tuple[int, int, int] | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("cent_table", torch.empty(bins))
        self.stack = nn.Sequential(
            nn.Conv1d(bands, width, 3, padding=1),
            nn.GroupNorm(4, width),
            nn.LeakyReLU(),
            nn.Conv1d(width, width, 3, padding=1),
        )
        self.decoder = _Decoder(width, layers, attention)
        self.norm = nn.LayerNorm(width)
        self.dense_out = nn.Linear(width, bins)

    def forward(self, log_mel: Tensor) -> Tensor:
        x = self.stack(log_mel.transpose(1, 2)).transpose(1, 2)
        logits: Tensor = self.dense_out(self.norm(self.decoder(x)))
        return torch.sigmoid(logits.float())

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Fcpe:
        """The net of either official file; its sizes follow from the shapes of the tensors.

        Raises:
            WrongModelError: other names or shapes than FCPE has.
        """
        named = _named(tensors)
        try:
            width, bands = named["stack.0.weight"].shape[:2]
            gain, direction = named.pop("dense_out.weight_g"), named.pop("dense_out.weight_v")
            named["dense_out.weight"] = gain * direction / direction.norm(dim=1, keepdim=True)
            layers = 1 + max(int(name.split(".")[2]) for name in named if name.startswith("decoder._layers."))
            attention = None
            if (key := "decoder._layers.0.attn.fast_attention.projection_matrix") in named:
                inner = named["decoder._layers.0.attn.to_q.weight"].shape[0]
                attention = (inner, *named[key].shape)
            bins = named["cent_table"].shape[0]
        except (KeyError, ValueError, IndexError) as error:
            raise WrongModelError(f"these are not the weights of FCPE: {error} is missing or malformed") from error
        return neural.loaded(lambda: cls(bands, width, layers, bins, attention), named, "FCPE")


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under so-vits-svc's names."""
    named = {}
    for name, value in tensors.items():
        old, new = next((rule for rule in _WHEEL_NAMES if name.startswith(rule[0])), ("", ""))
        if new is not None:
            named[new + name.removeprefix(old)] = value
    return named


def check_mel(config: Mapping[str, Any]) -> None:
    """Refuse a file whose mel settings differ from :data:`~sovits.features.mel.FCPE`."""
    stated = config.get("mel")
    if not isinstance(stated, Mapping):
        return
    ours = mel.FCPE
    wanted = {
        "sr": ours.sample_rate, "sampling_rate": ours.sample_rate, "num_mels": ours.bands, "n_fft": ours.n_fft,
        "win_size": ours.window, "hop_size": ours.hop, "fmin": ours.low, "fmax": ours.high,
    }  # fmt: skip
    wrong = {key: stated[key] for key, value in wanted.items() if key in stated and stated[key] != value}
    if wrong:
        raise WrongModelError(f"this FCPE was trained on another mel spectrogram: {wrong}")


def decode(
    salience: Salience, cents: npt.NDArray[np.float64], threshold: float, *, local: bool = True
) -> tuple[Hz, npt.NDArray[np.float64]]:
    """F0 as the salience-weighted mean of cents.

    Args:
        salience: float32 [frames, bins].
        cents: float64 [bins], above 10 Hz.
        threshold: 0 Hz where the strongest salience does not exceed it.
        local: over nine bins around the strongest one, indices past the ends repeating the last bin; else over all
            (upstream calls that one "argmax").

    Returns:
        Hz float64 [frames] and the strongest salience float64 [frames].
    """
    strongest = salience.max(axis=1, initial=0.0).astype(np.float64)
    if local:
        mean = neural.local_mean(salience, salience.argmax(axis=1), cents, repeat=True)
    else:
        wide = salience.astype(np.float64)
        mean = (wide @ cents) / np.maximum(wide.sum(axis=1), np.finfo(np.float64).tiny)
    return np.where(strongest > threshold, neural.cents_to_hz(mean), 0.0), strongest


class FcpePredictor:
    """FCPE behind the tracker protocol."""

    def __init__(self, net: Fcpe, options: PitchOptions, compute: Compute) -> None:
        self.cents = net.cent_table.double().cpu().numpy()
        self.net = net.to(compute.device)
        self._allowed = neural.inside(self.cents, options)
        self._threshold = THRESHOLD if options.threshold is None else options.threshold
        self._compute = compute

    def log_mel(self, samples: Samples) -> Tensor:
        """Log-mel float32 [1, len(samples) // 160, 128] of mono samples at 16 kHz; one frame at least."""
        audio = torch.from_numpy(neural.at_least(samples, HOP)).to(self._compute.device)
        return mel.log_mel(audio[None], mel.FCPE).transpose(1, 2)

    def salience(self, log_mel: Tensor) -> Salience:
        """Salience float32 [frames, bins] of a log-mel spectrogram [1, frames, 128], in one shot."""
        with neural.computing(self._compute):
            found: Salience = self.net(log_mel)[0].cpu().numpy()
        return found

    def pieces(self, samples: Samples, *, repeat_last: bool = False) -> Iterator[Salience]:
        """Salience of mono float32 samples at 16 kHz, one piece for each window of a long recording.

        Args:
            repeat_last: let the net see the last frame twice, as so-vits-svc does: one value more.

        Yields:
            float32 [frames, bins]; all pieces together have ``len(samples) // 160`` frames, one at least.
        """
        frames = max(1, len(samples) // HOP)
        for window in neural.windows(frames, _CORE, _MARGIN):
            end = len(samples) if window.stop == frames else window.stop * HOP
            log_mel = self.log_mel(samples[window.start * HOP : end])
            last = window.last
            if repeat_last and window.last == frames:
                log_mel = torch.cat([log_mel, log_mel[:, -1:]], dim=1)
                last += 1
            yield self.salience(log_mel)[window.first - window.start : last - window.start]

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """Track F0; see :class:`~sovits.features.pitch.contour.PitchPredictor`."""
        at_16k = resample(samples, sample_rate, RATE)
        parts = [decode(piece * self._allowed, self.cents, self._threshold) for piece in self.pieces(at_16k)]
        hz, confidence = (np.concatenate(part) for part in zip(*parts, strict=True))
        return sampled(hz, confidence, seconds=HOP / RATE, length=len(samples), sample_rate=sample_rate, hop=hop)

    def svc_f0(self, samples: Samples, sample_rate: int, hop: int) -> tuple[Floats, Singles]:
        """F0 with filled gaps and voiced flags as so-vits-svc hands them to its nets (specification, section 5).

        The range of the options plays no part here.

        Returns:
            Hz float64 [len(samples) // hop]; flags 0 or 1, float32 of the same length.
        """
        at_16k = sinc_resample(samples, sample_rate, RATE, width=128)
        pieces = self.pieces(at_16k, repeat_last=True)
        track = np.concatenate([decode(piece, self.cents, self._threshold)[0] for piece in pieces])
        return post_process(track, len(samples) // hop)


def create(options: PitchOptions, weights: Path | None, compute: Compute) -> FcpePredictor:
    """The tracker with so-vits-svc's ``fcpe.pt`` or the file inside the torchfcpe wheel.

    Raises:
        MissingWeightsError: no file given.
        CheckpointError: a file that cannot be read or holds another net.
    """
    found = neural.official(weights, "fcpe")
    check_mel(found.config)
    return FcpePredictor(Fcpe.from_tensors(found.tensors), options, compute)
