"""RMVPE (Wei et al., "RMVPE: a robust model for vocal pitch estimation in polyphonic music", 2023): net and decoding.

A U-Net over the log-mel spectrogram, a bidirectional GRU and a dense layer give for every 10 ms a salience over 360
bins of 20 cents (specification section 5 and M11). The names of the parameters are those of the official files, so
these load strictly; ``unet.tf.*`` is in the files but in no forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.audio.audio import Samples
from sovits.audio.resample import resample, sinc_resample
from sovits.core.device import Compute
from sovits.features import mel
from sovits.features.pitch import neural
from sovits.features.pitch.contour import Contour, Hz
from sovits.features.pitch.neural import HOP, RATE
from sovits.features.pitch.postprocess import Floats, Singles, post_process
from sovits.features.pitch.sampling import sampled
from sovits.options.pitch import PitchOptions

BINS = 360
#: Cents above 10 Hz of each bin, float64 [360].
CENTS: neural.Cents = 1997.3794084376191 + 20.0 * np.arange(BINS, dtype=np.float64)
#: Frames that the five poolings of the U-Net need a multiple of.
GRID = 32
#: Confidence below which a frame counts as unvoiced, as the singing tools have it.
THRESHOLD = 0.05
# Windows of 48 s with 6.4 s of context on both sides, all on the grid of the poolings: inside them a long recording
# gives what one shot gives (the deepest layers look 15 s far in theory, but hardly in effect).
_CORE, _MARGIN = 150 * GRID, 20 * GRID

Salience = npt.NDArray[np.float32]


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, [batch, channels, frames, bands]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.conv(x) + self.shortcut(x)
        return summed


def _blocks(inputs: int, outputs: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(_Block(inputs if i == 0 else outputs, outputs) for i in range(count))


class _Level(nn.Module):
    """A run of blocks at one resolution."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        self.conv = _blocks(inputs, outputs, count)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.conv:
            x = block(x)
        return x


