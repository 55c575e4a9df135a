"""Does a program that converts all day grow? Hundreds of short calls of one loaded voice, from two threads at once.

Calls differ in length, seed and options, so that everything a voice remembers between calls is filled and emptied again.
Each voice is measured in a process of its own that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import memory, report, voices
from benchmarks.report import Bar
from benchmarks.sound import DEMO_DATA

if TYPE_CHECKING:
    from sovits.api import LoadedVoice
    from sovits.audio.audio import Audio


class Sizes(NamedTuple):
    """How long to go on: rounds of :data:`THREADS` calls, those after which everything has been filled once, and those
    over which a state is taken."""

    rounds: int
    settled: int
    together: int


FULL, QUICK = Sizes(200, 50, 20), Sizes(12, 4, 2)
THREADS = 2
#: Rounds after which the threads end and new ones begin.
SHIFT = 10
#: How many times the memory after the first rounds may be taken after the last ones.
MOST = 1.2
#: Samples above this would be cut in a file.
_CLIPPED = 0.999
_MIB = 1 << 20

#: What calls say besides length and seed. Engines and trackers are remembered by what a call says about pitch, and here
#: are more choices than are remembered; each is taken for some calls in a row, as loading one takes longer than a call.
_PITCH: tuple[dict[str, Any], ...] = (
    {"method": "dio"},
    {"method": "pm"},
    {"method": "swift"},
    {"method": "dio", "f0_max": 900.0},
    {"method": "swift", "f0_min": 60.0},
    {"method": "swift", "f0_max": 900.0},
)
_IN_A_ROW = 4
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "built-in": ({}, {"transpose": -2.5}, {"transpose": "auto"}, {"timbre": 0.4}, {"sample_rate": 22050}),
    "tiny": (
        {},
        {"transpose": 3.0, "speaker": "two"},
        {"speaker_mix": {"one": 1.0, "three": 2.0}},
        {"loudness_envelope": 0.3, "noise_scale": 1.0},
        {"automatic_f0": True},
        {"clip_seconds": 0.4, "clip_overlap": 0.1, "sample_rate": 16000},
        {"pad_seconds": 0.1, "enhance": True},
    ),
}


class State(NamedTuple):
    """What a process holds: bytes of memory (proportional set size), open files, threads with those of libraries."""

    memory: float
    files: float
    threads: float


@dataclass(frozen=True)
class Endured:
    """What one voice went through.

    Attributes:
        voice: a key of :data:`OPTIONS`.
        calls: how many conversions. ``sound``: seconds that they gave. ``seconds``: wall time.
        first, last: medians over some rounds, after the first ones and at the end.
        most: bytes, the largest memory after any round.
        repeats: how often the first call was made again. ``different``: those that gave other bytes than it.
        loudest: largest magnitude in any result.
    """

    voice: str
    calls: int
    sound: float
    seconds: float
    first: State
    last: State
    most: float
    repeats: int
    different: int
    loudest: float


def measure(sizes: Sizes) -> list[Endured]:
    """Every voice, one after the other."""
    with TemporaryDirectory(prefix="sovits-endurance-") as name:
        return [_in_child(voice, sizes, Path(name)) for voice in OPTIONS]


def _in_child(voice: str, sizes: Sizes, folder: Path) -> Endured:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.endurance", voice, json.dumps(sizes)],
        cwd=report.REPOSITORY,
        env=voices.own_folders(folder),
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    return Endured(**{**found, "first": State(*found["first"]), "last": State(*found["last"])})


def load(name: str, folder: Path) -> Callable[[float, dict[str, Any]], Audio]:
    """Load a voice; what comes converts that many seconds of the sung phrase under the options given.

    Args:
        folder: for the recording that the built-in converter imitates.
    """
    import sovits
    from sovits.audio.io import read

    if name == "built-in":
        shutil.copy(DEMO_DATA / "reference.flac", folder)
    voice: LoadedVoice = sovits.load_voice(folder if name == "built-in" else name, device="cpu", threads=1)
    phrase = read(DEMO_DATA / "vocals.flac", mono=True)
    begin = phrase.sample_rate  # it is sung from there on

    def convert(seconds: float, options: dict[str, Any]) -> Audio:
        return voice.convert(phrase.cut(begin, begin + round(seconds * phrase.sample_rate)), **options)

    return convert


def calls(name: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """Seconds and options of one call after the other; no two calls are alike."""
    golden = (math.sqrt(5) - 1) / 2
    for number in count():
        options = OPTIONS[name][number % len(OPTIONS[name])]
        seconds = 0.4 + 1.6 * (number * golden % 1)
        yield seconds, {**options, "pitch": _PITCH[number // _IN_A_ROW % len(_PITCH)], "seed": number}


def endure(name: str, sizes: Sizes, folder: Path) -> Endured:
    """What :func:`measure` has done in a child process."""
    convert = load(name, folder)
    begun = time.perf_counter()
    wanted = convert(*next(calls(name)))
    results, states, same = [], [], []
    coming = calls(name)
    for first in range(0, sizes.rounds, SHIFT):
        with ThreadPoolExecutor(THREADS) as threads:
            for _ in range(first, min(first + SHIFT, sizes.rounds)):
                given = list(islice(coming, THREADS))
                for made in threads.map(lambda call: convert(*call), given):
                    results.append((made.length / made.sample_rate, float(abs(made.samples).max())))
                states.append(state())
            same.append(
                threads.submit(convert, *next(calls(name))).result().samples.tobytes() == wanted.samples.tobytes()
            )
    return Endured(
        name,
        len(results),
        sum(seconds for seconds, _ in results),
        time.perf_counter() - begun,
        typical(states[sizes.settled : sizes.settled + sizes.together]),
        typical(states[-sizes.together :]),
        max(one.memory for one in states),
        len(same),
        same.count(False),
        max(peak for _, peak in results),
    )


def state() -> State:
    """What this process holds now."""
    files, threads = (len(list(Path("/proc/self", kind).iterdir())) for kind in ("fd", "task"))
    return State(memory.held(os.getpid()), files, threads)


def typical(states: list[State]) -> State:
    """The median of each."""
    return State(*map(statistics.median, zip(*states, strict=True)))


def bars(found: list[Endured], *, full: bool = True) -> list[Bar]:
    """What has to hold for every voice.

    Args:
        full: whether memory is held to its bar; a few rounds do not fill what is kept.
    """
    made = [
        Bar("calls that gave other bytes for the same seed", sum(one.different for one in found), "<=", 0, ".0f"),
        Bar("largest sample of the results", max(one.loudest for one in found), "<=", _CLIPPED, ".4f"),
    ]
    for one in found:
        files, threads = one.last.files - one.first.files, one.last.threads - one.first.threads
        made.append(Bar(f"{one.voice}: more open files at the end", files, "<=", 0, ".0f"))
        made.append(Bar(f"{one.voice}: more threads at the end", threads, "<=", 0, ".0f"))
        if full:
            growth = one.last.memory / one.first.memory
            made.append(Bar(f"{one.voice}: memory at the end over that after the first rounds", growth, "<=", MOST))
    return made


def table(found: list[Endured]) -> str:
    """The figures as Markdown."""
    columns = ["voice", "calls", "sound", "wall time", "memory (PSS), first", "last", "most", "open files", "threads"]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for one in found:
        sizes = " | ".join(f"{size / _MIB:.0f} MiB" for size in (one.first.memory, one.last.memory, one.most))
        lines.append(
            f"| {one.voice} | {one.calls} | {one.sound:.0f} s | {one.seconds:.0f} s | {sizes} |"
            f" {one.first.files:g}, {one.last.files:g} | {one.first.threads:g}, {one.last.threads:g} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print what one voice went through as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("voice", choices=OPTIONS)
    parser.add_argument("sizes", type=json.loads, help="rounds, rounds to settle, rounds taken together: [300, 50, 20]")
    given = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="sovits-endurance-") as folder:
        print(json.dumps(asdict(endure(given.voice, Sizes(*given.sizes), Path(folder)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
