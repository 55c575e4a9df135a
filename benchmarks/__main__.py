"""``python -m benchmarks [NAME...]``: run benchmarks, keep their results and rewrite docs/benchmarks.md.

The exit code is 1 if a bar is missed or a benchmark breaks down. ``--quick`` makes small runs that show whether a
benchmark works: they are printed, and neither kept nor put on the page.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks import endurance, pitch, report, scale, singing, singing_gpu, startup
from benchmarks.report import Bar, Section

_BAR = re.compile(r"^\| (?P<name>.+) \| (?P<value>-?[\d.]+|nan) \| (?P<sign><=|>=) (?P<limit>-?[\d.]+) \| \S+ \|$")


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        quick: small runs.
        data: folder of recordings and judges that is no part of the repository.
    """

    quick: bool
    data: Path


class NotHere(Exception):
    """A benchmark cannot run on this machine; says why. Its last result stays."""


Measured = tuple[list[Bar], str]


def run_startup(settings: Settings) -> Measured:
    """Start-up times."""
    rows = startup.measure(3 if settings.quick else startup.STARTS)
    return [Bar(f"`{row.name}` (s)", row.median, "<=", row.bar) for row in rows], ""


def run_pitch(settings: Settings) -> Measured:
    """Throughput of the trackers; there is no bar to meet."""
    seconds, rounds = pitch.QUICK if settings.quick else pitch.FULL
    return [], f"{seconds:g} s of sound, {rounds} rounds.\n\n{pitch.table(pitch.measure(seconds, rounds))}"


def run_scale(name: str, settings: Settings) -> Measured:
    """Memory over length, for one of the cases; voices need torch."""
    if name != "scale" and find_spec("torch") is None:
        raise NotHere("it needs the package torch")
    case = scale.CASES[name]
    runs = scale.measure(case, case.quick if settings.quick else case.full)
    return scale.bars(case, runs, hours=not settings.quick), scale.table(runs)


def run_endurance(settings: Settings) -> Measured:
    """What many short calls leave behind; needs torch."""
    if find_spec("torch") is None:
        raise NotHere("it needs the package torch")
    found = endurance.measure(endurance.QUICK if settings.quick else endurance.FULL)
    return endurance.bars(found, full=not settings.quick), endurance.table(found)


def run_singing(settings: Settings) -> Measured:
    """Speed of the singing nets; needs torch."""
    try:
        result = singing.measure(singing.QUICK if settings.quick else singing.FULL)
    except ModuleNotFoundError as error:
        raise NotHere(f"it needs the package {error.name}") from error
    return singing.bars(result), singing.table(result)


def run_singing_gpu(settings: Settings) -> Measured:
    """Speed of the singing nets on a GPU."""
    if not singing_gpu.has_gpu():
        raise NotHere(singing_gpu.NO_GPU)
    result = singing_gpu.measure(singing_gpu.QUICK if settings.quick else singing_gpu.FULL)
    return singing_gpu.bars(result), singing_gpu.table(result)


def run_converter(settings: Settings) -> Measured:
    """The built-in converter on recordings of singers and speakers."""
    if settings.quick:
        raise NotHere("it has no quick form")
    if not (settings.data / "singing").is_dir():
        raise NotHere(f"there are no recordings in {settings.data}; say --data FOLDER")
    script = Path(__file__).with_name("converter.py")
    # Its exit code says whether all bars are met, as the bars themselves do.
    done = subprocess.run(
        [sys.executable, script, "--data", settings.data], stdout=subprocess.PIPE, text=True, check=False
    )
    found = split_converter(done.stdout)
    if not found[0]:
        raise RuntimeError(f"{script.name} ended with {done.returncode} and without a result")
    return found


def split_converter(output: str) -> Measured:
    """Bars, and the rest of what converter.py prints; its heading and machine are told by the page already."""
    found, kept = [], []
    for line in output.splitlines():
        if match := _BAR.match(line):
            form = f".{len(match['value'].partition('.')[2])}f"
            found.append(Bar(match["name"], float(match["value"]), match["sign"], float(match["limit"]), form))
        elif not line.startswith(("## ", "Machine: ", "| bar |")):
            kept.append(line)
    text = "\n".join(kept)
    # The ruler under the heading of the bars has lost its table.
    text = re.sub(r"(?m)(?<!\|\n)^\|(?: --- \|)+\n", "", text)
    return found, re.sub(r"\n{3,}", "\n\n", text).strip()


BENCHMARKS: dict[str, Callable[[Settings], Measured]] = {
    "startup": run_startup,
    "pitch": run_pitch,
    **{name: partial(run_scale, name) for name in scale.CASES},
    "endurance": run_endurance,
    "singing": run_singing,
    "singing-gpu": run_singing_gpu,
    "converter": run_converter,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} [default: all]")
    parser.add_argument("--quick", action="store_true", help="small runs, printed only")
    default = report.REPOSITORY.parent / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=default, help="recordings for the converter [default: %(default)s]"
    )
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark is called {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}")
    settings = Settings(given.quick, given.data)
    good = True
    for name in given.names or BENCHMARKS:
        print(f"{report.SECTIONS[name][0]} ...", flush=True)
        around = report.surroundings()
        try:
            bars, text = BENCHMARKS[name](settings)
        except NotHere as reason:
            print(f"not run: {reason}\n", flush=True)
            continue
        section = Section(name, tuple(bars), text, **around)  # type: ignore[arg-type]
        good &= section.met
        print(report.body(section), end="\n\n", flush=True)
        if not settings.quick:
            report.save(section)
            report.write_page()
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
