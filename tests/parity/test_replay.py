"""Every committed case of the singing side through the runners that ``make parity`` uses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.parity import golden
from tests.parity.replay import COMMITTED, Lab, cases_in, replay, runners

CASES = list(cases_in(golden.DATA / "svc"))


def _marks(path: Path) -> list[pytest.MarkDecorator]:
    """Cases that fill a full-size net take seconds."""
    with np.load(path, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
    full = bool(meta.get("manifest")) and "/small/" not in meta["manifest"]
    return [pytest.mark.slow] if full or meta.get("runner") in ("e2e", "disc", "svc_train") else []


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(COMMITTED, tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name.split(".")[0], marks=_marks(path)) for path in CASES])
def test_recorded_numbers(path: Path, lab: Lab) -> None:
    outcome = replay(golden.read(path), lab)
    assert not outcome.problems, "\n".join(outcome.problems)


def test_a_wrong_number_fails(lab: Lab) -> None:
    case = golden.load("volume_extractor")
    case.outs["v512"][3] *= 1.01
    outcome = replay(case, lab)
    assert len(outcome.problems) == 1
    assert "v512" in outcome.problems[0]


def test_a_case_without_a_runner_fails(lab: Lab) -> None:
    case = golden.load("volume_extractor")
    case.meta["runner"] = "nobody"
    assert replay(case, lab).problems == ("no runner called 'nobody'",)


def test_every_committed_case_has_a_runner() -> None:
    known = runners()
    assert {golden.read(path).meta["runner"] for path in CASES} <= set(known)
