"""Recorded numbers of the audio layer, speech side: resamplers, slicer, joins. Singing side: ``test_replay.py``."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sovits.audio.framing import frame_rms
from sovits.audio.overlap import SolaJoiner, best_offset
from sovits.audio.resample import sinc_resample, soxr_hq_librosa
from sovits.audio.slicing import GSV, SlicerTimes, gsv_ranges, normalise_piece
from tests.parity.golden import assert_close, load


def pcm(values: np.ndarray, scale: int = 32768) -> np.ndarray:
    return values.astype(np.float32) / np.float32(scale)


@pytest.mark.parametrize("name", list(load("resample").outs))
def test_windowed_sinc_speech_side(name: str) -> None:
    case = load("resample")
    source, target = (int(part) for part in name.split("_")[-2:])
    got = sinc_resample(case.ins["x"], source, target, kernel="functional" if name.startswith("f_") else "transforms")
    assert_close(got, case.outs[name], case, name)


def test_soxr_at_a_scale_of_a_thousand() -> None:
    case = load("prep_wav32k")
    x = case.ins["x"]
    scaled = x / np.abs(x).max() * np.float32(0.95 * 0.5 * 1145.14) + np.float32(0.5 * 1145.14) * x
    assert_close(soxr_hq_librosa(scaled, 32000, 16000), case.outs["wav16"], case, "wav16")


@pytest.mark.parametrize("index", range(5))
def test_gsv_slicer(index: int) -> None:
    case = load("slicer2")
    call = case.meta["call"]
    threshold, min_length, min_interval, hop, max_silence = call["sets"][index]
    times = SlicerTimes(
        threshold, min_length, min_interval, hop, max_silence, whole_samples=False, hops_of_samples=True
    )
    frames = times.frames(call["sr"])
    assert [*dataclasses.astuple(frames)] == pytest.approx(case.outs[f"params{index}"].tolist(), rel=1e-6)
    ranges = gsv_ranges(pcm(case.ins["wav"], 32767), call["sr"], times)
    assert [[part.start, part.stop, part.stop - part.start] for part in ranges] == case.outs[f"ranges{index}"].tolist()


def test_gsv_slicer_levels() -> None:
    case = load("slicer2")
    wave = pcm(case.ins["wav"], 32767)
    assert (GSV.threshold, GSV.min_length, GSV.min_interval, GSV.hop, GSV.max_silence) == (-34, 4000, 300, 10, 500)
    np.testing.assert_allclose(frame_rms(wave, 640, 160)[:400], case.outs["rms"], rtol=1e-6)
    assert_close(normalise_piece(wave[:4000]), case.outs["normalised_int16"], case, "normalised_int16")


def test_sola() -> None:
    case = load("tts_sola")
    joiner = SolaJoiner(case.meta["call"]["overlap_len"], case.meta["call"]["search_len"])
    parts = [joiner.push(case.ins[name]) for name in ("f0", "f1", "f2")]
    parts[-1] = np.concatenate([parts[-1], joiner.finish()])
    assert [len(part) for part in parts] == case.outs["lens"].tolist()
    assert_close(np.concatenate(parts), case.outs["audio"], case, "audio")


def test_best_offset() -> None:
    case = load("tts_find_offset")
    offset, scores = best_offset(case.ins["ref"], case.ins["search"])
    assert offset == case.outs["offset"]
    assert_close(scores, case.outs["scores"], case, "scores", rtol=0, atol=1e-5)
