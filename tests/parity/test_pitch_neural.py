"""RMVPE and FCPE from files and in windows, with weights filled by rule. Recorded numbers: ``test_replay.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sovits.core.device import Compute  # noqa: E402
from sovits.features.pitch import fcpe, rmvpe  # noqa: E402
from sovits.options.pitch import PitchOptions  # noqa: E402
from tests.parity import golden  # noqa: E402
from tests.parity.fill import state_svc  # noqa: E402

COMPUTE = Compute(threads=1)  # two threads on a busy machine of two cores wait for each other


def manifest(arch: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((golden.DATA / "svc" / "manifest" / f"{arch}.json").read_text())
    return found


def tensors(arch: str) -> dict[str, Any]:
    return {name: torch.from_numpy(value) for name, value in state_svc(manifest(arch), golden.SALT).items()}


@pytest.fixture(scope="module")
def rmvpe_net() -> rmvpe.Rmvpe:
    return rmvpe.Rmvpe.from_tensors(tensors("rmvpe"))


@pytest.fixture(scope="module")
def with_rmvpe(rmvpe_net: rmvpe.Rmvpe) -> Callable[[float], rmvpe.RmvpePredictor]:
    return lambda threshold: rmvpe.RmvpePredictor(rmvpe_net, PitchOptions(threshold=threshold), COMPUTE)


@pytest.mark.slow
def test_rmvpe_in_windows_equals_one_shot(
    with_rmvpe: Callable[[float], rmvpe.RmvpePredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.random.default_rng(5).normal(0.0, 0.1, 16000 * 25).astype(np.float32)
    samples *= (1 + np.sin(np.arange(len(samples)) / 5000)).astype(np.float32)
    predictor = with_rmvpe(0.05)
    (whole,) = predictor.pieces(samples)
    monkeypatch.setattr(rmvpe, "_CORE", 20 * rmvpe.GRID)
    pieces = list(predictor.pieces(samples))
    assert len(pieces) == 4
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=2e-6)


def test_fcpe_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fcpe.pt"
    torch.save({"config": manifest("small/fcpe")["config"], "model": tensors("small/fcpe")}, path)
    case = golden.load("fcpe_predict_44k")
    predictor = fcpe.create(PitchOptions(threshold=float(case.outs["thr"][0])), path, COMPUTE)
    f0, _ = predictor.svc_f0(case.ins["wav"], 44100, 512)
    golden.assert_close(f0, case.outs["f0"], case, "f0", rtol=1e-4, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["so-vits-svc", "rvc"])
def test_rmvpe_from_a_file(tmp_path: Path, layout: str) -> None:
    """so-vits-svc wraps all tensors in ``model``; RVC's file is bare, in half precision and lacks the unused ones."""
    state = tensors("rmvpe")
    if layout == "rvc":
        state = {name: value.half() for name, value in state.items() if not name.startswith("unet.tf.")}
        torch.save(state, tmp_path / "rmvpe.pt")
    else:
        torch.save({"model": state}, tmp_path / "rmvpe.pt")
    case = golden.load("rmvpe_net")
    predictor = rmvpe.create(PitchOptions(), tmp_path / "rmvpe.pt", COMPUTE)
    (salience,) = predictor.pieces(case.ins["wav16k"])
    atol = 1e-5 if layout == "so-vits-svc" else 5e-3
    golden.assert_close(salience, case.outs["hidden"][0], case, "hidden", rtol=1e-4, atol=atol)
