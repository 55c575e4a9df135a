"""What trackers with a frame rate of their own share, reading their track at our hops; and the checks around all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.core.errors import AudioError
from sovits.features.pitch.contour import Contour, Hz, PitchPredictor

LOWEST_RATE, HIGHEST_RATE = 8000, 192000
#: Neighbours further apart than this many octaves are a jump, not a movement: nothing is put between them.
JUMP_OCTAVES = 0.5


def sampled(
    hz: Hz, confidence: npt.NDArray[np.float64], *, seconds: float, length: int, sample_rate: int, hop: int
) -> Contour:
    """Read a track at the times ``i * hop / sample_rate``, ``length // hop`` values.

    Between two voiced neighbours less than :data:`JUMP_OCTAVES` apart the logarithm of F0 is interpolated; otherwise,
    and for the voiced flag always, the nearer value holds. So no value lies between two octaves or leaks out of a
    voiced part.

    Args:
        hz: float64 [frames], 0 where unvoiced; frame ``k`` belongs to the time ``k * seconds``.
        confidence: float64 [frames], interpolated linearly.
        seconds: time between two values of ``hz``.
        length: samples of the recording at ``sample_rate``.
    """
    count = length // hop
    if count == 0 or len(hz) == 0:
        return Contour(np.zeros(count), np.zeros(count, np.bool_), hop, sample_rate, np.zeros(count))
    place = np.minimum(np.arange(count) * (hop / sample_rate / seconds), len(hz) - 1)
    left = place.astype(np.int64)
    right = np.minimum(left + 1, len(hz) - 1)
    part = place - left
    nearest = np.where(part < 0.5, left, right)
    octaves = np.log2(np.where(hz > 0, hz, 1.0))
    moves = (hz[left] > 0) & (hz[right] > 0) & (np.abs(octaves[right] - octaves[left]) < JUMP_OCTAVES)
    between = 2.0 ** (octaves[left] * (1 - part) + octaves[right] * part)
    values = np.where(moves & (part > 0), between, hz[nearest])
    sure = confidence[left] * (1 - part) + confidence[right] * part
    return Contour(values, values > 0, hop, sample_rate, sure)


class Checked:
    """A tracker behind the checks that all share: each one, a plug-in's too, sees good input and gives good output.

    Args:
        inner: the tracker itself.
        name: how messages call it.
    """

    def __init__(self, inner: PitchPredictor, name: str) -> None:
        self.inner = inner
        self.name = name

    def track(self, samples: Samples, sample_rate: int, hop: int) -> Contour:
        """As :meth:`sovits.features.pitch.contour.PitchPredictor.track`.

        Raises:
            AudioError: not mono, not finite, a rate or hop out of range; or a tracker that miscounts its values.
        """
        if samples.ndim != 1:
            raise AudioError(f"pitch tracking takes mono samples [time], got shape {samples.shape}")
        if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
            raise AudioError(
                f"pitch tracking takes sample rates of {LOWEST_RATE} to {HIGHEST_RATE} Hz, got {sample_rate}",
                hint="resample the recording first",
            )
        if hop < 1:
            raise AudioError(f"hop must be at least 1 sample, got {hop}")
        if not all(np.isfinite(samples[start : start + (1 << 20)]).all() for start in range(0, len(samples), 1 << 20)):
            raise AudioError("the samples hold NaN or infinity", hint="repair or re-export the recording")
        count = len(samples) // hop
        if count == 0:
            return Contour(np.zeros(0), np.zeros(0, np.bool_), hop, sample_rate)
        contour = self.inner.track(np.asarray(samples, np.float32), sample_rate, hop)
        if len(contour) != count:
            raise AudioError(f"pitch predictor '{self.name}' gave {len(contour)} values, {count} were expected")
        return contour
