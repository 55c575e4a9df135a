"""Change of sample rate: one resampler for the product and the two that recorded numbers need.

All of them keep time: output sample ``m`` belongs to the time ``m / target_rate``, so the delay is zero and a click
stays where it was. All of them give exactly ``ceil(length * target_rate / source_rate)`` samples, and treat the signal
as surrounded by silence. "Nyquist" below is half the lower of the two rates.

* :func:`resample`, and :class:`StreamResampler` in blocks: soxr "HQ" (linear phase), the product's own. Tones up to
  0.91 Nyquist pass with an error below -56 dB of themselves; above Nyquist less than -120 dB is left.
* :func:`sinc_resample`: the Hann-windowed sinc of torchaudio, which so-vits-svc and GPT-SoVITS have between their nets.
  With its usual width of 6 the error is -54 dB at half of Nyquist and the filter closes at 1.5 Nyquist only; with width
  128 it is below -85 dB up to 0.91 Nyquist, and above 1.02 Nyquist less than -60 dB is left.
* :func:`soxr_hq_librosa`: soxr "HQ" as librosa calls it (their preprocessing).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr

from sovits.audio.audio import Samples
from sovits.core.errors import AudioError

SincKernel = Literal["transforms", "functional"]

_BLOCK = 1 << 20  # elements of one block of work: 4 MB of float32
_ROLLOFF = 0.99


def resampled_length(length: int, source_rate: int, target_rate: int) -> int:
    """``ceil(length * target_rate / source_rate)`` in whole numbers, hence exact for any length."""
    return -(-length * target_rate // source_rate)


def resample(samples: npt.ArrayLike, source_rate: int, target_rate: int) -> Samples:
    """Resample with soxr "HQ", the product's default.

    Args:
        samples: [..., time].
        source_rate, target_rate: in Hz.

    Returns:
        float32 [..., ceil(time * target_rate / source_rate)]; delay 0. Equal rates give the samples themselves.

    Raises:
        AudioError: a rate that is not positive.
    """
    source = _checked(samples, source_rate, target_rate)
    if source_rate == target_rate:
        return source
    rows = _rows(source)
    stream = StreamResampler(source_rate, target_rate, rows.shape[0])
    done = np.concatenate([stream.push(rows), stream.finish()], axis=1)
    return done.reshape(*source.shape[:-1], done.shape[-1])


class StreamResampler:
    """:func:`resample` in blocks: the joined output is that of one call, whatever the blocks were.

    Args:
        source_rate, target_rate: in Hz.
        channels: rows of every block.
    """

    def __init__(self, source_rate: int, target_rate: int, channels: int) -> None:
        _check_rates(source_rate, target_rate)
        self.source_rate = source_rate
        self.target_rate = target_rate
        self.channels = channels
        self._taken = 0
        self._given = 0
        self._stream: soxr.ResampleStream | None = None
        if source_rate != target_rate:
            self._stream = soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32", quality="HQ")

    def push(self, block: Samples) -> Samples:
        """Take [channels, time] and give what is finished of the output, [channels, some time]."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise AudioError(f"expected a block of {self.channels} channels [channels, time], got {block.shape}")
        self._taken += block.shape[1]
        if self._stream is None:
            return block
        parts = []
        size = max(1, _BLOCK // max(self.channels, 1))
        for start in range(0, block.shape[1], size):
            parts.append(self._give(np.ascontiguousarray(block[:, start : start + size].T, dtype=np.float32)))
        return _joined(parts, self.channels)

    def finish(self) -> Samples:
        """Give the rest. Silence follows the signal, so the last sample is a resampled one, not a padded zero."""
        if self._stream is None:
            return np.zeros((self.channels, 0), np.float32)
        missing = resampled_length(self._taken, self.source_rate, self.target_rate) - self._given
        silence = math.ceil(self.source_rate / self.target_rate) + 1
        rest = self._give(np.zeros((silence, self.channels), np.float32), last=True)
        return np.ascontiguousarray(rest[:, :missing])

    def _give(self, frames: Samples, *, last: bool = False) -> Samples:
        assert self._stream is not None
        done: Samples = self._stream.resample_chunk(frames, last=last)
        self._given += done.shape[0]
        return done.T


def soxr_hq_librosa(samples: npt.ArrayLike, source_rate: int, target_rate: int) -> Samples:
    """librosa's ``soxr_hq``: soxr "HQ" in float32, cut or zero-padded to the stated length (spec, section 14).

    It differs from :func:`resample` by at most the last sample, which here may be a zero.

    Args:
        samples: [..., time].

    Returns:
        float32 [..., ceil(time * target_rate / source_rate)].
    """
    source = _checked(samples, source_rate, target_rate)
    if source_rate == target_rate:
        return source
    rows = _rows(source)
    length = resampled_length(source.shape[-1], source_rate, target_rate)
    result = np.zeros((rows.shape[0], length), np.float32)
    for row, target in zip(rows, result, strict=True):
        done = soxr.resample(row, source_rate, target_rate, quality="HQ")[:length]
        target[: done.shape[0]] = done
    return result.reshape(*source.shape[:-1], length)


def sinc_resample(
    samples: npt.ArrayLike,
    source_rate: int,
    target_rate: int,
    *,
    width: int = 6,
    kernel: SincKernel = "transforms",
) -> Samples:
    """Resample with a Hann-windowed sinc, rolloff 0.99, as torchaudio does (spec, section 14; agrees to 4e-7).

    Args:
        samples: [..., time].
        source_rate, target_rate: in Hz.
        width: zero crossings of the sinc on each side ("lowpass_filter_width").
        kernel: precision in which the filter is computed: ``transforms`` in float64 (but for its phases),
            ``functional`` in float32.

    Returns:
        float32 [..., ceil(time * target_rate / source_rate)]; delay 0. Equal rates give the samples themselves.

    Raises:
        AudioError: a rate that is not positive.
    """
    source = _checked(samples, source_rate, target_rate)
    if source_rate == target_rate:
        return source
    divisor = math.gcd(source_rate, target_rate)
    step, phases = source_rate // divisor, target_rate // divisor
    length = resampled_length(source.shape[-1], source_rate, target_rate)
    rows = _rows(source)
    result = np.empty((rows.shape[0], length), np.float32)
    reach = _reach(step, phases, width)
    if phases * (2 * reach + step) <= _BLOCK:
        taps = sinc_kernel(step, phases, width, kernel)
        for row, target in zip(rows, result, strict=True):
            _filter_dense(row, taps, step, reach, target)
    else:
        starts, banded = _banded_kernel(step, phases, width, kernel)
        for row, target in zip(rows, result, strict=True):
            _filter_banded(row, banded, starts, step, reach, target)
    return result.reshape(*source.shape[:-1], length)


def _reach(step: int, phases: int, width: int) -> int:
    """Input samples that the filter looks back and ahead of a step."""
    return math.ceil(width * step / (_ROLLOFF * min(step, phases)))


@lru_cache(maxsize=8)
def sinc_kernel(step: int, phases: int, width: int, kernel: SincKernel) -> npt.NDArray[np.float32]:
    """The polyphase filter of :func:`sinc_resample`, float32 [phases, 2 * reach + step], read-only.

    Args:
        step, phases: input and output samples of one step: both rates divided by their greatest common divisor.
    """
    reach = _reach(step, phases, width)
    taps = np.arange(-reach, reach + step)
    values = _kernel_values(np.arange(phases)[:, None], taps[None, :], step, phases, width, kernel)
    values.setflags(write=False)
    return values


@lru_cache(maxsize=4)
def _banded_kernel(
    step: int, phases: int, width: int, kernel: SincKernel
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The same filter for rates with a small common divisor, where nearly all of the full matrix is zero.

    Returns:
        first input sample of every phase, counted from the padded start of a step, int64 [phases], and the values
        from there on, float32 [phases, band].
    """
    reach = _reach(step, phases, width)
    band = 2 * reach + 2
    starts = np.arange(phases) * step // phases  # the centre of a phase, less the reach, plus the padding
    taps = starts[:, None] - reach + np.arange(band)[None, :]
    values = _kernel_values(np.arange(phases)[:, None], taps, step, phases, width, kernel)
    starts.setflags(write=False)
    values.setflags(write=False)
    return starts, values


def _kernel_values(
    phase: npt.NDArray[np.int64], tap: npt.NDArray[np.int64], step: int, phases: int, width: int, kernel: SincKernel
) -> npt.NDArray[np.float32]:
    """``sinc(t) * cos^2(pi t / 2W) * base / step`` with ``t = base (tap / step - phase / phases)`` held to +-W.

    The rounding is part of the rule: torchaudio's class rounds the phases to float32 and goes on in float64, its
    function stays in float32.
    """
    base = _ROLLOFF * min(step, phases)
    offsets = -phase.astype(np.float32) / np.float32(phases)
    precise: type[np.floating] = np.float64 if kernel == "transforms" else np.float32
    t = offsets.astype(precise) + tap.astype(precise) / precise(step)
    t = np.clip(t * precise(base), precise(-width), precise(width))
    window = np.cos(t * precise(math.pi) / precise(width) / precise(2)) ** 2
    angle = t * precise(math.pi)
    centre = angle == 0
    sinc = np.where(centre, precise(1), np.sin(angle) / np.where(centre, precise(1), angle))
    return np.asarray(sinc * (window * precise(base / step)), np.float32)


def _stretch(row: Samples, start: int, stop: int) -> Samples:
    """``row[start:stop]`` with zeros where it does not reach, so that the whole signal is never padded."""
    before, after = max(0, -start), max(0, stop - row.shape[0])
    inside = row[max(0, start) : max(0, min(stop, row.shape[0]))]
    return np.pad(inside, (min(before, stop - start), min(after, stop - start))) if before or after else inside


def _filter_dense(row: Samples, taps: Samples, step: int, reach: int, target: Samples) -> None:
    """Every step of input gives one output value per phase: a matrix product over overlapping stretches."""
    phases, size = taps.shape
    steps = -(-target.shape[0] // phases)
    chunk = max(1, _BLOCK // max(size, phases))
    for first in range(0, steps, chunk):
        count = min(chunk, steps - first)
        start = first * step - reach
        stretch = _stretch(row, start, start + (count - 1) * step + size)
        frames = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(stretch, size)[::step])
        values = (frames @ taps.T).reshape(-1)
        place = first * phases
        target[place : place + values.shape[0]] = values[: target.shape[0] - place]


def _filter_banded(
    row: Samples, band: Samples, starts: npt.NDArray[np.int64], step: int, reach: int, target: Samples
) -> None:
    """The same with only the taps that are not zero, gathered for blocks of output samples."""
    phases, size = band.shape
    chunk = max(1, _BLOCK // size)
    for place in range(0, target.shape[0], chunk):
        index = np.arange(place, min(place + chunk, target.shape[0]))
        phase = index % phases
        begin = index // phases * step - reach + starts[phase]
        low = int(begin[0])
        stretch = _stretch(row, low, int(begin[-1]) + size)
        frames = np.lib.stride_tricks.sliding_window_view(stretch, size)[begin - low]
        target[place : place + index.shape[0]] = np.einsum("ij,ij->i", frames, band[phase])


def _rows(samples: Samples) -> Samples:
    """[..., time] as [rows, time], also where time is 0."""
    return samples.reshape(math.prod(samples.shape[:-1]), samples.shape[-1])


def _joined(parts: list[Samples], channels: int) -> Samples:
    return np.concatenate(parts, axis=1) if parts else np.zeros((channels, 0), np.float32)


def _check_rates(source_rate: int, target_rate: int) -> None:
    if source_rate <= 0 or target_rate <= 0:
        raise AudioError(f"sample rates must be positive, got {source_rate} and {target_rate} Hz")


def _checked(samples: npt.ArrayLike, source_rate: int, target_rate: int) -> Samples:
    _check_rates(source_rate, target_rate)
    array = np.asarray(samples, np.float32)
    if array.ndim == 0:
        raise AudioError("expected samples [..., time], got a single number")
    return array
