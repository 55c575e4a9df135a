"""Slicing of made recordings whose pauses are known."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovits.audio.audio import Audio, MemorySource
from sovits.audio.slicing import SVC, Segment, normalise_piece, silent_runs, slice_audio, svc_chunks
from sovits.core.errors import OptionError
from sovits.options.slicing import SliceOptions

RATE = 16000


def recording(*parts: tuple[float, float], rate: int = RATE, channels: int = 1) -> Audio:
    """Noise of the given (seconds, amplitude)."""
    rng = np.random.default_rng(7)
    pieces = [rng.uniform(-level, level, (channels, round(seconds * rate))) for seconds, level in parts]
    return Audio(np.concatenate(pieces, axis=1).astype(np.float32), rate)


def sliced(audio: Audio, **options: float | None) -> list[Segment]:
    return slice_audio(MemorySource(audio), SliceOptions.build(options))


def test_silent_runs() -> None:
    levels = np.asarray([0.0, 0.5, 0.0, 0.0, 0.5, 0.0], np.float32)
    assert silent_runs(levels, 0.1) == [(0, 1), (2, 4), (5, 6)]
    assert silent_runs(levels[:0], 0.1) == []


def test_a_pause_separates_two_pieces() -> None:
    segments = sliced(recording((5, 0.3), (3, 1e-4), (5, 0.3)))
    assert [part.silent for part in segments] == [False, True, False]
    assert 5.0 <= segments[0].stop / RATE <= 5.51
    assert 7.49 <= segments[1].stop / RATE <= 8.0


def test_a_short_pause_is_cut_but_nothing_is_taken_out() -> None:
    segments = sliced(recording((5, 0.3), (0.4, 1e-4), (5, 0.3)))
    assert [part.silent for part in segments] == [False, False]
    assert 5.0 <= segments[0].stop / RATE <= 5.4


def test_a_pause_below_the_interval_is_left_inside() -> None:
    assert sliced(recording((5, 0.3), (0.2, 1e-4), (5, 0.3))) == [Segment(0, round(10.2 * RATE), silent=False)]


def test_silence_at_the_ends_is_taken_out() -> None:
    segments = sliced(recording((2, 1e-4), (5, 0.3), (2, 1e-4)))
    assert [part.silent for part in segments] == [True, False, True]
    assert 1.49 <= segments[0].stop / RATE <= 2.0
    assert 7.0 <= segments[1].stop / RATE <= 7.51


def test_a_piece_above_the_longest_is_cut_where_it_is_quietest() -> None:
    segments = sliced(recording((11.9, 0.3), (0.1, 0.02), (8, 0.3)), max_length=15.0)
    assert len(segments) == 2
    assert 11.9 <= segments[0].stop / RATE <= 12.0
    assert len(sliced(recording((20, 0.3)), max_length=None)) == 1


def test_silence_alone_is_one_silent_segment() -> None:
    assert sliced(recording((3, 1e-4))) == [Segment(0, 3 * RATE, silent=True)]
    assert sliced(recording((0.1, 1e-4))) == [Segment(0, RATE // 10, silent=True)]
    assert sliced(recording((0, 0))) == []
    assert sliced(Audio(np.full((1, 1), 0.5, np.float32), RATE)) == [Segment(0, 1, silent=False)]


@settings(max_examples=50, deadline=None)
@given(
    parts=st.lists(st.tuples(st.floats(0.01, 3.0), st.sampled_from([0.0, 1e-4, 0.02, 0.5])), min_size=1, max_size=8),
    rate=st.sampled_from([4000, 8000, 11025]),
    max_length=st.sampled_from([None, 1.0, 2.5]),
)
def test_segments_cover_the_recording(parts: list[tuple[float, float]], rate: int, max_length: float | None) -> None:
    audio = recording(*parts, rate=rate)
    segments = sliced(audio, min_length=1.0, max_length=max_length)
    edges = [0, *(part.stop for part in segments)]
    assert [part.start for part in segments] == edges[:-1]
    assert edges[-1] == audio.length
    assert all(before < after for before, after in itertools.pairwise(edges))
    if max_length is not None:
        assert all(part.silent or part.stop - part.start <= max_length * rate for part in segments)


def test_short_files_are_left_whole_by_the_upstream_rule() -> None:
    quiet = np.zeros(22050, np.float32)
    assert svc_chunks(quiet, 44100) == [Segment(0, 22050, silent=True)]
    assert svc_chunks(quiet[:250], 500) == [Segment(0, 250, silent=False)]  # at most 250 samples
    assert svc_chunks(quiet[:251], 500) == [Segment(0, 251, silent=True)]
    by_hops = dataclasses.replace(SVC, whole_samples=False)  # at most 250 hops
    assert svc_chunks(quiet, 44100, by_hops) == [Segment(0, 22050, silent=False)]


def test_levelled_pieces() -> None:
    assert not normalise_piece(np.zeros(10, np.float32)).any()
    piece = np.asarray([0.5, -0.25], np.float32)
    assert normalise_piece(piece).tolist() == [int(32767 * (0.225 + 0.375)), -int(32767 * (0.1125 + 0.1875))]
    loud = np.asarray([2.0, 1.0], np.float32)  # divided by 2, and by 2 again in the levelled share
    assert normalise_piece(loud).tolist() == [int(32767 * (0.1125 + 0.75)), int(32767 * (0.05625 + 0.375))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": 0.2}, "must rise in this order"),
        ({"max_silence": 0.02, "hop": 0.05}, "must not lie below hop"),
        ({"max_length": 2.0}, "must not lie below min_length"),
        ({"treshold": -30}, "did you mean 'threshold'"),
        ({"threshold": 3.0}, "less than or equal to 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SliceOptions.build(options)
