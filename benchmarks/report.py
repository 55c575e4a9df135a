"""Results on disk and the page made of them: ``benchmarks/results/NAME.json`` to ``docs/benchmarks.md``.

Each benchmark keeps its last result, so that running one of them changes its own section of the page only.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from sovits.core.atomic import replacing

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "benchmarks.md"

#: Packages whose versions may move a figure.
_PACKAGES = ("numpy", "scipy", "soundfile", "soxr", "pyworld-prebuilt", "onnxruntime", "swift-f0", "torch")

_ABOUT = (
    "Measured figures. This page is written by `python -m benchmarks` (`make bench`) from the last result of each"
    " benchmark; `python -m benchmarks NAME` runs one. Do not edit it."
)


class Topic(NamedTuple):
    """Heading of a section and what is measured in it."""

    title: str
    what: str


#: The order is that of the page.
SECTIONS: dict[str, Topic] = {
    "startup": Topic(
        "Start-up", "Wall time of a warm start with compiled bytecode, less that of `python -c pass`; medians."
    ),
    "pitch": Topic(
        "Pitch trackers",
        """The shipped sung phrase at 44.1 kHz, hop 512, one thread on the processor, default options; medians. Times
real time is seconds of sound over seconds of wall time. The relative figure compares processor time with that of dio
in the same round.""",
    ),
    "scale": Topic(
        "Length of the recording",
        """`sovits convert` with the built-in converter in a process of its own, over the shipped sung phrase repeated.
Memory is that of the process tree, looked at every 50 ms. The real-time factor is wall time over length of the
recording, start-up included; a single file is converted on one core.""",
    ),
    "scale-tiny": Topic(
        "Length of the recording, tiny voice",
        """`sovits convert --voice tiny --loudness-envelope 0` as above, over the sung phrase with pauses, on all cores. The
tiny voice has random weights: what is measured is that memory is bounded and that the result comes in order and as it is
made; nothing here says how fast a voice sings or how it sounds. It takes the loudness of the source, so that order
shows in the levels, and it skips long silence: "half seconds of pause" are those in which the result has to be silent,
the last 5 s of a pause and its edges left out. Memory is looked at every second.""",
    ),
    "scale-full": Topic(
        "Length of the recording, voice of official size",
        """`sovits convert --voice NAME` as above with default options. The voice (4.1, vec768l12) and ContentVec have the
sizes and files of the official ones, added with `sovits voices add`; their weights are filled by rule, so speed and
memory are those of a real voice, the sound is not. That the result comes in order shows in the pauses, which never
repeat.""",
    ),
    "endurance": Topic(
        "Many short calls",
        """A voice loaded once by `sovits.load_voice` converts 0.4 to 2 s of the sung phrase in every call, two threads at a
time: a round. Each call has another length and seed, and in turn other options and pitch trackers; new threads take over
every 10 rounds. Memory (PSS), open files and threads of the process are medians over 20 rounds, after the first 50 and
at the end. After every 10 rounds the first call is made again. The tiny voice has random weights: its times and levels
are no figures of the product.""",
    ),
    "singing": Topic(
        "Singing nets",
        """The nets of a so-vits-svc voice at their official sizes as they serve, against the same nets run plainly:
