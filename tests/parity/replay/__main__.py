"""``python -m tests.parity.replay GOLDEN [MANIFESTS]``: replay every case of a folder."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

from tests.parity import golden
from tests.parity.replay import COMMITTED, Lab, Outcome, cases_in, replay


def manifests_for(folder: Path, given: Path | None) -> Path:
    """The folder of manifests: the one given, else the one beside the cases, else the committed copies."""
    for candidate in (given, folder / "manifest", folder.parent / "manifest"):
        if candidate is not None and candidate.is_dir():
            return candidate
    return COMMITTED


def main() -> int:
    """Replay; the exit status is 0 only if every case passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("golden", type=Path)
    parser.add_argument("manifests", type=Path, nargs="?")
    arguments = parser.parse_args()
    paths = list(cases_in(arguments.golden))
    if not paths:
        print(f"no case (*.npz) in {arguments.golden}")
        return 2
    lab = Lab(manifests_for(arguments.golden, arguments.manifests))
    failed = 0
    for path in paths:
        start = time.monotonic()
        try:
            outcome = replay(golden.read(path), lab)
        except Exception as error:  # one broken case must not hide the others
            traceback.print_exc()
            outcome = Outcome(path.name, (f"{type(error).__name__}: {error}",), 0.0, 0.0)
        failed += bool(outcome.problems)
        verdict = "FAIL" if outcome.problems else "pass"
        seconds = time.monotonic() - start
        print(f"{verdict}  {path.name:48s} error {outcome.error:.3g} of {outcome.allowed:.3g} allowed  {seconds:.1f} s")
        for problem in outcome.problems:
            print(f"      {problem}")
        sys.stdout.flush()
    print(f"{len(paths) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
