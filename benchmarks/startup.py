"""Start-up times: ``python benchmarks/startup.py`` prints the medians beside their bars and fails if one is missed.

Each time is the median of ten warm starts with compiled bytecode, less the median of ``python -c pass`` taken in turn
with it, so that a busy machine weighs on both alike.
"""

from __future__ import annotations

import compileall
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "sovits"
STARTS = 10

#: What is started -> (arguments of Python, bar in seconds).
CASES = {
    "import sovits": (["-c", "import sovits"], 0.15),
    "sovits --help": (["-m", "sovits", "--help"], 0.5),
}


@dataclass(frozen=True)
class Row:
    """One measurement, in seconds."""

    name: str
    median: float
    bar: float

    @property
    def met(self) -> bool:
        """Whether it stays below its bar."""
        return self.median < self.bar


def seconds(arguments: list[str]) -> float:
    """Wall time of one start."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measure(starts: int = STARTS) -> list[Row]:
    """All cases; the bytecode is compiled first and one cold start of each is thrown away."""
    if not compileall.compile_dir(PACKAGE, quiet=1):
        raise SystemExit(f"cannot compile the bytecode of {PACKAGE}")
    rows = []
    for name, (arguments, bar) in CASES.items():
        seconds(arguments)
        empty, full = [], []
        for _ in range(starts):
            empty.append(seconds(["-c", "pass"]))
            full.append(seconds(arguments))
        rows.append(Row(name, statistics.median(full) - statistics.median(empty), bar))
    return rows


def main() -> int:
    """Print the table; 1 if a bar is missed."""
    rows = measure()
    print(f"| start | median of {STARTS}, less `python -c pass` | bar |")
    print("| --- | --- | --- |")
    for row in rows:
        print(f"| `{row.name}` | {row.median:.3f} s | {row.bar:g} s{'' if row.met else ' (missed)'} |")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
