"""Sounds whose answers can be calculated: tones, glides, vibrato, pulse trains, vowels, noise, silence.

Every pitched sound carries its exact F0 for every sample, so that a tracker is compared with truth and not with
another tracker. The pitched sounds are sums of harmonics below 0.45 of the sampling rate and 8 kHz, made from one phase
(the trapezoid rule over F0): no aliases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

#: Centre frequencies and widths in Hz of a sung "ah".
FORMANTS = ((730.0, 90.0), (1090.0, 110.0), (2440.0, 170.0), (3400.0, 250.0))


@dataclass(frozen=True, eq=False)
class Sound:
    """A test sound.

    Attributes:
        samples: float32 [time], peak 0.5.
        sample_rate: in Hz.
        f0: float64 [time], exact F0 in Hz at every sample, 0 where there is none.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    f0: Vector

    def truth(self, hop: int) -> Vector:
        """F0 at the samples ``0, hop, 2 hop, ...``: exactly ``len(samples) // hop`` values."""
        count = len(self.samples) // hop
        return self.f0[: count * hop : hop]


def harmonic(curve: Vector, sample_rate: int, amplitudes: Callable[[Vector], Vector] | None = None) -> Sound:
    """A sum of harmonics that follows an F0 curve.

    Args:
        curve: F0 in Hz at every sample.
        amplitudes: frequency in Hz to amplitude; ``1 / k`` for harmonic ``k`` if not given.
    """
    phase = 2 * np.pi / sample_rate * (np.cumsum(curve) - (curve + curve[0]) / 2)  # trapezoid rule, 0 at the start
    top = min(0.45 * sample_rate, 8000.0)
    total = np.zeros(len(curve))
    for k in range(1, int(top / curve.min()) + 1):
        frequency = k * curve
        gain = np.where(frequency < top, 1 / k if amplitudes is None else amplitudes(frequency), 0.0)
        total += gain * np.cos(k * phase)
    return Sound((0.5 * total / np.abs(total).max()).astype(np.float32), sample_rate, np.asarray(curve, np.float64))


def tone(hz: float, seconds: float = 1.0, sample_rate: int = 44100) -> Sound:
    """A steady tone with harmonics ``1 / k``."""
    return harmonic(np.full(round(seconds * sample_rate), float(hz)), sample_rate)


def sine(hz: float, seconds: float = 1.0, sample_rate: int = 44100, amplitude: float = 0.5) -> Sound:
    """A pure sine."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    samples = (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)
    return Sound(samples, sample_rate, np.full(len(time), float(hz)))


def pulse_train(hz: float, seconds: float = 1.0, sample_rate: int = 44100) -> Sound:
    """Band-limited pulses: all harmonics equally strong."""
    return harmonic(np.full(round(seconds * sample_rate), float(hz)), sample_rate, lambda f: np.ones_like(f))


def vowel(hz: float, seconds: float = 1.0, sample_rate: int = 44100) -> Sound:
    """A sung "ah": a voice-like source through :data:`FORMANTS`."""
    return harmonic(np.full(round(seconds * sample_rate), float(hz)), sample_rate, voice_gain)


def glide(start: float, stop: float, seconds: float = 2.0, sample_rate: int = 44100) -> Sound:
    """A sung "ah" whose F0 moves from ``start`` to ``stop`` Hz evenly in semitones."""
    place = np.arange(round(seconds * sample_rate)) / (seconds * sample_rate)
    return harmonic(start * (stop / start) ** place, sample_rate, voice_gain)


def vibrato(
    hz: float, depth: float = 50.0, speed: float = 5.5, seconds: float = 2.0, sample_rate: int = 44100
) -> Sound:
    """A sung "ah" whose F0 swings ``depth`` cents to both sides of ``hz``, ``speed`` times a second."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return harmonic(hz * 2 ** (depth / 1200 * np.sin(2 * np.pi * speed * time)), sample_rate, voice_gain)


def voice_gain(frequency: Vector) -> Vector:
    """Amplitude of a voice's harmonic at a frequency: a source that falls 6 dB per octave, times the resonances."""
    source = 1 / (1 + frequency / 300.0)
    return np.asarray(source * sum(1 / np.sqrt(1 + ((frequency - f) / (2 * w)) ** 2) for f, w in FORMANTS))


def joined(*parts: Sound) -> Sound:
    """Sounds of one rate after each other."""
    return Sound(
        np.concatenate([part.samples for part in parts]),
        parts[0].sample_rate,
        np.concatenate([part.f0 for part in parts]),
    )


def silence(seconds: float = 1.0, sample_rate: int = 44100) -> Sound:
    """Digital zeros."""
    count = round(seconds * sample_rate)
    return Sound(np.zeros(count, np.float32), sample_rate, np.zeros(count))


def white_noise(seconds: float = 1.0, sample_rate: int = 44100, seed: int = 0, level: float = 0.1) -> Sound:
    """Gaussian noise of standard deviation ``level``."""
    count = round(seconds * sample_rate)
    draws = np.random.default_rng(seed).standard_normal(count)
    return Sound((level * draws).astype(np.float32), sample_rate, np.zeros(count))


def speech_noise(seconds: float = 1.0, sample_rate: int = 44100, seed: int = 0) -> Sound:
    """Noise with the long-term spectrum of speech (falls 9 dB per octave above 500 Hz) and four syllables a second."""
    count = round(seconds * sample_rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / sample_rate)
    shaped = np.fft.irfft(spectrum * (1 + (frequency / 500.0) ** 2) ** -0.75 * (frequency > 60.0), count)
    syllables = np.sin(2 * np.pi * 2.0 * np.arange(count) / sample_rate) ** 2
    samples = shaped * syllables
    return Sound((0.5 * samples / np.abs(samples).max()).astype(np.float32), sample_rate, np.zeros(count))


def with_noise(sound: Sound, snr: float, seed: int = 0) -> Sound:
    """The sound plus white noise, ``snr`` dB below its power."""
    draws = np.random.default_rng(seed).standard_normal(len(sound.samples))
    level = float(np.sqrt(np.mean(sound.samples.astype(np.float64) ** 2))) * 10 ** (-snr / 20)
    return Sound((sound.samples + level * draws).astype(np.float32), sound.sample_rate, sound.f0)


def cents(found: Vector, truth: Vector) -> Vector:
    """How far ``found`` lies above ``truth``, in cents (hundredths of a semitone); both positive."""
    return np.asarray(1200 * np.log2(found / truth))
