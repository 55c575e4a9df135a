"""``dio`` and ``harvest``: the two F0 estimators of WORLD, each refined by its StoneMask.

Sources: M. Morise, "Harvest: a high-performance fundamental frequency estimator from speech signals" (Interspeech 2017)
and M. Morise, H. Kawahara, H. Katayose, "Fast and reliable F0 estimation method based on the period extraction of vocal
fold vibration" (AES 35th conference, 2009), through the package pyworld. WORLD's frame ``i`` lies at ``i`` times the
frame period.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from sovits.audio.audio import Samples
from sovits.audio.resample import resample
from sovits.core.device import Compute
from sovits.core.registry import missing
from sovits.features.pitch.contour import Contour, Hz
from sovits.features.pitch.sampling import sampled
from sovits.options.pitch import PitchOptions

Method = Literal["dio", "harvest"]

#: The trackers listen at this rate in Hz and step in 5 ms, whatever rate and hop are asked. Harvest works on a signal
#: decimated by a whole number to about 8 kHz; where that is not 8 kHz sharp (7350 Hz for 44.1 kHz) it was seen to miss
#: whole notes (700, 880 and 1000 Hz). At 16 kHz it hears them all.
RATE, STEP = 16000, 80
#: Frames of one piece of a long sound, and of what is heard on both sides of it beyond that: 60 s and 1 s.
_PIECE, _CONTEXT = 12000, 200


class WorldPredictor:
    """DIO or Harvest.

    Args:
        method: which of the two.
        low, high: range of F0 in Hz.
    """

    def __init__(self, method: Method = "harvest", low: float = 50.0, high: float = 1100.0) -> None:
        self.method: Method = method
        self.low, self.high = low, high

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """As :meth:`sovits.features.pitch.contour.PitchPredictor.track`; long sounds in pieces, for bounded memory."""
        sound = resample(samples, sample_rate, RATE)
        count = len(sound) // STEP + 1
        hz = np.zeros(count)
        for start in range(0, count, _PIECE):
            stop = min(start + _PIECE, count)
            first = max(start - _CONTEXT, 0)
            part = sound[first * STEP : (stop + _CONTEXT) * STEP]
            found = raw_track(part, RATE, STEP, self.method, self.low, self.high)
            hz[start:stop] = found[start - first : stop - first]
        flags = (hz > 0).astype(np.float64)
        read = sampled(hz, flags, seconds=STEP / RATE, length=len(samples), sample_rate=sample_rate, hop=hop)
        return Contour(read.hz, read.voiced, hop, sample_rate)


def create_dio(options: PitchOptions, weights: Path | None, compute: Compute) -> WorldPredictor:
    """The registry's factory of ``dio``."""
    return WorldPredictor("dio", options.f0_min, options.f0_max)


def create_harvest(options: PitchOptions, weights: Path | None, compute: Compute) -> WorldPredictor:
    """The registry's factory of ``harvest``."""
    return WorldPredictor("harvest", options.f0_min, options.f0_max)


def raw_track(samples: Samples, sample_rate: int, hop: int, method: Method, low: float, high: float) -> Hz:
    """WORLD's own track of one sound.

    Args:
        samples: mono [time], made double.

    Returns:
        float64 [len(samples) // hop + 1], Hz at ``i * hop / sample_rate``, 0 where unvoiced.
    """
    try:
        import pyworld
    except ModuleNotFoundError as error:
        raise missing("pyworld-prebuilt", f"pitch predictor '{method}'", "") from error
    sound = np.ascontiguousarray(samples, np.float64)
    if not sound.any():
        return np.zeros(len(sound) // hop + 1)
    estimate = pyworld.dio if method == "dio" else pyworld.harvest
    period = 1000 * hop / sample_rate
    hz, times = estimate(sound, sample_rate, f0_floor=low, f0_ceil=high, frame_period=period)
    refined: Hz = pyworld.stonemask(sound, hz, times, sample_rate)
    return refined
