"""Resampling against sounds whose answers can be calculated."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from sovits.audio import resample as module
from sovits.audio.resample import (
    StreamResampler,
    resample,
    resampled_length,
    sinc_kernel,
    sinc_resample,
    soxr_hq_librosa,
)
from sovits.core.errors import AudioError

Resampler = Callable[[np.ndarray, int, int], np.ndarray]

ALL: dict[str, Resampler] = {
    "soxr": resample,
    "librosa": soxr_hq_librosa,
    "sinc6": sinc_resample,
    "sinc128": partial(sinc_resample, width=128),
    "functional": partial(sinc_resample, kernel="functional"),
}
PAIRS = [(44100, 16000), (48000, 44100), (16000, 44100), (96000, 48000), (8000, 192000)]


def tone(frequency: float, rate: int, seconds: float = 0.6) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate).astype(np.float32)


def inner_rms(samples: np.ndarray) -> float:
    quarter = len(samples) // 4
    return float(np.sqrt(np.mean(np.square(samples[quarter:-quarter], dtype=np.float64))))


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize(
    ("name", "place", "error"),
    [("soxr", 0.1, 1e-6), ("soxr", 0.9, 1.5e-3), ("librosa", 0.9, 1.5e-3), ("sinc6", 0.1, 3e-4), ("sinc6", 0.5, 4e-3),
     ("functional", 0.1, 3e-4), ("sinc128", 0.9, 1e-4)],
)  # fmt: skip
def test_a_tone_below_the_cutoff_passes(source: int, target: int, name: str, place: float, error: float) -> None:
    frequency = place * min(source, target) / 2
    got = ALL[name](tone(frequency, source), source, target)
    wanted = tone(frequency, target)
    assert inner_rms(got - wanted) < error * inner_rms(wanted)


@pytest.mark.parametrize(("source", "target"), [(44100, 16000), (96000, 48000)])
@pytest.mark.parametrize(
    ("name", "place", "left"),
    [("soxr", 1.02, 1e-6), ("librosa", 1.02, 1e-6), ("sinc6", 1.6, 3e-3), ("sinc128", 1.05, 1e-3)],
)
def test_a_tone_above_the_cutoff_vanishes(source: int, target: int, name: str, place: float, left: float) -> None:
    heard = tone(place * min(source, target) / 2, source)
    assert inner_rms(ALL[name](heard, source, target)) < left * inner_rms(heard)


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("name", ALL)
def test_a_click_keeps_its_place(name: str, source: int, target: int) -> None:
    click = np.zeros(source, np.float32)
    click[source // 4] = 1.0
    assert int(np.argmax(np.abs(ALL[name](click, source, target)))) == target // 4


@pytest.mark.parametrize(("source", "target"), [*PAIRS, (8000, 7993), (44100, 44100)])
@pytest.mark.parametrize("length", [0, 1, 2, 7, 441, 50001])
@pytest.mark.parametrize("name", ALL)
def test_length_is_the_stated_one(name: str, source: int, target: int, length: int) -> None:
    got = ALL[name](np.ones(length, np.float32), source, target)
    assert got.shape == (-(-length * target // source),) == (resampled_length(length, source, target),)
    assert got.dtype == np.float32


@pytest.mark.parametrize("name", ALL)
def test_leading_axes_are_kept_and_rows_do_not_mix(name: str) -> None:
    rows = np.random.default_rng(1).standard_normal((2, 3, 900)).astype(np.float32)
    got = ALL[name](rows, 48000, 32000)
    assert got.shape == (2, 3, 600)
    np.testing.assert_allclose(got[1, 2], ALL[name](rows[1, 2], 48000, 32000), atol=1e-6)


def test_the_last_sample_continues_the_signal() -> None:
    constant = np.ones(1000, np.float32)
    assert soxr_hq_librosa(constant, 16000, 44100)[-1] == 0.0  # as librosa pads
    assert resample(constant, 16000, 44100)[-1] > 0.05


def test_the_sparse_filter_equals_its_formula() -> None:
    """44100 to 44099 Hz: the full matrix would take 8 GB."""
    signal = np.random.default_rng(2).standard_normal(60000).astype(np.float32)
    got = sinc_resample(signal, 44100, 44099)
    for place in (0, 1, 30000, 44098, 44099, 59000, len(got) - 1):
        t = 0.99 * 44099 * (np.arange(60000) / 44100 - place / 44099)
        t = np.clip(t, -6, 6)
        kernel = np.sinc(t) * np.cos(np.pi * t / 12) ** 2 * (0.99 * 44099 / 44100)
        assert got[place] == pytest.approx(float(kernel @ signal), abs=5e-3)  # phases are rounded to float32


@pytest.mark.parametrize(("source", "target"), [(44100, 16000), (16000, 44100), (48000, 44100)])
def test_blocks_of_work_leave_no_trace(source: int, target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    signal = np.random.default_rng(3).standard_normal(9001).astype(np.float32)
    whole = sinc_resample(signal, source, target)
    dense = module._BLOCK
    monkeypatch.setattr(module, "_BLOCK", 80000)
    np.testing.assert_allclose(sinc_resample(signal, source, target), whole, atol=1e-6)
    monkeypatch.setattr(module, "_BLOCK", 600)  # the filters do not fit, so the sparse way is taken
    np.testing.assert_allclose(sinc_resample(signal, source, target), whole, atol=1e-6)
    assert dense > 600


def test_memory_is_bounded() -> None:
    signal = np.zeros(16000 * 300, np.float32)
    sinc_resample(signal[:1000], 16000, 44100)
    tracemalloc.start()
    result = sinc_resample(signal, 16000, 44100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - result.nbytes < 30e6


def test_filters_are_shared_but_not_writable() -> None:
    kernel = sinc_kernel(3, 2, 6, "transforms")
    assert kernel is sinc_kernel(3, 2, 6, "transforms")
    with pytest.raises(ValueError):
        kernel[0, 0] = 1.0
    assert sinc_kernel.cache_info().maxsize == 8


@pytest.mark.parametrize("name", ALL)
def test_bad_input_is_refused(name: str) -> None:
    with pytest.raises(AudioError, match="must be positive, got 0 and 16000"):
        ALL[name](np.zeros(4, np.float32), 0, 16000)
    with pytest.raises(AudioError, match="single number"):
        ALL[name](np.float32(1), 8000, 16000)


def test_a_stream_refuses_blocks_of_another_shape() -> None:
    stream = StreamResampler(44100, 16000, 2)
    with pytest.raises(AudioError, match="2 channels"):
        stream.push(np.zeros((1, 10), np.float32))
