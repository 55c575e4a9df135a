"""Does memory grow with the recording? Conversions of a short and a long one through the real command.

The recordings are the shipped sung phrase repeated, each time at another level, and streamed to disk as FLAC. The
command runs in a process of its own; the memory of its whole tree is watched (:mod:`benchmarks.memory`), and how its
result grows on disk.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import memory, voices
from benchmarks.memory import Usage
from benchmarks.report import Bar
from benchmarks.sound import DEMO_DATA, recording
from sovits.audio.io import open_source

#: How many times the memory of the short recording the long one may take.
MOST = 1.3
#: The largest share of the long result that may appear on disk at once.
STEP = 0.05
#: Samples above this were cut by the writer, or nearly so.
CLIPPED = 0.999
#: How alike the levels of source and result have to be, half second by half second (correlation).
ALIKE = 0.9
_MIB = 1 << 20
#: Seconds over which levels are taken.
_GRAIN = 0.5
#: A trained voice sings on for 5 s at the end of a pause and is silent before that; that many grains, and one to spare.
_SUNG_ON = 12

#: Threads of a net that wait for each other do not spin: processor time is that of the work, on a busy machine too.
_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}

Levels = npt.NDArray[np.float64]


def _nothing(folder: Path) -> None:
    """What a case prepares that comes with sovits."""


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        flags: of ``sovits convert``.
        full: seconds of the short and the long recording; ``quick``: for a quick look whether all this works.
        pauses: whether the recordings have pauses; then the result has to be silent there, and nowhere else.
        follows: whether the level of the result is that of the source all along.
        interval: seconds between two looks at the process tree.
        prepare: makes what the flags speak of, in the folders of :func:`benchmarks.voices.own_folders`.
    """

    flags: tuple[str, ...]
    full: tuple[float, ...] = (300.0, 7200.0)
    quick: tuple[float, ...] = (30.0, 180.0)
    pauses: bool = True
    follows: bool = True
    interval: float = 1.0
    prepare: Callable[[Path], None] = _nothing


#: By the name of the benchmark. The tiny voice takes the loudness of the source, so that its result tells in what order
#: it was made; that of full size stays with the default options, and its pauses tell.
CASES = {
    "scale": Case(("--reference", str(DEMO_DATA / "reference.flac")), pauses=False, interval=memory.INTERVAL),
    "scale-tiny": Case(("--voice", "tiny", "--loudness-envelope", "0"), quick=(30.0, 90.0)),
    "scale-full": Case(
        ("--voice", voices.NAME), (120.0, 1200.0), (20.0, 40.0), follows=False, prepare=voices.add_full_size
    ),
}


class Heard(NamedTuple):
    """A sound file: samples, largest magnitude, root of the mean square, and that of every half second."""

    samples: int
    loudest: float
    level: float
    levels: Levels


@dataclass
class Growth:
    """How a file grows until it is complete; look at it again and again.

    Attributes:
        folder, name: where it will be; it is written beside under a hidden name.
        sizes: seconds since the beginning and bytes, where the size was another one than before.
    """

    folder: Path
    name: str
    begun: float = field(default_factory=time.perf_counter)
    sizes: list[tuple[float, int]] = field(default_factory=list)

    def __call__(self) -> None:
        """Look."""
        for path in self.folder.glob(f".{Path(self.name).stem}.*"):
            try:
                size = path.stat().st_size
            except FileNotFoundError:  # it is complete and has its own name
                return
            if size and (not self.sizes or size != self.sizes[-1][1]):
                self.sizes.append((time.perf_counter() - self.begun, size))

    @property
    def first(self) -> float:
        """Seconds until something was there; not a number if the file came as a whole."""
        return self.sizes[0][0] if self.sizes else math.nan

    def step(self) -> float:
        """The largest share of the complete file that came at once."""
        whole = (self.folder / self.name).stat().st_size
        sizes = [0, *(size for _, size in self.sizes), whole]
        return max(later - earlier for earlier, later in pairwise(sizes)) / whole


@dataclass(frozen=True)
class Run:
    """One conversion.

    Attributes:
        seconds: length of the recording.
        samples: samples of the recording; ``converted``: of the result.
        loudest: largest magnitude in the result.
        level: root of the mean square of the result.
        alike: correlation of the levels of source and result.
        paused: half seconds of the source in which a trained voice has to be silent; ``strays``: those in which it is
            not, or is silent where the source is loud.
        first: seconds until the first sound was on disk; ``step``: the largest share of the result that came at once.
        usage: memory and time of the command.
    """

    seconds: float
    samples: int
    converted: int
    loudest: float
    level: float
    alike: float
    paused: int
    strays: int
    first: float
    step: float
    usage: Usage

    @property
    def real_time_factor(self) -> float:
        """Wall time over length of the recording, start-up included."""
        return self.usage.seconds / self.seconds


