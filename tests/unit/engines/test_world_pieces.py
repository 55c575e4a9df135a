"""Pieces cover a recording exactly, whatever its rate and channels."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.audio.audio import Audio, MemorySource
from sovits.audio.resample import resample
from sovits.core.errors import AudioError
from sovits.engines.world_pieces import MARGIN, Pieces


@pytest.mark.parametrize(("rate", "work"), [(8000, 16000), (22050, 22050), (48000, 48000), (96000, 48000)])
@pytest.mark.parametrize("seconds", [0.001, 2.0, 5.3])
@pytest.mark.parametrize("window", [2.0, 3.9, 60.0])
def test_inner_parts_join_to_the_recording(rate: int, work: int, seconds: float, window: float) -> None:
    stereo = np.random.default_rng(0).standard_normal((2, max(1, round(seconds * rate)))).astype(np.float32)
    pieces = Pieces(MemorySource(Audio(stereo, rate)), window)
    found = list(pieces)
    expected = resample(stereo.mean(axis=0), rate, work)
    joined = np.concatenate([piece.samples[MARGIN * work : -MARGIN * work] for piece in found])
    np.testing.assert_allclose(joined[: len(expected)], expected, atol=1e-5)
    assert not joined[len(expected) :].any()
    assert pieces.length == stereo.shape[1]
    assert pieces.rate == work
    assert sum(piece.sound for piece in found) == pytest.approx(len(expected) / work)


def test_margins_hold_the_neighbours() -> None:
    ramp = np.arange(16000 * 7, dtype=np.float32)[None]
    second = list(Pieces(MemorySource(Audio(ramp, 16000)), 2.0))[1]
    np.testing.assert_array_equal(second.samples, ramp[0, : 16000 * 6])


def test_no_samples_and_no_numbers_are_refused() -> None:
    with pytest.raises(AudioError, match="no samples"):
        list(Pieces(MemorySource(Audio(np.zeros((1, 0), np.float32), 16000)), 2.0))
    broken = np.zeros((2, 32000), np.float32)
    broken[1, 24000] = np.nan
    with pytest.raises(AudioError, match=r"not a finite number at 1\.500 s"):
        list(Pieces(MemorySource(Audio(broken, 16000)), 2.0))
