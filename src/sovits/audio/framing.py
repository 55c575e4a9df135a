"""RMS per frame, centred and zero-padded: what the silence slicers and the loudness envelope look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples

_BLOCK = 1 << 18  # samples that are squared at a time: 1 MB of float32


class FrameRms:
    """RMS of frames around every ``hop``-th sample, from blocks of any size (as librosa's ``rms``, zero padding).

    Frame ``i`` covers the samples ``i * hop - window // 2`` up to ``window`` further; beyond the ends lies silence.
    A signal of ``length`` samples has ``1 + length // hop`` frames if the window is even, else
    ``1 + (length - 1) // hop``.

    Args:
        window, hop: in samples.
    """

    def __init__(self, window: int, hop: int) -> None:
        self.window = window
        self.hop = hop
        self._held = np.zeros(window // 2, np.float32)  # from the first sample of the next frame on
        self._skip = 0  # samples between what is held and the next frame, when hop > window

    def push(self, block: Samples) -> Samples:
        """Take mono float32 [time] and give the frames that are complete, float32 [some frames]."""
        parts = []
        for start in range(0, block.shape[0], _BLOCK):
            parts.append(self._take(block[start : start + _BLOCK]))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def finish(self) -> Samples:
        """Give the frames that reach over the end."""
        return self._take(np.zeros(self.window // 2, np.float32))

    def _take(self, block: Samples) -> Samples:
        held = np.concatenate([self._held, block[self._skip :]])
        self._skip = max(0, self._skip - block.shape[0])
        count = max(0, 1 + (held.shape[0] - self.window) // self.hop)
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(np.square(held), self.window)[:: self.hop]
            values = np.sqrt(np.mean(frames, axis=1, dtype=np.float32))
        else:
            values = np.zeros(0, np.float32)
        used = count * self.hop
        self._skip += max(0, used - held.shape[0])
        self._held = held[used:].copy()
        return values


def frame_rms(samples: npt.ArrayLike, window: int, hop: int) -> Samples:
    """:class:`FrameRms` of a whole signal.

    Args:
        samples: mono [time].
        window, hop: in samples.

    Returns:
        float32 [1 + time // hop] for an even window.
    """
    meter = FrameRms(window, hop)
    return np.concatenate([meter.push(np.asarray(samples, np.float32)), meter.finish()])
