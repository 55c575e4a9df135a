"""Levels and loudness: decibels, peak, RMS, LUFS, true peak, and the transfer of a loudness envelope.

Loudness follows ITU-R BS.1770-4 (K-weighting, gated blocks of 400 ms) and so does true peak: the largest magnitude of
the oversampled signal. Both meters take blocks of any size and hold at most ten numbers per second of sound, so hours
are no concern.
"""

from __future__ import annotations

import math
from array import array

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Audio, Samples
from sovits.audio.framing import frame_rms
from sovits.audio.resample import StreamResampler
from sovits.core.errors import AudioError

SILENCE = -math.inf

_SLICES_PER_SECOND = 10  # gating blocks of 400 ms that overlap by 75 % are four slices of 100 ms
_SLICES_PER_BLOCK = 4
_ABSOLUTE_GATE = -70.0  # LUFS
_RELATIVE_GATE = -10.0  # LU below the mean of what passes the absolute gate
_OFFSET = -0.691  # takes off what K-weighting adds at 997 Hz
_BLOCK = 1 << 16  # samples of one step of work

# Weight of each channel in the order of WAV files, by their number (BS.1770-4, tables 3 and 4). The low-frequency
# channel does not count; surround channels at the side or at 110 degrees count 1.5 dB more.
_WEIGHTS: dict[int, tuple[float, ...]] = {
    4: (1.0, 1.0, 1.41, 1.41),
    5: (1.0, 1.0, 1.0, 1.41, 1.41),
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
    7: (1.0, 1.0, 1.0, 0.0, 1.0, 1.41, 1.41),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41),
}


def to_db(amplitude: float) -> float:
    """Amplitude ratio to decibels; 0 gives minus infinity."""
    return 20.0 * math.log10(amplitude) if amplitude > 0 else SILENCE


def from_db(decibels: float) -> float:
    """Decibels to amplitude ratio; minus infinity gives 0."""
    return float(10.0 ** (decibels / 20.0))


def peak(samples: npt.ArrayLike) -> float:
    """Largest magnitude of any shape of samples; 0 for none."""
    array_ = np.asarray(samples)
    return max(float(array_.max()), -float(array_.min())) if array_.size else 0.0


def rms(samples: npt.ArrayLike) -> float:
    """Root of the mean square over any shape of samples, summed in float64; 0 for none."""
    flat = np.asarray(samples).reshape(-1)
    if not flat.size:
        return 0.0
    total = sum(float(np.sum(np.square(flat[i : i + _BLOCK], dtype=np.float64))) for i in range(0, flat.size, _BLOCK))
    return math.sqrt(total / flat.size)