class _Encoder(nn.Module):
    def __init__(self, channels: int, levels: int, count: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(1)
        widths = [1, *(channels << i for i in range(levels))]
        self.layers = nn.ModuleList(_Level(widths[i], widths[i + 1], count) for i in range(levels))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.bn(x)
        skips = []
        for level in self.layers:
            x = level(x)
            skips.append(x)
            x = functional.avg_pool2d(x, 2)
        return x, skips


class _Intermediate(nn.Module):
    def __init__(self, inputs: int, outputs: int, levels: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Level(inputs if i == 0 else outputs, outputs, count) for i in range(levels))

    def forward(self, x: Tensor) -> Tensor:
        for level in self.layers:
            x = level(x)
        return x


class _Up(nn.Module):
    """Double the resolution, put the encoder's skip beside it, then blocks."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )
        self.conv2 = _blocks(2 * outputs, outputs, count)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = torch.cat([self.conv1(x), skip], dim=1)
        for block in self.conv2:
            x = block(x)
        return x


class _Decoder(nn.Module):
    def __init__(self, channels: int, levels: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Up(channels >> i, channels >> (i + 1), count) for i in range(levels))

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for level, skip in zip(self.layers, reversed(skips), strict=True):
            x = level(x, skip)
        return x


class _UNet(nn.Module):
    def __init__(self, channels: int, levels: int, count: int) -> None:
        super().__init__()
        deepest = channels << levels
        self.encoder = _Encoder(channels, levels, count)
        self.intermediate = _Intermediate(deepest // 2, deepest, 4, count)
        self.decoder = _Decoder(deepest, levels, count)

    def forward(self, x: Tensor) -> Tensor:
        x, skips = self.encoder(x)
        decoded: Tensor = self.decoder(self.intermediate(x), skips)
        return decoded


class _Recurrent(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.gru(x)[0]
        return output


class Rmvpe(nn.Module):
    """Log-mel [batch, 128, frames] to salience [batch, frames, 360] in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = _UNet(channels=16, levels=5, count=4)
        self.cnn = nn.Conv2d(16, 3, 3, padding=1)
        self.fc = nn.Sequential(_Recurrent(3 * mel.RMVPE.bands, 256), nn.Linear(512, BINS))

    def forward(self, log_mel: Tensor) -> Tensor:
        frames = log_mel.shape[-1]
        padded = functional.pad(log_mel, (0, -frames % GRID))
        maps = self.cnn(self.unet(padded.transpose(1, 2)[:, None]))
        salience: Tensor = torch.sigmoid(self.fc(maps.transpose(1, 2).flatten(2)).float())
        return salience[:, :frames]

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Rmvpe:
        """The net with the parameters of an official file.

        Raises:
            WrongModelError: other names or shapes than RMVPE has.
        """
        used = {name: value for name, value in tensors.items() if not name.startswith("unet.tf.")}
        return neural.loaded(cls, used, "RMVPE")


def decode(salience: Salience, threshold: float) -> tuple[Hz, npt.NDArray[np.float64]]:
    """F0 as the salience-weighted mean of cents within four bins of the strongest one.

    Args:
        salience: float32 [frames, 360].
        threshold: 0 Hz where the strongest salience does not exceed it.

    Returns:
        Hz float64 [frames] and the strongest salience float64 [frames].
    """
    strongest = salience.max(axis=1, initial=0.0).astype(np.float64)
    cents = neural.local_mean(salience, salience.argmax(axis=1), CENTS)
    return np.where(strongest > threshold, neural.cents_to_hz(cents), 0.0), strongest


class RmvpePredictor:
    """RMVPE behind the tracker protocol."""

    def __init__(self, net: Rmvpe, options: PitchOptions, compute: Compute) -> None:
        self.net = net.to(compute.device)
        self._allowed = neural.inside(CENTS, options)
        self._threshold = THRESHOLD if options.threshold is None else options.threshold
        self._compute = compute

    def pieces(self, samples: Samples) -> Iterator[Salience]:
        """Salience of mono float32 samples at 16 kHz, one piece for each window of a long recording.

        Yields:
            float32 [frames, 360]; frame ``k`` of all pieces together is centred on sample ``160 k``, and there are
            ``len(samples) // 160 + 1``.
        """
        frames = len(samples) // HOP + 1
        for window in neural.windows(frames, _CORE, _MARGIN):
            end = len(samples) if window.stop == frames else window.stop * HOP
            audio = neural.at_least(samples[window.start * HOP : end], mel.RMVPE.n_fft)
            log_mel = mel.log_mel(torch.from_numpy(audio).to(self._compute.device)[None], mel.RMVPE)
            with neural.computing(self._compute):
                found = self.net(log_mel[:, :, : window.stop - window.start])[0].cpu().numpy()
            yield found[window.first - window.start : window.last - window.start]

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """Track F0; see :class:`~sovits.features.pitch.contour.PitchPredictor`."""
        at_16k = resample(samples, sample_rate, RATE)
        parts = [decode(piece * self._allowed, self._threshold) for piece in self.pieces(at_16k)]
        hz, confidence = (np.concatenate(part) for part in zip(*parts, strict=True))
        return sampled(hz, confidence, seconds=HOP / RATE, length=len(samples), sample_rate=sample_rate, hop=hop)

    def svc_f0(self, samples: Samples, sample_rate: int, hop: int) -> tuple[Floats, Singles]:
        """F0 with filled gaps and voiced flags as so-vits-svc hands them to its nets (specification, section 5).

        The range of the options plays no part here.

        Returns:
            Hz float64 [len(samples) // hop]; flags 0 or 1, float32 of the same length.
        """
        at_16k = sinc_resample(samples, sample_rate, RATE, width=128)
        track = np.concatenate([decode(piece, self._threshold)[0] for piece in self.pieces(at_16k)])
        return post_process(track, len(samples) // hop)


def create(options: PitchOptions, weights: Path | None, compute: Compute) -> RmvpePredictor:
    """The tracker with the official ``rmvpe.pt`` (so-vits-svc's ``{'model': ...}`` or RVC's bare half-size file).

    Raises:
        MissingWeightsError: no file given.
        CheckpointError: a file that cannot be read or holds another net.
    """
    tensors = neural.official(weights, "rmvpe").tensors
    return RmvpePredictor(Rmvpe.from_tensors(tensors), options, compute)
