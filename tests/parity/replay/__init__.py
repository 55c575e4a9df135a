"""Replay golden cases, ours or a folder of others: every case names its runner, every runner gives the case's outputs.

``python -m tests.parity.replay GOLDEN [MANIFESTS]`` (``make parity``) prints a line per case and a last line
``N passed, N failed``. The test suite replays the committed cases through the same code.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sovits.core.rng import Noise, ShapeNoise, ZeroNoise
from tests.parity import golden
from tests.parity.fill import state_svc
from tests.parity.golden import Case

#: Copies of the manifests, for cases that come without theirs.
COMMITTED = golden.DATA / "svc" / "manifest"

#: What a runner gives: outputs by name. A name that a case has and its runner does not give is a failure.
Outputs = Mapping[str, Any]


@dataclass(frozen=True)
class Lab:
    """What runners need beside the case: manifests of official files, and a folder for files they make."""

    manifests: Path
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="sovits-parity-")))

    def manifest(self, name: str) -> dict[str, Any]:
        """A manifest by its path in a case (``manifest/small/nsf.json``) or by its name (``small/nsf``)."""
        short = name.removeprefix("manifest/").removesuffix(".json")
        given = self.manifests / f"{short}.json"
        path = given if given.is_file() else COMMITTED / f"{short}.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def state(self, name: str, salt: str, prefix: str = "") -> dict[str, Any]:
        """Filled float32 torch tensors of a manifest, those below ``prefix`` only, without it."""
        import torch

        manifest = self.manifest(name)
        manifest["tensors"] = {key: value for key, value in manifest["tensors"].items() if key.startswith(prefix)}
        return {
            key.removeprefix(prefix): torch.from_numpy(np.array(value, np.float32 if value.dtype.kind == "f" else None))
            for key, value in state_svc(manifest, salt).items()
        }


def noise_of(case: Case) -> Noise:
    """The rule for random draws under which a case was recorded."""
    return ShapeNoise(case.meta["salt"]) if case.meta["noise"] == "shape" else ZeroNoise()


Runner = Callable[[Case, Lab], Outputs]
_RUNNERS: dict[str, Runner] = {}


def runner(name: str) -> Callable[[Runner], Runner]:
    """Register a runner under the name that cases give in ``meta.runner``."""

    def keep(function: Runner) -> Runner:
        _RUNNERS[name] = function
        return function

    return keep


@functools.cache
def _load_runners() -> None:
    import importlib
    import pkgutil

    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}")


def runners() -> dict[str, Runner]:
    """All runners by name."""
    _load_runners()
    return _RUNNERS


@dataclass(frozen=True)
class Outcome:
    """How one case went: problems (none: passed), and the error that came closest to its allowance."""

    case: str
    problems: tuple[str, ...]
    error: float
    allowed: float


def replay(case: Case, lab: Lab) -> Outcome:
    """Run a case and compare everything it recorded."""
    known = runners()
    name = case.meta.get("runner") or case.name
    if name not in known:
        return Outcome(case.name, (f"no runner called {name!r}",), 0.0, 0.0)
    got = known[name](case, lab)
    problems, worst = [], (0.0, 0.0, -1.0)
    for key, want in case.outs.items():
        if key not in got:
            problems.append(f"{key}: not computed")
            continue
        if got[key] is None:
            continue
        value = np.asarray(got[key])
        try:
            golden.assert_close(value, want, case, key)
        except AssertionError as error:
            problems.append(str(error))
        worst = max(worst, _closeness(value, want, case, key), key=lambda row: row[2])
    return Outcome(case.name, tuple(problems), worst[0], worst[1])


def _closeness(got: Any, want: Any, case: Case, key: str) -> tuple[float, float, float]:
    """The error and the allowance at the value that uses most of its allowance."""
    if want.dtype.kind not in "fc" or got.shape != want.shape or not want.size:
        return 0.0, 0.0, -1.0
    rtol, atol = golden.tolerance(case, key)
    with np.errstate(invalid="ignore"):
        error = np.nan_to_num(np.abs(got.astype(np.float64) - want.astype(np.float64)))
        allowed = rtol * np.nan_to_num(np.abs(want.astype(np.float64))) + atol + 1e-300
    at = int((error / allowed).argmax())
    return float(error.flat[at]), float(allowed.flat[at]), float((error / allowed).flat[at])


def cases_in(folder: Path) -> Iterable[Path]:
    """The case files of a folder, sorted."""
    return sorted(folder.glob("*.npz"))
