"""Loudness per frame, as the volume embedding of the svc net and the diffusion model read it (spec, section 4)."""

from __future__ import annotations

import numpy as np

from sovits.audio.audio import Samples


def volume(samples: Samples, hop: int) -> Samples:
    """RMS of each hop, centred: squared, reflected at the edges, averaged over ``hop`` samples, rooted.

    Args:
        samples: mono float32 [time]; a sound that is too short to be reflected is extended by its last value.
        hop: in samples.

    Returns:
        float32 [time // hop].
    """
    count = len(samples) // hop
    if count == 0:
        return np.zeros(0, np.float32)
    left, right = hop // 2, (hop + 1) // 2
    squared = np.square(np.asarray(samples, np.float32))
    padded = np.pad(squared, (left, right), "reflect" if len(samples) > right else "edge")
    frames = padded[: count * hop].reshape(count, hop)
    return np.asarray(np.sqrt(frames.mean(axis=1, dtype=np.float32)))
