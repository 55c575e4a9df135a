"""Reading a track of another frame rate at our hops, and the checks around every tracker."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.core.errors import AudioError
from sovits.features.pitch.contour import Contour
from sovits.features.pitch.sampling import Checked, sampled


def read(hz: list[float], length: int = 80, hop: int = 5) -> Contour:
    """A track with a value every 20 samples, read every ``hop``."""
    return sampled(np.array(hz), np.ones(len(hz)), seconds=0.02, length=length, sample_rate=1000, hop=hop)


def test_movement_is_interpolated_in_octaves() -> None:
    found = read([100.0, 120.0, 120.0, 120.0])
    np.testing.assert_allclose(found.hz[:5], 100 * 1.2 ** (np.arange(5) / 4))


def test_nothing_lies_between_two_octaves() -> None:
    found = read([100.0, 200.0, 200.0, 200.0])
    np.testing.assert_allclose(found.hz[:5], [100, 100, 200, 200, 200])


def test_the_voiced_flag_is_that_of_the_nearer_value_and_hz_does_not_leak() -> None:
    found = read([100.0, 0.0, 0.0, 150.0])
    np.testing.assert_allclose(found.hz, [100, 100, *[0] * 8, *[150] * 6])
    assert np.array_equal(found.voiced, found.hz > 0)


def test_count_and_the_end() -> None:
    assert len(read([100.0], length=84)) == 16
    np.testing.assert_allclose(read([100.0], length=84).hz, 100)
    assert len(read([100.0], length=4)) == 0
    assert read([], length=20).hz.tolist() == [0] * 4


class Short:
    """A plug-in that breaks the protocol."""

    def track(self, samples: np.ndarray, sample_rate: int, hop: int) -> Contour:
        return Contour(np.zeros(3), np.zeros(3, bool), hop, sample_rate)


def test_a_tracker_with_too_few_values_is_named() -> None:
    with pytest.raises(AudioError, match="'short' gave 3 values, 10 were expected"):
        Checked(Short(), "short").track(np.zeros(1600, np.float32), 16000, 160)