def convert(case: Case, seconds: float, folder: Path) -> Run:
    """Make a recording in ``folder``, convert it with ``sovits convert`` and look at the result."""
    source, result = folder / f"source-{seconds:g}.flac", folder / f"result-{seconds:g}.flac"
    samples = recording(source, seconds, pauses=case.pauses)
    command: list[str | Path] = [sys.executable, "-m", "sovits", "convert", source, result, *case.flags]
    growth = Growth(folder, result.name)
    env = {**voices.own_folders(folder), **_PATIENT}
    usage = memory.run(command, env=env, interval=case.interval, look=growth)
    given, made = listen(source), listen(result)
    step = growth.step()
    source.unlink()
    result.unlink()
    return Run(
        seconds,
        samples,
        made.samples,
        made.loudest,
        made.level,
        alike(given.levels, made.levels),
        int(pauses(given.levels).sum()),
        strays(given.levels, made.levels),
        growth.first,
        step,
        usage,
    )


def listen(path: Path) -> Heard:
    """Walk through a sound file."""
    samples, loudest, levels, energy = 0, 0.0, [], 0.0
    for block in open_source(path).blocks(_GRAIN):
        power = np.square(block.samples, dtype=np.float64).mean(axis=0)
        samples += block.length
        loudest = max(loudest, float(np.abs(block.samples).max()))
        energy += float(power.sum())
        levels.append(math.sqrt(power.mean()))
    return Heard(samples, loudest, math.sqrt(energy / max(samples, 1)), np.array(levels))


def alike(source: Levels, result: Levels) -> float:
    """Correlation of two courses of levels; the end that one of them lacks does not count."""
    count = min(len(source), len(result))
    return float(np.corrcoef(source[:count], result[:count])[0, 1])


def pauses(source: Levels) -> npt.NDArray[np.bool_]:
    """The half seconds in which a trained voice has to be silent: inside of a pause, well before its end."""
    silent = np.pad(source == 0, (1, _SUNG_ON))
    width = _SUNG_ON + 2
    return np.array([silent[at : at + width - 1].all() for at in range(len(source))], bool)


def strays(source: Levels, result: Levels) -> int:
    """The half seconds of the result that sound in a pause of the source, or are silent where it is loud."""
    count = min(len(source), len(result))
    loud = np.lib.stride_tricks.sliding_window_view(np.pad(source, 1), 3).min(axis=1) > 0.01
    wrong = (pauses(source)[:count] & (result[:count] > 1e-4)) | (loud[:count] & (result[:count] < 1e-3))
    return int(wrong.sum())


def measure(case: Case, lengths: tuple[float, ...]) -> list[Run]:
    """One conversion for each length in seconds, one after the other."""
    with tempfile.TemporaryDirectory(prefix="sovits-scale-") as name:
        folder = Path(name)
        case.prepare(folder)
        return [convert(case, seconds, folder) for seconds in lengths]


def bars(case: Case, runs: list[Run], *, hours: bool = True) -> list[Bar]:
    """What has to hold for every run, and between the first and the last one.

    Args:
        hours: whether memory and growth are held to their bars. That makes sense from some minutes on: half a minute
            does not yet fill what a converter keeps of any recording, and comes in few pieces.
    """
    short, long = runs[0].usage, runs[-1].usage
    names = f"{words(runs[-1].seconds)} over {words(runs[0].seconds)}"
    wrong = sum(abs(one.converted - one.samples) for one in runs)
    found = [
        Bar("samples too many or too few in the results", wrong, "<=", 0, ".0f"),
        Bar("largest sample of the results", max(one.loudest for one in runs), "<=", CLIPPED, ".4f"),
        Bar("level of the quietest result (RMS, full scale 1)", min(one.level for one in runs), ">=", 0.01, ".4f"),
    ]
    if case.follows:
        least = min(one.alike for one in runs)
        found.append(Bar("levels of source and result, by half seconds (correlation)", least, ">=", ALIKE))
    if case.pauses:
        most = sum(one.strays for one in runs)
        found.append(Bar("half seconds with sound in a pause, or silent in between", most, "<=", 0, ".0f"))
    if hours:
        found += [
            Bar(f"peak memory of the process tree, {names}", long.peak / short.peak, "<=", MOST),
            Bar(f"the same in the last quarter of the time, {names}", long.late / short.late, "<=", MOST),
            Bar(f"the kernel's high-water marks, {names}", long.high_water / short.high_water, "<=", MOST),
            Bar(f"largest share of the result that came at once, {words(runs[-1].seconds)}", runs[-1].step, "<=", STEP),
        ]
    return found


def table(runs: list[Run]) -> str:
    """The runs as Markdown."""
    columns = ["recording", "samples in", "samples out", "half seconds of pause", "peak memory (PSS)", "last quarter"]
    columns += ["high-water marks", "processes", "first sound on disk", "wall time", "processor time"]
    columns += ["real-time factor"]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for one in runs:
        use = one.usage
        sizes = " | ".join(f"{size / _MIB:.0f} MiB" for size in (use.peak, use.late, use.high_water))
        lines.append(
            f"| {words(one.seconds)} | {one.samples} | {one.converted} | {one.paused} | {sizes} | {use.processes} |"
            f" {one.first:.0f} s | {use.seconds:.0f} s | {use.cpu_seconds:.0f} s | {one.real_time_factor:.3f} |"
        )
    return "\n".join(lines)


def words(seconds: float) -> str:
    """``7200`` as ``2 h``, ``300`` as ``5 min``, ``30`` as ``30 s``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
