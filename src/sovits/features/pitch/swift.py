"""``swift``: SwiftF0, a small convolutional net that comes with the package swift-f0 (MIT) and needs no other weights.

Source: L. Nieradzik, "SwiftF0: fast and accurate monophonic pitch detection" (2025). It listens at 16 kHz and gives a
pitch and a confidence for every 16 ms; frame ``k`` belongs to the time ``16 ms * k`` (seen on vibrato: 0.04 ms off).
Its stream gives the same values as one call over the whole sound, so any length is tracked in bounded memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sovits.audio.audio import Samples
from sovits.audio.resample import StreamResampler
from sovits.core.device import Compute
from sovits.core.errors import OptionError
from sovits.core.registry import missing
from sovits.core.telemetry import forbid_telemetry
from sovits.features.pitch.contour import Contour
from sovits.features.pitch.sampling import sampled
from sovits.options.pitch import PitchOptions

if TYPE_CHECKING:
    from swift_f0 import SwiftF0

RATE, HOP = 16000, 256
#: What the net can hear, in Hz, and the narrowest band it takes (one of its pitch steps).
LOWEST, HIGHEST, NARROWEST = 46.875, 2093.75, 1.042
#: Confidence is calibrated by the net's author so that voiced frames lie above this. (At 0.9, as in older versions, a
#: third of what pm and Harvest agree on was seen to be lost in sung recordings with effects.)
THRESHOLD = 0.5
_BLOCK_SECONDS = 30


class SwiftPredictor:
    """SwiftF0.

    Args:
        low, high: range of F0 in Hz, cut to what the net can hear.
        threshold: confidence below which a frame is unvoiced.
        threads: of one call.

    Raises:
        OptionError: a range that leaves nothing to hear.
        MissingDependencyError: the package swift-f0 is not installed.
    """

    def __init__(self, low: float = 50.0, high: float = 1100.0, threshold: float = THRESHOLD, threads: int = 1) -> None:
        self.low, self.high = max(low, LOWEST), min(high, HIGHEST)
        self.threshold = threshold
        if self.high < self.low * NARROWEST:
            raise OptionError(
                f"pitch predictor 'swift' hears {LOWEST} to {HIGHEST} Hz, asked for {low} to {high} Hz",
                hint="widen f0_min and f0_max, or choose another method",
            )
        self._net = _net(threads)

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """As :meth:`sovits.features.pitch.contour.PitchPredictor.track`; confidence is the net's own."""
        resampler = StreamResampler(sample_rate, RATE, 1)
        stream = self._net.stream(self.low, self.high)
        parts = []
        size = _BLOCK_SECONDS * sample_rate
        for start in range(0, len(samples), size):
            parts.append(stream.push(resampler.push(samples[None, start : start + size])[0], RATE))
        parts.append(stream.push(resampler.finish()[0], RATE))
        parts.append(stream.flush())
        pitch = np.concatenate([part.pitch_hz for part in parts])
        confidence = np.concatenate([part.confidence for part in parts])
        hz = np.where(confidence >= self.threshold, pitch, 0.0)
        return sampled(hz, confidence, seconds=HOP / RATE, length=len(samples), sample_rate=sample_rate, hop=hop)


def create(options: PitchOptions, weights: Path | None, compute: Compute) -> SwiftPredictor:
    """The registry's factory."""
    threshold = THRESHOLD if options.threshold is None else options.threshold
    return SwiftPredictor(options.f0_min, options.f0_max, threshold, compute.threads)


def _net(threads: int) -> SwiftF0:
    forbid_telemetry()
    try:
        from swift_f0 import SwiftF0
    except ModuleNotFoundError as error:
        raise missing(error.name or "swift-f0", "pitch predictor 'swift'", "") from error
    return SwiftF0(threads=threads, spin=False)