class LoudnessMeter:
    """Integrated loudness of a stream (ITU-R BS.1770-4, EBU R 128).

    Args:
        sample_rate: in Hz.
        channels: rows of every block, in the order of WAV files.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        if channels < 1:
            raise AudioError(f"a loudness meter needs at least one channel, got {channels}")
        self.sample_rate = sample_rate
        self._weights = np.asarray(_WEIGHTS.get(channels, (1.0,) * channels))
        self._filter = k_weighting(sample_rate)
        self._state = np.zeros((self._filter.shape[0], channels, 2))
        self._slices = array("d")  # weighted energy of each finished slice
        self._energy = 0.0  # of the slice that is being filled
        self._taken = 0

    def push(self, block: Samples) -> None:
        """Take [channels, time]."""
        from scipy.signal import sosfilt

        if block.ndim != 2 or block.shape[0] != len(self._weights):
            raise AudioError(f"expected a block of {len(self._weights)} channels, got {block.shape}")
        for start in range(0, block.shape[1], _BLOCK):
            piece = block[:, start : start + _BLOCK].astype(np.float64)
            weighted, self._state = sosfilt(self._filter, piece, axis=-1, zi=self._state)
            self._state[np.abs(self._state) < 1e-100] = 0.0  # denormal numbers in long silence would be slow
            self._add(self._weights @ np.square(weighted))

    def _add(self, energies: npt.NDArray[np.float64]) -> None:
        done = 0
        while done < energies.shape[0]:
            room = self._edge(len(self._slices) + 1) - self._taken
            part = energies[done : done + room]
            self._energy += float(part.sum())
            self._taken += part.shape[0]
            done += part.shape[0]
            if part.shape[0] == room:
                self._slices.append(self._energy)
                self._energy = 0.0

    def _edge(self, index: int) -> int:
        """First sample of slice ``index``; rates that ten does not divide give slices of unequal length."""
        return round(index * self.sample_rate / _SLICES_PER_SECOND)

    def integrated(self) -> float:
        """LUFS of all blocks so far; minus infinity for silence or less than 400 ms."""
        count = len(self._slices) - _SLICES_PER_BLOCK + 1
        if count < 1:
            return SILENCE
        slices = np.frombuffer(self._slices, np.float64)
        energies = np.convolve(slices, np.ones(_SLICES_PER_BLOCK), "valid")
        edges = np.asarray([self._edge(index) for index in range(len(slices) + 1)])
        power = energies / np.maximum(edges[_SLICES_PER_BLOCK:] - edges[:count], 1)
        kept = power[power > _power(_ABSOLUTE_GATE)]
        if not kept.size:
            return SILENCE
        kept = kept[kept > float(kept.mean()) * 10.0 ** (_RELATIVE_GATE / 10.0)]
        return _OFFSET + 10.0 * math.log10(float(kept.mean()))


def _power(loudness: float) -> float:
    return float(10.0 ** ((loudness - _OFFSET) / 10.0))


def k_weighting(sample_rate: int) -> npt.NDArray[np.float64]:
    """The two biquads of BS.1770 at any rate, second-order sections [2, 6].

    The standard tabulates them for 48 kHz only. These are the bilinear transforms of the analogue filters behind that
    table (a shelf of +4 dB at 1682 Hz, a high pass at 38 Hz): at 48 kHz they are the table's numbers. Below 16 kHz the
    transform bends the shelf; 1 kHz reads 0.1 dB low at 11 kHz and 0.2 dB low at 8 kHz.
    """
    if sample_rate <= 0:
        raise AudioError(f"sample rate must be positive, got {sample_rate}")
    high = 10.0 ** (3.999843853973347 / 20.0)
    middle = high**0.4996667741545416
    k, q = _warped(1681.974450955533, sample_rate), 0.7071752369554196
    norm = 1.0 + k / q + k * k
    shelf = [
        (high + middle * k / q + k * k) / norm,
        2.0 * (k * k - high) / norm,
        (high - middle * k / q + k * k) / norm,
        1.0,
        2.0 * (k * k - 1.0) / norm,
        (1.0 - k / q + k * k) / norm,
    ]
    cut, q = 38.13547087602444, 0.5003270373238773
    k, table = _warped(cut, sample_rate), _warped(cut, 48000)
    norm = 1.0 + k / q + k * k
    # The table leaves the high pass 0.04 dB above unity; that gain is kept at every rate.
    gain = (1.0 + table / q + table * table) / norm
    high_pass = [gain, -2.0 * gain, gain, 1.0, 2.0 * (k * k - 1.0) / norm, (1.0 - k / q + k * k) / norm]
    return np.asarray([shelf, high_pass])


def _warped(frequency: float, sample_rate: int) -> float:
    return math.tan(math.pi * min(frequency / sample_rate, 0.499))


class TruePeakMeter:
    """Largest magnitude between the samples of a stream: 4 times oversampled below 88.2 kHz, twice below 176.4 kHz.

    Args:
        sample_rate: in Hz.
        channels: rows of every block.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        factor = 4 if sample_rate < 88200 else 2 if sample_rate < 176400 else 1
        self._stream = StreamResampler(sample_rate, factor * sample_rate, channels)
        self._peak = 0.0

    def push(self, block: Samples) -> None:
        """Take [channels, time]."""
        for start in range(0, block.shape[1], _BLOCK):
            piece = block[:, start : start + _BLOCK]
            # The samples count as well: an oversampled point may miss them by the rounding of the filter.
            self._peak = max(self._peak, peak(piece), peak(self._stream.push(piece)))

    def finish(self) -> float:
        """End the stream and give its true peak as an amplitude (1 is full scale)."""
        self._peak = max(self._peak, peak(self._stream.finish()))
        return self._peak


