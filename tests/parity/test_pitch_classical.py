"""pm, dio and harvest, and what is done with any raw track, against the recorded numbers of so-vits-svc."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.features.pitch import postprocess
from sovits.features.pitch.svc import Method, svc_f0
from tests.parity import golden

TRACKS = ["normal", "single", "single_first", "none", "all"]


@pytest.mark.parametrize("method", ["pm", "dio", "harvest"])
def test_f0_of_a_sung_tone_and_of_silence(method: Method) -> None:
    case = golden.load(f"f0_{method}")
    f0, voiced = svc_f0(case.ins["wav"], 44100, 512, method)
    golden.assert_close(voiced, case.outs["uv"], case, "uv")
    golden.assert_close(f0, case.outs["f0"], case, "f0", rtol=1e-5, atol=0.0)
    f0, voiced = svc_f0(case.ins["silence"], 44100, 512, method)
    golden.assert_close(f0, case.outs["f0_silence"], case, "f0_silence")
    golden.assert_close(voiced, case.outs["uv_silence"], case, "uv_silence")


def test_pm_keeps_the_promise_of_the_readme() -> None:
    """Within 1e-4 of the recorded values on 99 % of voiced frames, 99 % voicing agreement."""
    case = golden.load("f0_pm")
    f0, voiced = svc_f0(case.ins["wav"], 44100, 512, "pm")
    assert np.mean(voiced == case.outs["uv"]) >= 0.99
    both = (voiced > 0) & (case.outs["uv"] > 0)
    assert np.mean(np.abs(f0[both] / case.outs["f0"][both] - 1) < 1e-4) >= 0.99


@pytest.mark.parametrize("track", TRACKS)
def test_interpolation_over_unvoiced_frames(track: str) -> None:
    case = golden.load("f0_postprocess")
    f0, voiced = postprocess.interpolate_unvoiced(case.ins[track], compat="upstream")
    golden.assert_close(f0, case.outs[f"pm_{track}_f0"], case, f"pm_{track}_f0")
    golden.assert_close(voiced, case.outs[f"pm_{track}_uv"], case, f"pm_{track}_uv")


@pytest.mark.parametrize("length", [29, 40, 55])
@pytest.mark.parametrize("track", TRACKS)
def test_change_of_length(track: str, length: int) -> None:
    case = golden.load("f0_postprocess")
    resized = postprocess.resize_world(case.ins[track], length)
    golden.assert_close(resized, case.outs[f"resize_{track}_{length}"], case, f"resize_{track}_{length}")
    f0, voiced = postprocess.post_process(case.ins[track], length)
    for method in ("rmvpe", "crepe"):
        name = f"{method}_{track}_{length}"
        golden.assert_close(f0, case.outs[f"{name}_f0"], case, f"{name}_f0")
        golden.assert_close(voiced, case.outs[f"{name}_uv"], case, f"{name}_uv")
    kept = postprocess.stretch_nearest(case.ins[track], length)
    name = f"crepe_keep_{track}_{length}"
    golden.assert_close(kept, case.outs[name], case, name)


def test_pools_of_three() -> None:
    case = golden.load("f0_postprocess")
    values = case.ins["filt"][None]
    with_gaps = values.copy()
    with_gaps[:, ::4] = np.nan
    golden.assert_close(postprocess.median3(values), case.outs["median3"], case, "median3")
    golden.assert_close(postprocess.mean3(values), case.outs["mean3"], case, "mean3")
    golden.assert_close(postprocess.median3(with_gaps), case.outs["median3_nan"], case, "median3_nan")
    golden.assert_close(postprocess.mean3(with_gaps), case.outs["mean3_nan"], case, "mean3_nan")


def test_bins_and_log_f0() -> None:
    case = golden.load("f0_utils")
    hz = case.ins["f0"]
    golden.assert_close(postprocess.coarse_bins(hz), case.outs["coarse"], case, "coarse")
    lf0 = postprocess.log_f0(hz)[:, None]
    golden.assert_close(lf0, case.outs["lf0"], case, "lf0")
    golden.assert_close(postprocess.hz_of(lf0), case.outs["hz_back"], case, "hz_back")
    mask = (np.arange(90) < np.array([[90], [83], [90]]))[:, None]
    voiced = hz > 0
    golden.assert_close(postprocess.normalise_lf0(lf0, voiced, mask), case.outs["norm"], case, "norm")
    low = postprocess.normalise_lf0(lf0, voiced, mask, np.full(3, 0.8))
    golden.assert_close(low, case.outs["norm_random_low"], case, "norm_random_low")
    voiced[2] = False
    golden.assert_close(postprocess.normalise_lf0(lf0, voiced, mask), case.outs["norm_uv0"], case, "norm_uv0")
