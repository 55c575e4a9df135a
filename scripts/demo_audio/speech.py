"""espeak-ng as a program that speaks, and WORLD parameters of what it said."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyworld
import soundfile
import soxr

from demo_audio.score import RATE

Array = npt.NDArray[np.float64]

PERIOD = 5.0  # ms between WORLD frames
FFT = 2048
FREQUENCIES = np.arange(FFT // 2 + 1) * (RATE / FFT)


@dataclass
class Frames:
    """WORLD parameters, one row for each 5 ms.

    Attributes:
        f0: Hz, 0 where unvoiced, [frames].
        envelope: natural logarithm of the power envelope, [frames, bins].
        aperiodicity: amplitude ratio 0..1, [frames, bins].
    """

    f0: Array
    envelope: Array
    aperiodicity: Array

    def __len__(self) -> int:
        return len(self.f0)


def speak(text: str, voice: str, *, speed: int, pitch: int) -> Array:
    """Let espeak-ng say something; mono float64 at 44.1 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), "--", text]
        subprocess.run(command, check=True)
        samples, rate = soundfile.read(path)
    return np.asarray(soxr.resample(samples, rate, RATE), np.float64)


def analyse(samples: Array, floor: float, ceiling: float) -> Frames:
    """WORLD analysis (Morise et al. 2016), with F0 looked for between ``floor`` and ``ceiling`` Hz."""
    f0, times = pyworld.harvest(samples, RATE, floor, ceiling, PERIOD)
    f0 = pyworld.stonemask(samples, f0, times, RATE)
    envelope = pyworld.cheaptrick(samples, f0, times, RATE, fft_size=FFT)
    # Harvest bridges short hisses; where there is next to nothing below 1 kHz no cord vibrates.
    low, high = FREQUENCIES < 1000.0, (FREQUENCIES > 4000.0) & (FREQUENCIES < 9000.0)
    f0[envelope[:, low].mean(axis=1) < 6.0 * envelope[:, high].mean(axis=1)] = 0.0
    aperiodicity = pyworld.d4c(samples, f0, times, RATE, fft_size=FFT)
    return Frames(f0, np.log(np.maximum(envelope, 1e-12)), aperiodicity)


def synthesise(frames: Frames) -> Array:
    """WORLD synthesis at 44.1 kHz."""
    return np.asarray(
        pyworld.synthesize(
            frames.f0,
            np.ascontiguousarray(np.exp(frames.envelope)),
            np.ascontiguousarray(np.clip(frames.aperiodicity, 1e-3, 1.0 - 1e-9)),
            RATE,
            PERIOD,
        ),
        np.float64,
    )
