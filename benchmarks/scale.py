"""Does memory grow with the recording? The built-in conversion of a short and a long one through the real command.

The recordings are the shipped sung phrase repeated, each time at another level, and streamed to disk as FLAC. The
command runs in a process of its own; the memory of its whole tree is watched (:mod:`benchmarks.memory`).
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.memory import Usage, run
from benchmarks.report import Bar
from benchmarks.sound import DEMO_DATA, recording
from sovits.audio.io import open_source

#: Seconds of the short and the long recording; the second pair is for a quick look whether all this works.
FULL, QUICK = (300.0, 7200.0), (30.0, 180.0)
#: How many times the memory of the short recording the long one may take.
MOST = 1.3
_MIB = 1 << 20


@dataclass(frozen=True)
class Run:
    """One conversion.

    Attributes:
        seconds: length of the recording.
        samples: samples of the recording; ``converted``: of the result.
        loudest: largest magnitude in the result.
        level: root of the mean square of the result.
        usage: memory and time of the command.
    """

    seconds: float
    samples: int
    converted: int
    loudest: float
    level: float
    usage: Usage

    @property
    def real_time_factor(self) -> float:
        """Wall time over length of the recording, start-up included."""
        return self.usage.seconds / self.seconds


def convert(seconds: float, folder: Path) -> Run:
    """Make a recording in ``folder``, convert it with ``sovits convert`` and look at the result."""
    source, result = folder / f"source-{seconds:g}.flac", folder / f"result-{seconds:g}.flac"
    samples = recording(source, seconds)
    command: list[str | Path] = [sys.executable, "-m", "sovits", "convert", source, result]
    command += ["--reference", DEMO_DATA / "reference.flac"]
    # A home of its own, so that no configuration of the user has a say.
    usage = run(command, env={**os.environ, "SOVITS_HOME": str(folder / "home")})
    converted, loudest, energy = 0, 0.0, 0.0
    for block in open_source(result).blocks(10.0):
        converted += block.length
        loudest = max(loudest, float(np.abs(block.samples).max()))
        energy += float(np.square(block.samples, dtype=np.float64).mean(axis=0).sum())
    source.unlink()
    result.unlink()
    return Run(seconds, samples, converted, loudest, math.sqrt(energy / max(converted, 1)), usage)


def measure(lengths: tuple[float, ...] = FULL) -> list[Run]:
    """One conversion for each length in seconds, one after the other."""
    with tempfile.TemporaryDirectory(prefix="sovits-scale-") as folder:
        return [convert(seconds, Path(folder)) for seconds in lengths]


def bars(runs: list[Run], *, memory: bool = True) -> list[Bar]:
    """What has to hold between the first and the last run.

    Args:
        memory: whether memory is held to its bar. That makes sense from some minutes on: a recording of half a minute
            does not yet fill what the converter keeps of any recording.
    """
    short, long = runs[0].usage, runs[-1].usage
    names = f"{words(runs[-1].seconds)} over {words(runs[0].seconds)}"
    wrong = sum(abs(one.converted - one.samples) for one in runs)
    found = [
        Bar("samples too many or too few in the results", wrong, "<=", 0, ".0f"),
        Bar("largest sample of the results", max(one.loudest for one in runs), "<=", 1, ".4f"),
        Bar("level of the quietest result (RMS, full scale 1)", min(one.level for one in runs), ">=", 0.01, ".4f"),
    ]
    if memory:
        found += [
            Bar(f"peak memory of the process tree, {names}", long.peak / short.peak, "<=", MOST),
            Bar(f"the kernel's high-water marks, {names}", long.high_water / short.high_water, "<=", MOST),
        ]
    return found


def table(runs: list[Run]) -> str:
    """The runs as Markdown."""
    columns = ["recording", "samples in", "samples out", "peak memory (PSS)", "high-water marks", "processes"]
    columns += ["wall time", "processor time", "real-time factor"]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for one in runs:
        use = one.usage
        lines.append(
            f"| {words(one.seconds)} | {one.samples} | {one.converted} | {use.peak / _MIB:.0f} MiB |"
            f" {use.high_water / _MIB:.0f} MiB | {use.processes} | {use.seconds:.0f} s | {use.cpu_seconds:.0f} s |"
            f" {one.real_time_factor:.3f} |"
        )
    return "\n".join(lines)


def words(seconds: float) -> str:
    """``7200`` as ``2 h``, ``300`` as ``5 min``, ``30`` as ``30 s``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
