"""Runners of training data and the upkeep of checkpoints."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import numpy as np
import torch

from sovits.datasets.diffusion import DiffusionRecording, Shifted, crop_frames, cut
from sovits.datasets.svc import assemble, collate, upstream_order
from sovits.features.mel import SVC, spectrogram
from sovits.training.checkpoints import latest, surplus
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, runner

SPEAKERS = (0, 1, 0)
RATE, HOP = 44100, 512


@runner("dataset_svc")
def dataset_svc(case: Case, lab: Lab) -> Outputs:
    args, items = case.meta["args"], {}
    for i, speaker in enumerate(SPEAKERS):
        wave = case.ins[f"wav{i}"].astype(np.float32) / 32768
        spec = spectrogram(torch.from_numpy(wave)[None], SVC)[0].numpy()
        items[f"{i}.wav"] = assemble(
            f"{i}.wav",
            case.ins[f"soft{i}"][0],
            case.ins[f"f0{i}"],
            case.ins[f"uv{i}"],
            spec,
            wave,
            speaker,
            case.ins.get(f"vol{i}") if args["vol"] else None,
            hop=HOP,
            mode=args["mode"],
        )
    order = upstream_order(list(items))
    batch = collate([items[name] for name in order])
    return {
        "order": [json.dumps(order)],
        "c": batch.content,
        "f0": batch.f0,
        "spec_every_41st_bin": batch.spec[:, ::41],
        "wav": batch.wave,
        "spk": batch.speaker,
        "lengths": batch.lengths,
        "uv": batch.voiced,
        "vol": batch.volume,
        "vol_none": [batch.volume is None],
    }


@runner("dataset_diff")
def dataset_diff(case: Case, lab: Lab) -> Outputs:
    out: dict[str, Any] = {}
    recordings, seconds = [], []
    for i, speaker in enumerate(SPEAKERS):
        mel, vol = case.ins[f"mel{i}"], case.ins[f"vol{i}"]
        twin = Shifted(mel.astype(np.float64) + 1, 0.5 * vol, 2.5)
        recordings.append(DiffusionRecording(case.ins[f"soft{i}"][0], case.ins[f"f0{i}"], vol, mel, speaker, twin))
        seconds.append(len(case.ins[f"wav{i}"]) / RATE)
    frames = crop_frames(0.2, RATE, HOP)
    for kind in ("whole", "crop", "fp16"):
        draws = random.Random(7)
        for i, recording in enumerate(recordings):
            if kind == "whole":
                item = cut(recording, 0, None, mode="nearest")
            else:
                start = int(draws.uniform(0, seconds[i] - 0.2 - 0.1) * RATE / HOP)
                chosen = draws.choice((True, False))
                source = recording.halved() if kind == "fp16" else recording
                item = cut(source, start, frames, mode="nearest", augmented=chosen and kind == "crop")
            out |= {
                f"{kind}{i}_mel": item.mel,
                f"{kind}{i}_f0": item.f0,
                f"{kind}{i}_volume": item.volume,
                f"{kind}{i}_units": item.units,
                f"{kind}{i}_spk_id": [item.speaker],
                f"{kind}{i}_aug_shift": [[item.semitones]],
                f"{kind}{i}_name": [str(i)],
                f"{kind}{i}_name_ext": [f"{i}.wav"],
            }
    return out


@runner("housekeeping")
def housekeeping(case: Case, lab: Lab) -> Outputs:
    """The set of files that FILL.md names, modification times rising with the number, except the oldest G_10000."""
    folder = lab.scratch / "run"
    folder.mkdir(exist_ok=True)
    names = ["G_0", "G_200_0", "G_1600", "G_2400", "G_10000", "D_0", "D_2400", "D_10000"]
    for age, name in enumerate(names):
        path = folder / f"{name}.pth"
        path.touch()
        moment = 1_000_000 + (0 if name == "G_10000" else 10 * (age + 1))
        os.utime(path, (moment, moment))
    (folder / "config.json").touch()
    found = {letter: latest(folder, letter, compat="upstream") for letter in "GD"}
    for path in surplus(folder, 2):
        path.unlink()
    return {
        **{f"latest_{letter}": [json.dumps(path.name if path else None)] for letter, path in found.items()},
        "left_by_time": [json.dumps(sorted(path.name for path in folder.iterdir()))],
    }
