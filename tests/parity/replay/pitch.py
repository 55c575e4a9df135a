"""Runners of the pitch trackers and of what is done with their tracks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sovits.audio.resample import resample, sinc_resample
from sovits.core.device import Compute
from sovits.features import mel
from sovits.features.pitch import crepe, fcpe, postprocess, rmvpe
from sovits.features.pitch.svc import svc_f0
from sovits.options.pitch import PitchOptions
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, runner

COMPUTE = Compute(threads=1)  # two threads on a busy machine of two cores wait for each other


def where_sure(values: Any, case: Case, name: str) -> np.ndarray:
    """F0 on the frames where no rounding can choose another bin; on the others what was recorded."""
    want = case.outs[name]
    got = np.asarray(values).reshape(want.shape)
    return np.where(case.outs["top2_gap"].reshape(want.shape) > 1e-4, got, want)


@runner("f0_classic")
def f0_classic(case: Case, lab: Lab) -> Outputs:
    method = case.meta["args"]["predictor"]
    f0, voiced = svc_f0(case.ins["wav"], 44100, 512, method)
    silent, unvoiced = svc_f0(case.ins["silence"], 44100, 512, method)
    return {"f0": f0, "uv": voiced, "f0_silence": silent, "uv_silence": unvoiced}


@runner("f0_post")
def f0_post(case: Case, lab: Lab) -> Outputs:
    out: dict[str, Any] = {}
    for track, values in case.ins.items():
        if track == "filt":
            continue
        out[f"pm_{track}_f0"], out[f"pm_{track}_uv"] = postprocess.interpolate_unvoiced(values, compat="upstream")
        stem = f"resize_{track}_"
        for length in (int(name.removeprefix(stem)) for name in case.outs if _is_length(name, stem)):
            out[f"{stem}{length}"] = postprocess.resize_world(values, length)
            f0, voiced = postprocess.post_process(values, length)
            for method in ("rmvpe", "crepe"):
                out[f"{method}_{track}_{length}_f0"], out[f"{method}_{track}_{length}_uv"] = f0, voiced
            out[f"crepe_keep_{track}_{length}"] = postprocess.stretch_nearest(values, length)
    plain = case.ins["filt"][None]
    gaps = plain.copy()
    gaps[:, ::4] = np.nan
    out |= {"median3": postprocess.median3(plain), "mean3": postprocess.mean3(plain)}
    return out | {"median3_nan": postprocess.median3(gaps), "mean3_nan": postprocess.mean3(gaps)}


def _is_length(name: str, stem: str) -> bool:
    return name.startswith(stem) and name.removeprefix(stem).isdecimal()


@runner("f0_utils")
def f0_utils(case: Case, lab: Lab) -> Outputs:
    hz = case.ins["f0"]
    lf0 = postprocess.log_f0(hz)[:, None]
    mask = (np.arange(hz.shape[1]) < np.array([[90], [83], [90]]))[:, None]
    voiced = hz > 0
    silent_row = voiced.copy()
    silent_row[2] = False
    return {
        "coarse": postprocess.coarse_bins(hz),
        "lf0": lf0,
        "hz_back": postprocess.hz_of(lf0),
        "norm": postprocess.normalise_lf0(lf0, voiced, mask),
        "norm_random_low": postprocess.normalise_lf0(lf0, voiced, mask, np.full(3, 0.8)),
        "norm_uv0": postprocess.normalise_lf0(lf0, silent_row, mask),
    }


def rmvpe_predictor(case: Case, lab: Lab, threshold: float) -> rmvpe.RmvpePredictor:
    net = rmvpe.Rmvpe.from_tensors(lab.state(case.meta["manifest"], case.meta["salt"]))
    return rmvpe.RmvpePredictor(net, PitchOptions(threshold=threshold), COMPUTE)


@runner("rmvpe_net")
def rmvpe_net(case: Case, lab: Lab) -> Outputs:
    threshold = case.meta["args"]["thred"]
    sound = torch.from_numpy(case.ins["wav16k"])[None]
    (salience,) = rmvpe_predictor(case, lab, threshold).pieces(case.ins["wav16k"])
    hz, _ = rmvpe.decode(salience, threshold)
    return {
        "mel": mel.log_mel(sound, mel.RMVPE),
        "mel_key3": mel.log_mel(sound, mel.RMVPE, keyshift=3, speed=4),
        "hidden": salience[None],
        "f0": where_sure(hz, case, "f0"),
        "cents": where_sure(cents_of(hz, case.outs["cents"]), case, "cents"),
        "top2_gap": _gap(salience),
    }


def cents_of(hz: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Cents above 10 Hz; what is unvoiced has 0 cents."""
    return np.where(hz > 0, 1200 * np.log2(np.maximum(hz, 1e-9) / 10.0), 0.0)


