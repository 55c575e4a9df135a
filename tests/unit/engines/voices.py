"""Two small voices made by code, as reference clips and sources of the engine's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from sovits.zoo.voice import Voice
from tests import sounds


def phrase(hertz: float = 160.0, rate: int = 16000, seconds: float = 3.0) -> sounds.Sound:
    """A sung glide, a breath of noise, a note with vibrato, a rest."""
    part = seconds / 3
    return sounds.joined(
        sounds.glide(hertz, 1.5 * hertz, part, rate),
        sounds.white_noise(part / 4, rate, level=0.02),
        sounds.vibrato(1.2 * hertz, seconds=part, sample_rate=rate),
        sounds.silence(seconds - 2.25 * part, rate),
    )


def target(folder: Path, hertz: float = 260.0) -> Voice:
    """Another voice: higher, and brighter by a first difference."""
    sound = phrase(hertz, 16000, 4.0)
    bright = np.diff(sound.samples, prepend=np.float32(0))
    path = folder / f"target {hertz:g}.wav"
    soundfile.write(path, 0.5 * bright / np.abs(bright).max(), 16000, subtype="FLOAT")
    return Voice("bright", (path,))
