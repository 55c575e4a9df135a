"""RMVPE, FCPE and CREPE against the recorded numbers of so-vits-svc, with weights filled by rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from sovits.audio.resample import resample, sinc_resample  # noqa: E402
from sovits.core.device import Compute  # noqa: E402
from sovits.features.pitch import crepe, fcpe, rmvpe  # noqa: E402
from sovits.features.pitch.postprocess import post_process  # noqa: E402
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


def with_fcpe(threshold: float) -> fcpe.FcpePredictor:
    net = fcpe.Fcpe.from_tensors(tensors("small/fcpe"))
    return fcpe.FcpePredictor(net, PitchOptions(threshold=threshold), COMPUTE)


def close(
    got: npt.ArrayLike, case: golden.Case, name: str, where: npt.NDArray[np.bool_], index: Any = slice(None)
) -> None:
    """F0 by the general rule, on the frames where no rounding can choose another bin."""
    want = case.outs[name][index]
    golden.assert_close(np.where(where, got, 0.0), np.where(where, want, 0.0), case, name, rtol=1e-4, atol=1e-3)


def test_rmvpe_salience_and_f0(with_rmvpe: Callable[[float], rmvpe.RmvpePredictor]) -> None:
    case = golden.load("rmvpe_net")
    predictor = with_rmvpe(case.meta["args"]["thred"])
    (salience,) = predictor.pieces(case.ins["wav16k"])
    golden.assert_close(salience, case.outs["hidden"][0], case, "hidden", rtol=1e-4, atol=1e-5)
    sure = case.outs["top2_gap"] > 1e-4
    assert sure.mean() > 0.9
    hz, _ = rmvpe.decode(salience, case.meta["args"]["thred"])
    close(hz, case, "f0", sure)


@pytest.mark.parametrize("suffix", ["", "_thr"])
def test_rmvpe_of_44k(with_rmvpe: Callable[[float], rmvpe.RmvpePredictor], suffix: str) -> None:
    case = golden.load("rmvpe_predict_44k")
    threshold = float(case.outs["thr"][0]) if suffix else rmvpe.THRESHOLD
    predictor = with_rmvpe(threshold)
    wav16k = sinc_resample(case.ins["wav"], 44100, 16000, width=128)
    golden.assert_close(wav16k, case.outs["wav16k"], case, "wav16k", rtol=1e-4, atol=1e-5)
    hz, strongest = rmvpe.decode(np.concatenate(list(predictor.pieces(wav16k))), threshold)
    close(hz, case, f"raw_f0{suffix}", case.outs["top2_gap"] > 1e-4)
    golden.assert_close(strongest, case.outs["max_salience"], case, "max_salience", rtol=1e-4, atol=1e-5)
    f0, voiced = predictor.svc_f0(case.ins["wav"], 44100, 512)
    golden.assert_close(voiced, case.outs[f"uv{suffix}"], case, f"uv{suffix}")
    golden.assert_close(f0, case.outs[f"f0{suffix}"], case, f"f0{suffix}", rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("threshold", ["0.03", "0.05", "0.3"])
def test_rmvpe_decoding(threshold: str) -> None:
    case = golden.load("rmvpe_decode")
    hz, _ = rmvpe.decode(case.ins["salience"], float(threshold))
    golden.assert_close(hz, case.outs[f"f0_{threshold}"], case, f"f0_{threshold}")


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


@pytest.mark.parametrize(
    ("name", "arch"), [("fcpe_small", "small/fcpe"), ("fcpe_small_thr", "small/fcpe"), ("fcpe_full", "fcpe")]
)
def test_fcpe_net_and_decoders(name: str, arch: str) -> None:
    case = golden.load(name)
    threshold = case.meta["args"].get("threshold", 0.05)
    net = fcpe.Fcpe.from_tensors(tensors(arch))
    with torch.inference_mode():
        log_mel = torch.from_numpy(case.ins["mel"])
        stack = net.stack(log_mel.transpose(1, 2))
        first = net.decoder._layers[0](stack.transpose(1, 2))
        salience = net(log_mel).numpy()
    golden.assert_close(net.cent_table, case.outs["cent_table"], case, "cent_table")
    golden.assert_close(stack, case.outs["stack"], case, "stack", rtol=1e-4, atol=1e-5)
    golden.assert_close(first, case.outs["layer0"], case, "layer0", rtol=1e-4, atol=1e-5)
    golden.assert_close(salience, case.outs["salience"], case, "salience", rtol=1e-4, atol=1e-5)
    cents, sure = net.cent_table.double().numpy(), case.outs["top2_gap"][0] > 1e-4
    assert sure.mean() > 0.9
    local, _ = fcpe.decode(salience[0], cents, threshold)
    full, _ = fcpe.decode(salience[0], cents, threshold, local=False)
    close(local, case, "f0_local", sure, (0, slice(None), 0))
    close(full, case, "f0_argmax", sure, (0, slice(None), 0))
    close(np.log1p(local / 700), case, "f0_log", sure, (0, slice(None), 0))


@pytest.mark.parametrize("name", ["fcpe_predict_44k", "fcpe_predict_44k_thr"])
def test_fcpe_of_44k(name: str) -> None:
    case = golden.load(name)
    threshold = float(case.outs["thr"][0])
    predictor = with_fcpe(threshold)
    wav16k = sinc_resample(case.ins["wav"], 44100, 16000, width=128)
    # near silence the logarithm makes 1e-3 of a rounding of 1e-6 (as rmvpe_net's recorded sensitivity says)
    log_mel = predictor.log_mel(wav16k)
    golden.assert_close(log_mel, case.outs["mel"][:, :-1], case, "mel", rtol=1e-4, atol=1e-3)
    (salience,) = predictor.pieces(wav16k, repeat_last=True)
    hz, strongest = fcpe.decode(salience, predictor.cents, threshold)
    golden.assert_close(strongest, case.outs["max_salience"], case, "max_salience", rtol=1e-4, atol=1e-5)
    golden.assert_close(hz, case.outs["raw_f0"][0, :, 0], case, "raw_f0", rtol=1e-4, atol=1e-3)
    f0, voiced = predictor.svc_f0(case.ins["wav"], 44100, 512)
    golden.assert_close(voiced, case.outs["uv"], case, "uv")
    golden.assert_close(f0, case.outs["f0"], case, "f0", rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("threshold", ["0.05", "0.5", "2.0"])
def test_crepe_pipeline(threshold: str) -> None:
    case = golden.load("crepe_pipeline")
    wav, hop = case.ins["wav"], 512
    wav16k = resample(wav, 44100, 16000)
    centres = crepe.centres_at(hop, 44100, len(wav) // hop + 1, len(wav16k))
    level = crepe.a_weighted_level(crepe.framed(wav16k, centres, mirrored=True))
    gated = np.where(level < crepe.SILENCE_DB, 0.0, case.ins["periodicity"])
    golden.assert_close(gated[None], case.outs["silence_gate"], case, "silence_gate")
    track, _ = crepe.clean(case.ins["pitch"], case.ins["periodicity"], level, float(threshold))
    f0, voiced = post_process(track, len(wav) // hop)
    golden.assert_close(f0, case.outs[f"f0_{threshold}"], case, f"f0_{threshold}")
    golden.assert_close(voiced, case.outs[f"uv_{threshold}"].astype(np.float32), case, f"uv_{threshold}")


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
