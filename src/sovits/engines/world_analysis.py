"""Sound to WORLD parameters: F0, spectral envelope and aperiodicity at 5 ms (Morise 2015 and 2016), piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.features.pitch.contour import PitchPredictor

Floats = npt.NDArray[np.float64]

#: Frames in a second, for every sample rate.
FRAMES = 200
#: Rates outside these bounds are resampled for the work: below, WORLD has no band left to measure aperiodicity in;
#: above, nothing is gained that a listener could hear.
LOWEST_RATE, HIGHEST_RATE = 16000, 48000
#: Power below which a spectrum counts as silence; keeps logarithms finite.
FLOOR = 1e-16
#: F0 that decides the length of the spectra: about 2048 points at 48 kHz.
_LOWEST_F0 = 71.0


@dataclass(frozen=True)
class Frames:
    """WORLD parameters of consecutive frames.

    Attributes:
        f0: Hz [frames], 0 where unvoiced.
        envelope: natural logarithm of the power spectrum [frames, bins], from 0 Hz to half the rate.
        aperiodicity: amplitude share of noise, 0 to 1, [frames, bins].
    """

    f0: Floats
    envelope: Floats
    aperiodicity: Floats

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """Whether a frame has a pitch, [frames]."""
        return self.f0 > 0


def work_rate(sample_rate: int) -> int:
    """The rate at which a recording is analysed and synthesised."""
    return min(max(sample_rate, LOWEST_RATE), HIGHEST_RATE)


def fft_size(rate: int) -> int:
    """Points of the spectra at ``rate``: a power of two that holds three periods of the lowest F0."""
    return int(2 ** np.ceil(np.log2(3.0 * rate / _LOWEST_F0 + 1.0)))


def pitch(samples: Samples, rate: int, predictor: PitchPredictor) -> npt.NDArray[np.float32]:
    """F0 of a mono recording at the 5 ms grid, Hz [ceil(seconds * 200) + 1], 0 where unvoiced.

    The tracker's hop is a whole number of samples, 5 ms need not be one: the logarithm of F0 is interpolated between
    two voiced values, the voiced flag is that of the nearer one.
    """
    count = -(-len(samples) * FRAMES // rate) + 1
    hop = _hop(rate)
    if len(samples) < hop:
        return np.zeros(count, np.float32)
    hz = predictor.track(samples, rate, hop).hz
    place = np.minimum(np.arange(count) * (rate / FRAMES / hop), len(hz) - 1)
    left = place.astype(np.int64)
    right = np.minimum(left + 1, len(hz) - 1)
    part = place - left
    nearest = np.where(part < 0.5, hz[left], hz[right])
    both = (hz[left] > 0) & (hz[right] > 0)
    logs = np.log(np.where(hz > 0, hz, 1.0))
    between = np.exp(logs[left] * (1 - part) + logs[right] * part)
    return np.asarray(np.where(both, between, nearest), np.float32)


def _hop(rate: int) -> int:
    """Samples between F0 values: at most 5 ms and, if it can be had, a whole number of times in a second.

    Then pieces that start a whole second apart are tracked at the same instants.
    """
    most = rate // FRAMES
    return next((hop for hop in range(most, most // 4, -1) if rate % hop == 0), most)


def envelope(samples: Floats, rate: int, f0: Floats, times: Floats) -> Floats:
    """CheapTrick's spectral envelope at ``times`` (s), natural log of power, [frames, bins]."""
    import pyworld

    size = fft_size(rate)
    lowest = 3.0 * rate / (size - 3.0) * 1.001  # below it CheapTrick would take the frame for an unvoiced one
    usable = np.where(f0 > 0, np.clip(f0, lowest, rate / 4), 0.0)
    power = pyworld.cheaptrick(samples, usable, times, rate, fft_size=size)
    return np.asarray(np.log(power + FLOOR))


def frames(samples: Samples, rate: int, f0: npt.NDArray[np.float32], first: int) -> Frames:
    """Parameters of the frames ``first .. first + len(f0) - 1``.

    Args:
        samples: mono, reaching beyond the frames on both sides where there is sound, so that their windows are full.
        f0: Hz, of these frames.
        first: index of the first frame, counted from the start of ``samples``.
    """
    import pyworld

    exact = f0.astype(np.float64)
    times = (np.arange(len(f0)) + first) / FRAMES
    sound = np.ascontiguousarray(samples, np.float64)
    log_power = envelope(sound, rate, exact, times)
    noise = pyworld.d4c(sound, exact, times, rate, fft_size=fft_size(rate))
    return Frames(exact, log_power, np.clip(noise, 0.0, 1.0))