def lufs(audio: Audio) -> float:
    """Integrated loudness in LUFS; minus infinity for silence or less than 400 ms."""
    meter = LoudnessMeter(audio.sample_rate, audio.channels)
    meter.push(audio.samples)
    return meter.integrated()


def true_peak(audio: Audio) -> float:
    """True peak in dBTP; minus infinity for silence. The sound is taken as surrounded by silence."""
    meter = TruePeakMeter(audio.sample_rate, audio.channels)
    meter.push(audio.samples)
    return to_db(meter.finish())


def loudness_gain(measured: float, measured_peak: float, target: float, ceiling: float) -> float:
    """The gain in dB that brings ``measured`` LUFS to ``target`` without lifting the true peak above ``ceiling`` dBTP.

    Silence has no loudness to match: its gain is 0.
    """
    if measured == SILENCE:
        return 0.0
    return min(target - measured, ceiling - measured_peak)


def match_loudness(audio: Audio, target: float, ceiling: float = -1.0) -> Audio:
    """Bring audio to a loudness by one gain.

    Args:
        target: in LUFS.
        ceiling: in dBTP; where the true peak would pass it, the result stays quieter than ``target``.

    Returns:
        new audio; silence and sounds below 400 ms come back as they are.
    """
    gain = loudness_gain(lufs(audio), true_peak(audio), target, ceiling)
    return Audio(audio.samples * np.float32(from_db(gain)), audio.sample_rate)


def transfer_envelope(
    source: npt.ArrayLike, source_rate: int, result: npt.ArrayLike, result_rate: int, ratio: float
) -> Samples:
    """Give ``result`` the loudness envelope of ``source`` ("change_rms", so-vits-svc spec section 4 with W7).

    Both envelopes are the RMS of one-second frames every half second, stretched linearly over the length of ``result``;
    then ``result *= envelope_source^(1 - ratio) * max(envelope_result, 1e-6)^(ratio - 1)``.

    Args:
        source, result: mono [time], each at its own rate in Hz.
        ratio: 1 keeps the loudness of ``result``, 0 takes that of ``source`` in full.

    Returns:
        float32 of the length of ``result``.
    """
    wanted = np.asarray(source, np.float32)
    given = np.asarray(result, np.float32)
    if not 0 <= ratio <= 1:
        raise AudioError(f"the envelope ratio must lie between 0 and 1, got {ratio}")
    from_source = _half_second_rms(wanted, source_rate)
    from_result = _half_second_rms(given, result_rate)
    changed = np.empty_like(given)
    for start in range(0, given.shape[0], _BLOCK):
        stop = min(start + _BLOCK, given.shape[0])
        target = _stretched(from_source, given.shape[0], start, stop)
        own = np.maximum(_stretched(from_result, given.shape[0], start, stop), 1e-6)
        changed[start:stop] = given[start:stop] * target ** (1.0 - ratio) * own ** (ratio - 1.0)
    return changed


def _half_second_rms(samples: Samples, sample_rate: int) -> Samples:
    hop = sample_rate // 2
    return frame_rms(samples, 2 * hop, hop)


def _stretched(values: Samples, length: int, start: int, stop: int) -> npt.NDArray[np.float64]:
    """Samples ``start`` to ``stop`` of ``values`` stretched linearly to ``length``, centres of cells aligned."""
    places = (np.arange(start, stop) + 0.5) * (values.shape[0] / length) - 0.5
    stretched: npt.NDArray[np.float64] = np.interp(places, np.arange(values.shape[0]), values)
    return stretched
