"""Long sounds are tracked in pieces; the joins must not show."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.core.errors import OptionError
from sovits.features.pitch import swift, world
from tests import sounds


@pytest.fixture(scope="module")
def song() -> sounds.Sound:
    """Five seconds of moving notes and rests."""
    rest = sounds.silence(0.3, 16000)
    parts = []
    for start, stop in ((110, 140), (220, 180), (330, 440), (500, 260)):
        parts += [sounds.glide(start, stop, 0.95, 16000), rest]
    return sounds.with_noise(sounds.joined(*parts), 60)


def test_swift_in_blocks_is_swift_at_once(song: sounds.Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = swift.SwiftPredictor()
    whole = tracker.track(song.samples, 16000, 160)
    monkeypatch.setattr(swift, "_BLOCK_SECONDS", 1)
    pieces = tracker.track(song.samples, 16000, 160)
    assert np.array_equal(pieces.voiced, whole.voiced)
    np.testing.assert_allclose(pieces.hz, whole.hz, rtol=1e-4)
    assert whole.voiced.mean() > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dio", "harvest"])
def test_world_in_pieces_is_world_at_once(
    song: sounds.Sound, monkeypatch: pytest.MonkeyPatch, method: world.Method
) -> None:
    tracker = world.WorldPredictor(method)
    whole = tracker.track(song.samples, 16000, 160)
    monkeypatch.setattr(world, "_PIECE", 300)
    pieces = tracker.track(song.samples, 16000, 160)
    assert np.mean(pieces.voiced == whole.voiced) > 0.98
    both = pieces.voiced & whole.voiced
    assert np.percentile(np.abs(sounds.cents(pieces.hz[both], whole.hz[both])), 95) < 1
    assert whole.voiced.mean() > 0.6


def test_swift_refuses_a_range_it_cannot_hear() -> None:
    with pytest.raises(OptionError, match=r"46.875 to 2093.75"):
        swift.SwiftPredictor(30.0, 47.0)
