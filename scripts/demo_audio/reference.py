"""The target voice's reference: another speaker says a text of ours, with a livelier pitch and another throat."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from demo_audio.score import REFERENCE_TEXT
from demo_audio.speech import Array, Frames, analyse, speak, synthesise
from demo_audio.timbre import Throat, shape

VOICE = "en-us+f1"
SPEAKER = Throat(
    warp=1.03,
    ring=2.0,
    ring_at=4200.0,
    breath=(-20.0, -4.0),
    tops=((4500, -6), (7000, -15), (11000, -26), (16000, -40), (22050, -54)),
)


def say() -> Array:
    """About ten seconds of speech, mono float64 at 44.1 kHz, peak 0.6."""
    spoken = speak(REFERENCE_TEXT, VOICE, speed=158, pitch=55)
    frames = shape(analyse(spoken, 110.0, 480.0), SPEAKER, seed=31)
    samples = synthesise(Frames(_lively(frames.f0), frames.envelope, frames.aperiodicity))
    loud = np.flatnonzero(np.abs(samples) > 1e-3 * np.abs(samples).max())
    samples = np.pad(samples[loud[0] : loud[-1]], (4410, 4410))
    return np.asarray(0.6 * samples / np.abs(samples).max())


def _lively(f0: Array) -> Array:
    """The spoken contour about 240 Hz, a little wider than the machine speaks, with drift and jitter."""
    rng = np.random.default_rng(37)
    voiced = f0 > 0
    pitch = 12.0 * np.log2(np.where(voiced, f0, 1.0))
    centre = np.median(pitch[voiced])
    drift = 0.5 * gaussian_filter1d(rng.standard_normal(len(f0)), 50.0) * 13.0
    jitter = 0.05 * gaussian_filter1d(rng.standard_normal(len(f0)), 0.8) * 1.7
    moved = 12.0 * np.log2(240.0) + 1.15 * (pitch - centre) + drift + jitter
    return np.where(voiced, 2.0 ** (moved / 12.0), 0.0)