float32, weight norm computed anew in every call, as the original runs them.""",
    ),
    "singing-gpu": Topic(
        "Singing nets on a GPU",
        """The nets of official size on a CUDA GPU: plain float32, float16 as it serves, and that as CUDA graphs.""",
    ),
    "converter": Topic(
        "Built-in converter",
        """Every singer into every target, beside plain copy synthesis (WORLD without any change) and a baseline (F0
shift and one 60-coefficient long-term envelope ratio). F0 by SwiftF0 where it is sure of both, speaker similarity by
GE2E, quality by DNSMOS. All constants were chosen on other singers and speakers. The list was run twice: the first run
missed the bar on similarity (0.023 above the baseline, 0.03 wanted), the constants were then changed on development pairs.""",
    ),
}


@dataclass(frozen=True)
class Bar:
    """One requirement.

    Attributes:
        name: what is measured.
        value: what it is.
        sign: ``<=`` or ``>=``, how it has to lie to ``limit``.
        form: format specification of the value on the page.
    """

    name: str
    value: float
    sign: str
    limit: float
    form: str = ".3f"

    @property
    def met(self) -> bool:
        """Whether it holds; a value that is not a number never does."""
        return self.value <= self.limit if self.sign == "<=" else self.value >= self.limit


@dataclass(frozen=True)
class Section:
    """The last result of one benchmark.

    Attributes:
        name: a key of :data:`SECTIONS`.
        bars: its requirements; none where figures are only told.
        text: Markdown below the bars.
        date: day and minute of the run, UTC. ``commit``, ``machine``, ``versions``: what it ran on.
        load: load average over one minute before it began; far above 0 means that other work disturbed it.
    """

    name: str
    bars: tuple[Bar, ...]
    text: str
    date: str
    commit: str
    machine: str
    versions: str
    load: float

    @property
    def met(self) -> bool:
        """Whether every bar is met."""
        return all(bar.met for bar in self.bars)


def surroundings() -> dict[str, str | float]:
    """Everything about the here and now that a section records; taken before the measurement begins."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "load": round(os.getloadavg()[0], 2),
    }


def machine() -> str:
    """Processor, cores, memory, system and Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processor = _first("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    memory = _first("/proc/meminfo", "MemTotal").partition(" ")[0]
    size = f", {int(memory) / (1 << 20):.0f} GiB memory" if memory else ""
    return f"{processor}, {cores} cores{size}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def versions() -> str:
    """Versions of the packages that do the work, as far as they are installed."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def commit() -> str:
    """The git commit, and whether the code differs from it. Results and page are left out: writing them is no change."""
    head = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    ours = [f":!{path.relative_to(REPOSITORY).as_posix()}" for path in (RESULTS, PAGE)]
    return head + (" with changes" if _git("status", "--porcelain", "--", ".", *ours) else "")


def save(section: Section, folder: Path = RESULTS) -> None:
    """Keep a section as the last result of its benchmark."""
    with replacing(folder / f"{section.name}.json") as part:
        part.write_text(json.dumps(dataclasses.asdict(section), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path = RESULTS) -> dict[str, Section]:
    """The last results by name; benchmarks that never ran are absent."""
    found = {}
    for name in SECTIONS:
        path = folder / f"{name}.json"
        if path.exists():
            values = json.loads(path.read_text(encoding="utf-8"))
            found[name] = Section(**{**values, "bars": tuple(Bar(**bar) for bar in values["bars"])})
    return found


def page(sections: Mapping[str, Section]) -> str:
    """The whole page, Markdown."""
    parts = [
        "# Benchmarks",
        _ABOUT,
    ]
    for name, (title, what) in SECTIONS.items():
        parts += [f"## {title}", what]
        if name in sections:
            parts.append(body(sections[name]))
        else:
            parts.append(f"Not measured yet: `python -m benchmarks {name}`.")
    return "\n\n".join(parts) + "\n"


def body(section: Section) -> str:
    """One section below its heading."""
    when = f"{section.date} UTC, commit {section.commit}, load average before {section.load:.2f}."
    parts = ["\n".join([when, f"Machine: {section.machine}.", f"Versions: {section.versions}."])]
    if section.bars:
        parts.append(bars_table(section.bars))
    if section.text:
        parts.append(section.text)
    return "\n\n".join(parts)


def bars_table(bars: tuple[Bar, ...]) -> str:
    """Bars as Markdown."""
    lines = ["| bar | measured | required | |", "| --- | --- | --- | --- |"]
    for bar in bars:
        verdict = "pass" if bar.met else "**fail**"
        lines.append(f"| {bar.name} | {bar.value:{bar.form}} | {bar.sign} {bar.limit:g} | {verdict} |")
    return "\n".join(lines)


def write_page(folder: Path = RESULTS, path: Path = PAGE) -> None:
    """Render the page from the results."""
    with replacing(path) as part:
        part.write_text(page(load(folder)), encoding="utf-8")


def _first(path: str, field: str) -> str:
    """The value of the first line ``field : value`` of a file of /proc; empty if there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
