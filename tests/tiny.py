"""Tiny random voices and sounds for tests of the singing engine; see :mod:`sovits.zoo.tiny`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from sovits.audio.audio import Audio, Samples
from sovits.core.progress import Cancel
from sovits.core.rng import SeededNoise
from sovits.engines.svc import SvcEngine
from sovits.options.pitch import PitchOptions
from sovits.options.svc import SvcOptions
from sovits.zoo.svc_voice import SvcVoice
from sovits.zoo.tiny import tiny_voice
from tests.sounds import harmonic

RATE = 44100
#: A tracker that is fast; what it finds plays no part here.
PITCH = PitchOptions(method="dio")


@functools.cache
def engine(kind: str = "tiny") -> SvcEngine:
    """One engine per kind and test run."""
    return SvcEngine(tiny_voice(kind))


def sung(seconds: float, rate: int = RATE, *, gap: tuple[float, float] | None = None) -> Audio:
    """A gliding tone; between the two times of ``gap`` it is silent."""
    time = np.arange(round(seconds * rate)) / rate
    samples = harmonic(220 * 2 ** (0.3 * np.sin(np.pi * time)), rate).samples.copy()
    if gap is not None:
        samples[(time >= gap[0]) & (time < gap[1])] = 0
    return Audio.from_mono(samples, rate)


def options(**values: Any) -> SvcOptions:
    """Options with the fast tracker."""
    return SvcOptions.build({"pitch": PITCH, **values})


def convert(sound: Audio, kind: str = "tiny", seed: int = 0, **values: Any) -> Audio:
    """Convert with a tiny voice."""
    return engine(kind).convert(sound, None, options(**values), SeededNoise(seed))


class SameContent:
    """An encoder that always says the same: what is left depends on pitch, noise and time alone."""

    dim = 32
    net = None

    def encode(self, samples: Samples, cancel: Cancel | None = None) -> torch.Tensor:
        """As :meth:`sovits.features.content.encoders.ContentEncoder.encode`."""
        return torch.ones(self.dim, max(1, len(samples) // 320))


def deaf(voice: SvcVoice) -> SvcVoice:
    """The voice without what looks over a whole window at once: its attention, and content normalised over time."""
    voice.encoder = SameContent()
    assert voice.generator is not None
    with torch.no_grad():
        for name, parameter in voice.generator.named_parameters():
            if ".attn_layers." in name and ".conv_o." in name:
                parameter.zero_()
    return voice
