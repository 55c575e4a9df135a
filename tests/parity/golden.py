"""Golden cases: numbers that the upstream programs gave once, and the one rule by which ours are compared with them.

A case is ``data/{svc,gsv}/<case>.public0.npz``: arrays ``in_*`` and ``out_*`` and a JSON text ``meta`` that holds the
call, the tolerance and how much each output moves when its inputs are rounded. The rule: ``|got - want| <=
rtol |want| + max(atol, 10 * sensitivity)`` with rtol 1e-4 and atol 1e-5 of the largest value, unless ``meta`` or the
test itself says otherwise. Integers, flags and texts are compared exactly, unless the case allows +-1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DATA = Path(__file__).parent / "data"
SALT = "public0"
_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


@dataclass(frozen=True)
class Case:
    """One golden case: ``meta``, inputs and outputs, the latter two without their ``in_`` and ``out_``."""

    name: str
    meta: dict[str, Any]
    ins: dict[str, npt.NDArray[Any]]
    outs: dict[str, npt.NDArray[Any]]


def load(name: str) -> Case:
    """Read the case ``name`` (for example ``change_rms``) from whichever of the two folders holds it."""
    found = sorted(DATA.glob(f"*/{name}.{SALT}.npz"))
    assert len(found) == 1, f"expected one file for the golden case {name}, found {found}"
    return read(found[0])


def read(path: Path) -> Case:
    """Read one file of a case."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    return Case(
        path.name.split(".")[0],
        json.loads(str(arrays.pop("meta"))),
        {key.removeprefix("in_"): value for key, value in arrays.items() if key.startswith("in_")},
        {key.removeprefix("out_"): value for key, value in arrays.items() if key.startswith("out_")},
    )


def tolerance(case: Case, name: str) -> tuple[float, float]:
    """``(rtol, atol)`` that hold for the output ``name``: the case's own where it states one, else the general rule."""
    want = case.outs[name]
    exact = want.dtype.kind not in "fc"
    stated = case.meta.get("tolerance") or {}
    if isinstance(stated, str):
        stated = {"float": stated}
    text = str(stated.get(name) or stated.get("atol") or stated.get(want.dtype.name) or stated.get("float") or "")
    if exact:
        return 0.0, 1.0 if re.search(r"\+-1\b", text) else 0.0
    rtol, atol = float(stated.get("rtol", 0.0 if text.startswith("exact") else 1e-4)), 1e-5 * _largest(want)
    if text.startswith("exact"):
        atol = 0.0
    if "rtol" not in stated and (match := re.search(r"\brtol " + _NUMBER, text)):
        rtol = float(match[1])
    if clause := _clause(text, name):
        relative, number = clause
        return (number, atol) if relative else (rtol, max(number, 10 * _sensitivity(case, name)))
    if match := re.match(_NUMBER + r" \* max\|out\|", text):
        atol = float(match[1]) * _largest(want)
    elif match := re.match(_NUMBER, text) or re.search(r"\batol " + _NUMBER, text):
        atol = float(match[1])
    return rtol, max(atol, 10 * _sensitivity(case, name))


def _clause(text: str, name: str) -> tuple[bool, float] | None:
    """What "c 2e-3; f0 relative 1e-4" says of an output: whether its number is relative, and the number.

    A clause is about every output that has its first word as a part ("audio" and "g_audio_head").
    """
    for clause in text.split(";"):
        match = re.match(r"\s*(\w+) (relative )?" + _NUMBER, clause)
        if match and match[1] not in ("atol", "rtol") and match[1] in name.split("_"):
            return match[2] is not None, float(match[3])
    return None


def _sensitivity(case: Case, name: str) -> float:
    return float(case.meta.get("sensitivity_1e-6", {}).get(name, 0.0))


def assert_close(
    got: npt.ArrayLike,
    want: npt.ArrayLike,
    case: Case,
    name: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Fail unless ``got`` agrees with ``want`` within the tolerance of the output ``name`` of ``case``.

    Args:
        rtol, atol: replace the case's own, where its tolerance is a sentence that only the test can follow. A stated
            ``atol`` still gives way to ten times the sensitivity. NaN must meet NaN.
    """
    got, want = np.asarray(got), np.asarray(want)
    label = f"{case.name}/{name}"
    assert got.shape == want.shape, f"{label}: shape {got.shape}, expected {want.shape}"
    if want.dtype.kind not in "iufcb":
        assert np.array_equal(got, want), f"{label}: {str(got)[:200]} is not {str(want)[:200]}"
        return
    case_rtol, case_atol = tolerance(case, name)
    rtol = case_rtol if rtol is None else rtol
    if atol is None:
        atol = case_atol
    else:
        atol = max(atol, 10 * _sensitivity(case, name))
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    got, want = got.astype(wide), want.astype(wide)
    assert np.array_equal(np.isnan(got), np.isnan(want)), f"{label}: NaN in other places than expected"
    with np.errstate(invalid="ignore"):  # inf - inf, where both are the same infinity
        difference = np.where((got == want) | np.isnan(want), 0.0, np.abs(got - want))
    allowed = np.where(np.isfinite(want), rtol * np.abs(want) + atol, 0.0)
    excess = difference - allowed
    if excess.size and excess.max() > 0:
        worst = np.unravel_index(int(excess.argmax()), excess.shape)
        count = int((excess > 0).sum())
        raise AssertionError(
            f"{label}: {count} of {excess.size} values are off, the worst at {tuple(int(i) for i in worst)}: "
            f"got {got[worst]!r}, expected {want[worst]!r}, allowed {allowed[worst]:.3g}"
        )


def _largest(values: npt.NDArray[Any]) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0
