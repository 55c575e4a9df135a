"""Throughput of the pitch trackers whose weights are on this machine: one thread, sung sound at 44.1 kHz, hop 512.

Measured in a process of its own that is started with one thread for every numeric library. Each round times every
tracker once, one after the other, so that a busy machine weighs on all alike; the table gives medians over the rounds.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sound import phrases
from sovits.audio.audio import concatenate
from sovits.core.device import Compute
from sovits.core.errors import MissingDependencyError, MissingWeightsError
from sovits.core.hashing import file_hash
from sovits.features.pitch.contour import PitchPredictor
from sovits.options.pitch import PitchOptions
from sovits.settings import Settings
from sovits.zoo.tables import PITCH, pitch_predictor
from sovits.zoo.weights import locate

HOP = 512
#: What the others are compared with.
YARDSTICK = "dio"
#: Seconds of sound and number of rounds; the second pair is for a quick look.
FULL, QUICK = (20.0, 5), (5.0, 2)
#: A weight file below this size is a stand-in of some test, not an official one: the smallest of those has 10 MB.
STAND_IN_BYTES = 1 << 20
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Row:
    """One tracker.

    Attributes:
        name: as users choose it.
        weights: name, size and hash of its weight file; empty if it needs none.
        missing: why there are no figures; empty if there are.
        wall, cpu: seconds of wall and processor time for one second of sound, medians.
        relative: processor time over that of the yardstick in the same round, median.
    """

    name: str
    weights: str = ""
    missing: str = ""
    wall: float = 0.0
    cpu: float = 0.0
    relative: float = 0.0


def measure(seconds: float, rounds: int) -> list[Row]:
    """All trackers, in the order of the table, in a process with one thread."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pitch", str(seconds), str(rounds)],
        cwd=Path(__file__).resolve().parent.parent,
        env={**os.environ, **dict.fromkeys(_THREADS, "1")},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Row(**values) for values in json.loads(done.stdout)]


def time_all(seconds: float, rounds: int) -> list[Row]:
    """What :func:`measure` has done in its child process."""
    models = Settings.load().models
    rows, ready = {}, {}
    for name in PITCH.names():
        rows[name], tracker = load(name, models)
        if tracker is not None:
            ready[name] = tracker
    sound = concatenate(list(phrases(seconds)))
    samples = sound.mono()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
    for tracker in ready.values():
        tracker.track(samples[: 2 * sound.sample_rate], sound.sample_rate, HOP)
    for _ in range(rounds):
        for name, tracker in ready.items():
            wall, cpu = time.perf_counter(), time.process_time()
            tracker.track(samples, sound.sample_rate, HOP)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    for name, taken in times.items():
        rows[name] = dataclasses.replace(
            rows[name],
            wall=statistics.median(wall for wall, _ in taken) / sound.duration,
            cpu=statistics.median(cpu for _, cpu in taken) / sound.duration,
            relative=statistics.median(own / base for (_, own), (_, base) in zip(taken, times[YARDSTICK], strict=True)),
        )
    return list(rows.values())


def load(name: str, models: Path | None) -> tuple[Row, PitchPredictor | None]:
    """A tracker with one thread, or why it cannot run here."""
    weights = ""
    try:
        if file := PITCH.facts(name).get("weights", ""):
            path = locate(file, models)
            size = path.stat().st_size
            if size < STAND_IN_BYTES:
                return Row(name, missing=f"{path.name} has {size} bytes, too few for the official file"), None
            weights = f"{path.name}, {size / 1e6:.1f} MB, {file_hash(path)[:12]}"
        tracker = pitch_predictor(PitchOptions(method=name), models=models, compute=Compute(threads=1))
    except MissingWeightsError:
        return Row(name, missing="its weight file is not on this machine"), None
    except MissingDependencyError as error:
        return Row(name, missing=error.message), None
    return Row(name, weights), tracker


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        f"| tracker | times real time | processor time for 1 s of sound | relative to {YARDSTICK} | weights |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if row.missing:
            lines.append(f"| {row.name} | not measured | | | {row.missing} |")
        else:
            lines.append(
                f"| {row.name} | {1 / row.wall:.1f} | {1000 * row.cpu:.1f} ms | {row.relative:.2f} |"
                f" {row.weights or 'none needed'} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps([dataclasses.asdict(row) for row in time_all(float(sys.argv[1]), int(sys.argv[2]))]))