def _gap(salience: np.ndarray) -> np.ndarray:
    """How far the largest salience of each frame lies above the second."""
    best = np.sort(salience, axis=-1)
    return best[..., -1] - best[..., -2]


@runner("rmvpe_predict")
def rmvpe_predict(case: Case, lab: Lab) -> Outputs:
    out: dict[str, Any] = {"thr": None}  # an input in truth: half of the frames lie below it
    wav16k = sinc_resample(case.ins["wav"], 44100, 16000, width=128)
    predictor = rmvpe_predictor(case, lab, rmvpe.THRESHOLD)
    salience = np.concatenate(list(predictor.pieces(wav16k)))
    out |= {"wav16k": wav16k, "top2_gap": _gap(salience)}
    for suffix, threshold in (("", rmvpe.THRESHOLD), ("_thr", float(case.outs["thr"][0]))):
        hz, out["max_salience"] = rmvpe.decode(salience, threshold)
        out[f"raw_f0{suffix}"] = where_sure(hz, case, f"raw_f0{suffix}")
        again = rmvpe.RmvpePredictor(predictor.net, PitchOptions(threshold=threshold), COMPUTE)
        out[f"f0{suffix}"], out[f"uv{suffix}"] = again.svc_f0(case.ins["wav"], 44100, 512)
    return out


@runner("rmvpe_decode")
def rmvpe_decode(case: Case, lab: Lab) -> Outputs:
    out: dict[str, Any] = {}
    for name in case.outs:
        kind, _, threshold = name.partition("_")
        hz, _ = rmvpe.decode(case.ins["salience"], float(threshold))
        out[name] = hz if kind == "f0" else cents_of(hz, case.outs[name])
    return out


def fcpe_net_of(case: Case, lab: Lab) -> fcpe.Fcpe:
    return fcpe.Fcpe.from_tensors(lab.state(case.meta["manifest"], case.meta["salt"]))


@runner("fcpe_net")
def fcpe_net(case: Case, lab: Lab) -> Outputs:
    threshold = case.meta["args"].get("threshold", 0.05)
    net = fcpe_net_of(case, lab)
    with torch.inference_mode():
        log_mel = torch.from_numpy(case.ins["mel"])
        stack = net.stack(log_mel.transpose(1, 2))
        first = net.decoder._layers[0](stack.transpose(1, 2))
        salience = net(log_mel).numpy()
    cents = net.cent_table.double().numpy()
    local, _ = fcpe.decode(salience[0], cents, threshold)
    full, _ = fcpe.decode(salience[0], cents, threshold, local=False)
    return {
        "cent_table": net.cent_table,
        "stack": stack,
        "layer0": first,
        "salience": salience,
        "top2_gap": _gap(salience),
        "f0_local": where_sure(local, case, "f0_local"),
        "f0_argmax": where_sure(full, case, "f0_argmax"),
        "f0_log": where_sure(np.log1p(local / 700), case, "f0_log"),
    }


@runner("fcpe_predict")
def fcpe_predict(case: Case, lab: Lab) -> Outputs:
    threshold = float(case.outs["thr"][0])
    predictor = fcpe.FcpePredictor(fcpe_net_of(case, lab), PitchOptions(threshold=threshold), COMPUTE)
    wav16k = sinc_resample(case.ins["wav"], 44100, 16000, width=128)
    log_mel = np.asarray(predictor.log_mel(wav16k))
    (salience,) = predictor.pieces(wav16k, repeat_last=True)
    hz, strongest = fcpe.decode(salience, predictor.cents, threshold)
    f0, voiced = predictor.svc_f0(case.ins["wav"], 44100, 512)
    return {
        "mel": np.concatenate([log_mel, log_mel[:, -1:]], axis=1),
        "raw_f0": hz[None, :, None],
        "f0": f0,
        "uv": voiced,
        "thr": None,  # an input in truth
        "max_salience": strongest,
    }


@runner("crepe_pipe")
def crepe_pipe(case: Case, lab: Lab) -> Outputs:
    wav, hop = case.ins["wav"], 512
    wav16k = resample(wav, 44100, 16000)
    centres = crepe.centres_at(hop, 44100, len(wav) // hop + 1, len(wav16k))
    level = crepe.a_weighted_level(crepe.framed(wav16k, centres, mirrored=True))
    out: dict[str, Any] = {"silence_gate": np.where(level < crepe.SILENCE_DB, 0.0, case.ins["periodicity"])[None]}
    for threshold in (name.removeprefix("f0_") for name in case.outs if name.startswith("f0_")):
        track, _ = crepe.clean(case.ins["pitch"], case.ins["periodicity"], level, float(threshold))
        out[f"f0_{threshold}"], out[f"uv_{threshold}"] = postprocess.post_process(track, len(wav) // hop)
    return out
