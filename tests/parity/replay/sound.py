"""Runners of the audio layer and the mel front ends: resamplers, slicer, loudness envelope, mels."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import torch

from sovits.audio.framing import frame_rms
from sovits.audio.levels import transfer_envelope
from sovits.audio.resample import sinc_kernel, sinc_resample, soxr_hq_librosa
from sovits.audio.slicing import SVC, Segment, loud_part, svc_chunks
from sovits.features import mel
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, runner


def pcm(values: np.ndarray) -> np.ndarray:
    """16-bit samples as loaders give them."""
    return values.astype(np.float32) / np.float32(32768)


@runner("ta_resample")
def ta_resample(case: Case, lab: Lab) -> Outputs:
    out: dict[str, Any] = {}
    for name in case.outs:
        parts = name.removeprefix("kernelshape_").removeprefix("functional_").split("_")
        source, target, width = int(parts[0]), int(parts[1]), int(parts[2][1:]) if len(parts) > 2 else 6
        if "kernelshape" in name:
            step, phases = source // math.gcd(source, target), target // math.gcd(source, target)
            rows, taps = sinc_kernel(step, phases, width, "transforms").shape
            out[name] = [rows, 1, taps, (taps - step) // 2]
        else:
            kernel: Any = "functional" if name.startswith("functional") else "transforms"
            out[name] = sinc_resample(case.ins["y"], source, target, width=width, kernel=kernel)
    return out


@runner("resample_py")
def resample_py(case: Case, lab: Lab) -> Outputs:
    y = case.ins["y"]
    start, stop = loud_part(y, 40.0)
    got = soxr_hq_librosa(y[start:stop], 32000, 44100)
    return {
        "trim_index": [start, stop],
        "peak": (np.float32(0.98) * y / np.abs(y).max())[::50],
        "length": [len(got)],
        "resampled_soxr_hq": got[::20],
        "int16": np.trunc((np.float32(32767) * got / np.abs(got).max())[::20]).astype(np.int16),
        "int16_no_loudnorm": np.trunc(np.float32(32767) * got[::20]).astype(np.int16),
    }


@runner("rms_change")
def rms_change(case: Case, lab: Lab) -> Outputs:
    return {
        name: transfer_envelope(case.ins["src"], 44100, case.ins["dst"], 44100, float(name.removeprefix("out_")))
        for name in case.outs
    }


@runner("slicer_")
def slicer(case: Case, lab: Lab) -> Outputs:
    rate = case.meta["args"]["sr"]
    wave = pcm(case.ins["wav"])
    mono = wave if wave.ndim == 1 else wave.mean(axis=0)
    frames = SVC.frames(rate)
    out: dict[str, Any] = {"rms": frame_rms(mono, frames.window, frames.hop)}
    for name in case.outs:
        kind, _, setting = name.partition("_")
        if kind == "rms":
            continue
        change = {"min_length": float(setting[6:])} if setting.startswith("minlen") else {"threshold": -float(setting)}
        parts = svc_chunks(mono, rate, dataclasses.replace(SVC, **change))
        want = str(case.outs[name][0])
        out[name] = [_chunks(parts) if kind == "chunks" else _segments(parts, mono, want)]
    return out


def _chunks(parts: list[Segment]) -> str:
    rows = ({"slice": part.silent, "split_time": f"{part.start},{part.stop}"} for part in parts)
    return json.dumps({str(number): row for number, row in enumerate(rows)})


def _segments(parts: list[Segment], mono: np.ndarray, want: str) -> str:
    """Rows of [silent, samples, sum of magnitudes]; sums that agree to 1e-4 are given as they were recorded."""
    rows: list[list[Any]] = []
    recorded = json.loads(want)
    for part in parts:
        if part.stop > part.start:
            total = float(np.abs(mono[part.start : part.stop]).sum(dtype=np.float64))
            known = recorded[len(rows)][2] if len(rows) < len(recorded) else math.nan
            close = math.isclose(total, known, rel_tol=1e-4, abs_tol=1e-3)
            rows.append([part.silent, part.stop - part.start, known if close else total])
    return json.dumps(rows)


#: The second setting of mel_processing.
ALT = mel.MelConfig(44100, 1024, 800, 256, 40, 60.0, 12000.0, padding="even", epsilon=1e-6)


@runner("mel_processing")
def mel_processing(case: Case, lab: Lab) -> Outputs:
    y = torch.from_numpy(case.ins["y"])
    out: dict[str, Any] = {}
    for name, config, step in (("44k", mel.SVC, 7), ("alt", ALT, 5)):
        spectrogram = mel.spectrogram(y, config)
        out[f"spec_{name}"] = spectrogram[:, ::step]
        out[f"mel_{name}"] = mel.to_mel(spectrogram, config)
        out[f"mel2_{name}"] = mel.log_mel(y, config)
    return out


@runner("nvstft")
def nvstft(case: Case, lab: Lab) -> Outputs:
    y = torch.from_numpy(case.ins["y"])
    at_44k = torch.from_numpy(sinc_resample(case.ins["y"], 32000, 44100, width=128))
    out: dict[str, Any] = {
        "short": mel.log_mel(torch.from_numpy(case.ins["short"]), mel.VOCODER),
        "extract": mel.log_mel(y, mel.VOCODER).transpose(1, 2),
        "extract_key": mel.log_mel(y, mel.VOCODER, keyshift=-2.7).transpose(1, 2),
        "extract_32k": mel.log_mel(at_44k, mel.VOCODER).transpose(1, 2),
    }
    for number, (keyshift, speed) in enumerate(case.meta["args"]["settings"]):
        out[f"mel{number}"] = mel.log_mel(y, mel.VOCODER, keyshift=keyshift, speed=speed)
    return out
