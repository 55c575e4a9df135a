"""Recorded numbers of the audio layer: resamplers, slicers, joins, and the loudness envelope."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from sovits.audio.framing import frame_rms
from sovits.audio.levels import transfer_envelope
from sovits.audio.overlap import ClipJoiner, SolaJoiner, best_offset, forced_clips, pad_centre
from sovits.audio.resample import sinc_kernel, sinc_resample, soxr_hq_librosa
from sovits.audio.slicing import GSV, SVC, SlicerTimes, gsv_ranges, normalise_piece, svc_chunks
from tests.parity.golden import assert_close, load

SLICER_CASES = ["leading", "long_silence", "loud", "multi", "odd_rate", "quiet", "stereo", "tiny"]


def pcm(values: np.ndarray, scale: int = 32768) -> np.ndarray:
    return values.astype(np.float32) / np.float32(scale)


@pytest.mark.parametrize("name", [name for name in load("torchaudio_resample").outs if name[0].isdigit()])
def test_windowed_sinc(name: str) -> None:
    case = load("torchaudio_resample")
    source, target, width = name.split("_")
    got = sinc_resample(case.ins["y"], int(source), int(target), width=int(width[1:]))
    assert_close(got, case.outs[name], case, name)


@pytest.mark.parametrize("name", [name for name in load("torchaudio_resample").outs if name.startswith("kernelshape")])
def test_windowed_sinc_kernel(name: str) -> None:
    source, target, width = (int(part.strip("w")) for part in name.split("_")[1:])
    divisor = math.gcd(source, target)
    kernel = sinc_kernel(source // divisor, target // divisor, width, "transforms")
    phases, _, taps, reach = load("torchaudio_resample").outs[name]
    assert kernel.shape == (phases, taps)
    assert taps == 2 * reach + source // divisor


def test_windowed_sinc_in_single_precision() -> None:
    case = load("torchaudio_resample")
    got = sinc_resample(case.ins["y"], 44100, 16000, kernel="functional")
    assert_close(got, case.outs["functional_44100_16000"], case, "functional_44100_16000")


@pytest.mark.parametrize("name", list(load("resample").outs))
def test_windowed_sinc_speech_side(name: str) -> None:
    case = load("resample")
    source, target = (int(part) for part in name.split("_")[-2:])
    got = sinc_resample(case.ins["x"], source, target, kernel="functional" if name.startswith("f_") else "transforms")
    assert_close(got, case.outs[name], case, name)


def test_soxr_as_librosa_calls_it() -> None:
    case = load("resample_preprocess")
    trimmed = case.ins["y"][slice(*case.outs["trim_index"])]
    got = soxr_hq_librosa(trimmed, 32000, 44100)
    assert got.shape[0] == case.outs["length"][0]
    assert_close(got[::20], case.outs["resampled_soxr_hq"], case, "resampled_soxr_hq")
    full = (np.float32(32767) * got / np.abs(got).max())[::20]
    assert_close(np.trunc(full).astype(np.int16), case.outs["int16"], case, "int16")
    plain = np.trunc(np.float32(32767) * got[::20]).astype(np.int16)
    assert_close(plain, case.outs["int16_no_loudnorm"], case, "int16_no_loudnorm")


def test_soxr_at_a_scale_of_a_thousand() -> None:
    case = load("prep_wav32k")
    x = case.ins["x"]
    scaled = x / np.abs(x).max() * np.float32(0.95 * 0.5 * 1145.14) + np.float32(0.5 * 1145.14) * x
    assert_close(soxr_hq_librosa(scaled, 32000, 16000), case.outs["wav16"], case, "wav16")


@pytest.mark.parametrize("ratio", ["0.0", "0.3", "0.75", "1.0"])
def test_change_rms(ratio: str) -> None:
    case = load("change_rms")
    got = transfer_envelope(case.ins["src"], 44100, case.ins["dst"], 44100, float(ratio))
    assert_close(got, case.outs[f"out_{ratio}"], case, f"out_{ratio}")


@pytest.mark.parametrize("name", SLICER_CASES)
def test_svc_slicer(name: str) -> None:
    case = load(f"slicer_{name}")
    rate = case.meta["args"]["sr"]
    wave = pcm(case.ins["wav"])
    mono = wave if wave.ndim == 1 else wave.mean(axis=0)
    frames = SVC.frames(rate)
    assert_close(frame_rms(mono, frames.window, frames.hop), case.outs["rms"], case, "rms")
    for threshold in (30, 40, 50, 60):
        segments = svc_chunks(mono, rate, dataclasses.replace(SVC, threshold=-threshold))
        chunks = [{"slice": part.silent, "split_time": f"{part.start},{part.stop}"} for part in segments]
        assert chunks == list(json.loads(str(case.outs[f"chunks_{threshold}"][0])).values())
        wanted = json.loads(str(case.outs[f"segments_{threshold}"][0]))
        kept = [part for part in segments if part.stop > part.start]
        assert [[part.silent, part.stop - part.start] for part in kept] == [row[:2] for row in wanted]
        sums = [float(np.abs(mono[part.start : part.stop]).sum(dtype=np.float64)) for part in kept]
        assert sums == pytest.approx([row[2] for row in wanted], rel=1e-4, abs=1e-3)
    shorter = svc_chunks(mono, rate, dataclasses.replace(SVC, min_length=2000))
    chunks = [{"slice": part.silent, "split_time": f"{part.start},{part.stop}"} for part in shorter]
    assert chunks == list(json.loads(str(case.outs["chunks_minlen2000"][0])).values())


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


def test_split_and_pad() -> None:
    case = load("split_and_pad")
    items = list(range(23))
    splits = [[items[slice(*clip)] for clip in forced_clips(23, *call)] for call in ((5, 0), (5, 2), (10, 3), (23, 0))]
    assert splits == json.loads(str(case.outs["a"][0]))
    rows = [pad_centre(np.arange(1.0, 6.0), 8), pad_centre(np.arange(1.0, 9.0), 6)]
    assert_close(np.stack(rows), case.outs["pad"], case, "pad")


@pytest.mark.parametrize(
    ("name", "index"), [*(("slice_inference", k) for k in range(6)), *(("slice_inference_resample", k) for k in (0, 1))]
)
def test_forced_clips_and_their_cross_fade(name: str, index: int) -> None:
    """The whole of spec section 4 (slice_inference) around a network that halves its input and adds 0.01."""
    case = load(name)
    args = case.meta["args"]
    rate, target, hop = args["sr"], args["target"], args["hop"]
    run = {"slice_db": -40, "pad_seconds": 0.5, "clip_seconds": 0, "lg_num": 0, "lgr_num": 0.75} | args["runs"][index]
    wave = pcm(case.ins["wav"])
    overlap = int(run["lg_num"] * rate)
    pad = np.zeros(int(rate * run["pad_seconds"]), np.float32)
    edge = int(target * run["pad_seconds"])
    result: list[np.ndarray] = []
    log: list[list[int]] = []
    frames_before = 0
    for segment in svc_chunks(wave, rate, dataclasses.replace(SVC, threshold=run["slice_db"])):
        samples = wave[segment.start : segment.stop]
        if segment.silent:
            result.append(np.zeros(math.ceil(len(samples) / rate * target)))
            frames_before += len(result[-1]) // hop
            continue
        size = int(run["clip_seconds"] * rate)
        clips = forced_clips(len(samples), size, overlap) if size else [(0, len(samples))]
        joiner = ClipJoiner(overlap if size else 0, run["lgr_num"])
        for start, stop in clips:
            padded = np.concatenate([pad, samples[start:stop], pad])
            quantised = np.clip(np.floor(padded * 32768.0), -32768, 32767) / 32768.0
            heard = _stub(quantised, rate, target, hop)
            log.append([len(padded), len(heard) // hop, frames_before])
            frames_before += len(heard) // hop
            sound = heard[: len(heard) // hop * hop] * 0.5 + 0.01
            sound = sound[edge : len(sound) - edge]
            result.append(joiner.push(pad_centre(sound, math.ceil((stop - start) / rate * target))))
        result.append(joiner.finish())
    assert log == json.loads(str(case.outs[f"log{index}"][0]))
    assert_close(np.concatenate(result), case.outs[f"audio{index}"], case, f"audio{index}")


def _stub(samples: np.ndarray, rate: int, target: int, hop: int) -> np.ndarray:
    if rate == target:
        return samples
    length = int(len(samples) * target / rate)
    return samples[(np.arange(length) * rate / target).astype(int)]
