"""The demo: the recordings shipped with sovits, converted by the built-in engine, with a picture of what happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np

from sovits.audio.audio import Audio
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.core.rng import SeededNoise
from sovits.features.pitch.contour import Contour, Hz, PitchPredictor
from sovits.options.convert import ConvertOptions
from sovits.zoo.voice import Voice

Recording = Literal["vocals", "accompaniment", "reference"]

_HOP_SECONDS = 0.01


@dataclass(frozen=True)
class DemoResult:
    """What the demo did.

    Attributes:
        source, reference, wav, mp3, picture: the files it left.
        duration: of the result, in seconds.
        elapsed: wall time of the conversion alone, in seconds.
        f0_correlation: see :func:`log_f0_correlation`.
        median_shift: by how many semitones the result lies above the source (median of the frames voiced in both).
    """

    source: Path
    reference: Path
    wav: Path
    mp3: Path
    picture: Path
    duration: float
    elapsed: float
    f0_correlation: float
    median_shift: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for one second of sound; below 1 is faster than the recording plays."""
        return self.elapsed / self.duration

    def lines(self) -> list[str]:
        """The report for people."""
        pitch = f"log F0 of source and result, {self.median_shift:+.1f} semitones"
        return [
            f"duration          {self.duration:.2f} s",
            f"real-time factor  {self.real_time_factor:.3f} (converted in {self.elapsed:.2f} s)",
            f"F0 correlation    {self.f0_correlation:.4f} ({pitch})",
            f"source            {self.source}",
            f"target voice      {self.reference}",
            f"result            {self.wav}",
            f"                  {self.mp3}",
            f"picture           {self.picture}",
        ]


@contextmanager
def recording(name: Recording) -> Iterator[Path]:
    """The path of a recording that is shipped with the package, for as long as the block lasts."""
    with resources.as_file(resources.files("sovits") / "demo_data" / f"{name}.flac") as path:
        yield path


def run_demo(output: Path, *, progress: Progress = SILENT, cancel: Cancel | None = None) -> DemoResult:
    """Convert the shipped phrase into the shipped target voice.

    Leaves ``source.wav``, ``reference.wav``, ``result.wav``, ``result.mp3`` and ``result.png`` in ``output``; files of
    an earlier run are replaced.

    Raises:
        OutputError: the folder or a file cannot be written.
        CancelledError: ``cancel`` was raised; files already complete stay.
    """
    from sovits.audio.encode import write
    from sovits.engines.world import WorldEngine
    from sovits.pipelines.pictures import conversion_picture
    from sovits.zoo.tables import pitch_predictor

    cancel = cancel or Cancel()
    source_path, reference_path = output / "source.wav", output / "reference.wav"
    source = _copy("vocals", source_path)
    _copy("reference", reference_path)
    cancel.check()
    options = ConvertOptions()
    predictor = pitch_predictor(options.pitch)
    begun = time.perf_counter()
    result = WorldEngine(predictor).convert(
        source, Voice("demo", (reference_path,)), options, SeededNoise(options.seed), progress=progress, cancel=cancel
    )
    elapsed = time.perf_counter() - begun
    wav, mp3, picture = output / "result.wav", output / "result.mp3", output / "result.png"
    with progress.stage("writing", 3, "files") as stage:
        for path in (wav, mp3):
            cancel.check()
            write(path, result)
            stage.advance()
        cancel.check()
        before, after = _track(predictor, source), _track(predictor, result)
        title = "sovits demo: a synthetic singer converted into another synthetic voice"
        conversion_picture(picture, source, result, before, after, title)
        stage.advance()
    return DemoResult(
        source_path,
        reference_path,
        wav,
        mp3,
        picture,
        result.duration,
        elapsed,
        log_f0_correlation(before, after),
        _median_shift(before, after),
    )


def log_f0_correlation(first: Contour, second: Contour) -> float:
    """Pearson's correlation of log F0 over the frames that are voiced in both; NaN where there are fewer than two."""
    one, other = _common(first, second)
    if len(one) < 2 or one.std() == 0.0 or other.std() == 0.0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _median_shift(first: Contour, second: Contour) -> float:
    one, other = _common(first, second)
    return float(12.0 * np.median(other - one)) if len(one) else float("nan")


def _common(first: Contour, second: Contour) -> tuple[Hz, Hz]:
    """Log2 of F0 of both over the frames voiced in both; contours of one hop in seconds."""
    count = min(len(first), len(second))
    both = first.voiced[:count] & second.voiced[:count]
    return np.log2(first.hz[:count][both]), np.log2(second.hz[:count][both])


def _copy(name: Recording, target: Path) -> Audio:
    from sovits.audio.encode import write
    from sovits.audio.io import read

    with recording(name) as path:
        audio = read(path)
    write(target, audio)
    return audio


def _track(predictor: PitchPredictor, audio: Audio) -> Contour:
    return predictor.track(audio.mono(), audio.sample_rate, round(_HOP_SECONDS * audio.sample_rate))
