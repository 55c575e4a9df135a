"""Chunked equals whole: however a signal is cut into blocks, the audio layer gives the same result."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovits.audio.audio import Audio, MemorySource
from sovits.audio.framing import FrameRms, frame_rms
from sovits.audio.levels import LoudnessMeter, TruePeakMeter
from sovits.audio.limiter import Limiter
from sovits.audio.overlap import CrossfadeJoiner, overlapping
from sovits.audio.resample import StreamResampler, resample, resampled_length
from sovits.audio.slicing import slice_audio
from sovits.options.slicing import SliceOptions

SIGNAL = np.random.default_rng(0).standard_normal((2, 20000)).astype(np.float32) * np.float32(0.1)
CUTS = st.lists(st.integers(0, SIGNAL.shape[1]), max_size=12)
RATES = st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000])


def blocks(signal: np.ndarray, cuts: list[int]) -> Iterator[np.ndarray]:
    edges = [0, *sorted(min(cut, signal.shape[1]) for cut in cuts), signal.shape[1]]
    for start, stop in itertools.pairwise(edges):
        yield signal[:, start:stop]


@settings(max_examples=60, deadline=None)
@given(cuts=CUTS, source=RATES, target=RATES, length=st.integers(0, SIGNAL.shape[1]))
def test_resampling(cuts: list[int], source: int, target: int, length: int) -> None:
    signal = SIGNAL[:, :length]
    stream = StreamResampler(source, target, 2)
    joined = np.concatenate([*(stream.push(block) for block in blocks(signal, cuts)), stream.finish()], axis=1)
    assert joined.shape == (2, resampled_length(length, source, target))
    np.testing.assert_allclose(joined, resample(signal, source, target), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(cuts=CUTS, window=st.integers(1, 3000), hop=st.integers(1, 4000), length=st.integers(0, SIGNAL.shape[1]))
def test_frame_rms(cuts: list[int], window: int, hop: int, length: int) -> None:
    signal = SIGNAL[:1, :length]
    meter = FrameRms(window, max(hop, window // 30))
    joined = np.concatenate([*(meter.push(block[0]) for block in blocks(signal, cuts)), meter.finish()])
    np.testing.assert_array_equal(joined, frame_rms(signal[0], window, max(hop, window // 30)))


@settings(max_examples=25, deadline=None)
@given(cuts=CUTS)
def test_meters(cuts: list[int]) -> None:
    loudness, one_loudness = LoudnessMeter(16000, 2), LoudnessMeter(16000, 2)
    true_peak, one_true_peak = TruePeakMeter(16000, 2), TruePeakMeter(16000, 2)
    for block in blocks(SIGNAL, cuts):
        loudness.push(block)
        true_peak.push(block)
    one_loudness.push(SIGNAL)
    one_true_peak.push(SIGNAL)
    assert loudness.integrated() == pytest.approx(one_loudness.integrated(), abs=1e-9)
    assert true_peak.finish() == pytest.approx(one_true_peak.finish(), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(cuts=CUTS, scale=st.floats(1, 50), length=st.integers(0, SIGNAL.shape[1]))
def test_limiting(cuts: list[int], scale: float, length: int) -> None:
    signal = SIGNAL[:, :length] * np.float32(scale)
    limiter, whole = Limiter(16000, 2), Limiter(16000, 2)
    joined = np.concatenate([*(limiter.push(block) for block in blocks(signal, cuts)), limiter.finish()], axis=1)
    np.testing.assert_allclose(joined, np.concatenate([whole.push(signal), whole.finish()], axis=1), atol=1e-6)


@settings(max_examples=80, deadline=None)
@given(cuts=CUTS, size=st.integers(1, 6000), share=st.floats(0, 0.99), length=st.integers(0, SIGNAL.shape[1]))
def test_cutting_and_joining_gives_the_sound_back(cuts: list[int], size: int, share: float, length: int) -> None:
    size = max(size, length // 60 + 1)
    overlap = min(int(size * share), size - size // 20 - 1)
    signal = SIGNAL[:, :length]
    joiner = CrossfadeJoiner(overlap)
    pieces = list(overlapping(blocks(signal, cuts), size, overlap))
    assert all(piece.shape[1] == size for piece in pieces[:-1])
    assert all(piece.shape[1] > overlap for piece in pieces[1:])
    parts = [joiner.push(piece) for piece in pieces]
    joined = np.concatenate([*parts, joiner.finish()], axis=1) if pieces else signal
    np.testing.assert_allclose(joined, signal, atol=1e-6)
    if overlap == 0:
        np.testing.assert_array_equal(joined, signal)


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_slices_do_not_depend_on_the_source(channels: int) -> None:
    rng = np.random.default_rng(5)
    sound = rng.standard_normal((channels, 16000 * 9)).astype(np.float32) * np.float32(0.1)
    for start in (3.0, 6.2):
        sound[:, int(start * 16000) : int((start + 0.8) * 16000)] *= 1e-4
    whole = slice_audio(MemorySource(Audio(sound, 16000)), SliceOptions(min_length=1.0))

    class Crumbs(MemorySource):
        def blocks(self, seconds: float) -> Iterator[Audio]:
            return super().blocks(0.0371)

    assert slice_audio(Crumbs(Audio(sound, 16000)), SliceOptions(min_length=1.0)) == whole
    assert len(whole) == 3 + 2
