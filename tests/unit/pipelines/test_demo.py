"""``sovits demo`` from end to end, with the real engine, tracker and encoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sovits.audio.io import probe, read
from sovits.core.errors import CancelledError
from sovits.core.progress import Cancel
from sovits.features.pitch.contour import Contour
from sovits.pipelines.demo import DemoResult, log_f0_correlation, recording, run_demo

NAMES = ["reference.wav", "result.mp3", "result.png", "result.wav", "source.wav"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoResult]:
    folder = tmp_path_factory.mktemp("demo with 空 spaces")
    return folder, run_demo(folder)


def test_leaves_exactly_its_files(demo: tuple[Path, DemoResult]) -> None:
    folder, result = demo
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert {result.source, result.reference, result.wav, result.mp3, result.picture} == set(folder.iterdir())
    assert result.picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_source_is_the_shipped_recording(demo: tuple[Path, DemoResult]) -> None:
    with recording("vocals") as path:
        shipped = read(path)
    assert np.array_equal(read(demo[1].source).samples, shipped.samples)


def test_result_is_another_voice_on_the_same_melody(demo: tuple[Path, DemoResult]) -> None:
    result = demo[1]
    source, converted = read(result.source), read(result.wav)
    assert (converted.length, converted.sample_rate) == (source.length, source.sample_rate)
    assert result.f0_correlation >= 0.98
    assert 0.5 < result.median_shift < 8.0
    assert 0.05 < np.abs(converted.samples).max() <= 1.0
    assert np.abs(converted.mono() - source.mono()).max() > 0.05
    assert probe(result.mp3).duration == pytest.approx(source.duration, abs=0.1)


def test_report_names_figures_and_files(demo: tuple[Path, DemoResult]) -> None:
    result = demo[1]
    text = "\n".join(result.lines())
    assert f"{result.duration:.2f} s" in text
    assert result.real_time_factor == result.elapsed / result.duration
    for figure in (f"{result.real_time_factor:.3f}", f"{result.f0_correlation:.4f}"):
        assert figure in text
    for path in (result.source, result.reference, result.wav, result.mp3, result.picture):
        assert str(path) in text


def test_cancelled_demo_leaves_no_result(tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(CancelledError):
        run_demo(tmp_path / "out", cancel=cancel)
    assert not list((tmp_path / "out").glob("result*"))


def contour(hz: list[float]) -> Contour:
    values = np.array(hz)
    return Contour(values, values > 0, 441, 44100)


def test_correlation_counts_frames_voiced_in_both() -> None:
    first = contour([0.0, 100.0, 200.0, 300.0, 400.0])
    assert log_f0_correlation(first, contour([500.0, 200.0, 400.0, 600.0, 0.0])) == pytest.approx(1.0)
    assert log_f0_correlation(first, contour([0.0, 400.0, 200.0, 400.0 / 3, 100.0])) == pytest.approx(-1.0)
    assert np.isnan(log_f0_correlation(first, contour([100.0, 0.0, 0.0, 0.0, 0.0])))
