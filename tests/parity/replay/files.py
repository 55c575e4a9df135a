"""Runners of what is done to official files: blending and compressing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sovits.core import checkpoint
from sovits.export import official
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, runner


def write_generator(lab: Lab, manifest: str, salt: str) -> Path:
    """A fake official generator file in the scratch folder."""
    path = lab.scratch / f"G_{salt.replace('/', '_')}_{Path(manifest).stem}.pth"
    torch.save({"model": lab.state(manifest, salt), "iteration": 7, "optimizer": None, "learning_rate": 1e-4}, path)
    return path


@runner("mix_model_")
def mix_model(case: Case, lab: Lab) -> Outputs:
    rates = case.meta["args"]["rates"]
    files = [write_generator(lab, case.meta["manifest"], f"{case.meta['salt']}-{i}") for i in range(len(rates))]
    out: dict[str, Any] = {"names": case.outs["names"]}
    for mode in ("convex", "linear"):
        target = lab.scratch / official.UPSTREAM_BLEND
        official.blend(list(zip(files, rates, strict=True)), target, mode=mode)  # type: ignore[arg-type]
        mixed = checkpoint.read(target)
        out[f"{mode}_file"] = [target.name]
        out[f"{mode}_keys"] = [json.dumps(sorted(["model", *mixed.fields]))]
        out[f"{mode}_sums"] = [float(np.asarray(mixed.tensors[str(name)], np.float64).sum()) for name in out["names"]]
        for name in case.meta["args"]["tensors"]:
            out[f"{mode}:{name}"] = np.asarray(mixed.tensors[name])
    return out


@runner("compress")
def compress(case: Case, lab: Lab) -> Outputs:
    manifest = lab.manifest(case.meta["manifest"])
    source = write_generator(lab, case.meta["manifest"], case.meta["salt"])
    out: dict[str, Any] = {}
    for name in ("full", "half"):
        target = lab.scratch / f"{source.stem}_{name}.pth"
        official.compress(source, manifest["config"], target, half=name == "half")
        written = torch.load(target, weights_only=True)
        groups = [
            {**{key: value for key, value in group.items() if key != "params"}, "params": len(group["params"])}
            for group in written["optimizer"]["param_groups"]
        ]
        top = {key: None if key in ("model", "optimizer") else value for key, value in written.items()}
        out[f"{name}_top"] = [json.dumps(top)]
        out[f"{name}_keys"] = list(written["model"])
        out[f"{name}_dtypes"] = [str(value.dtype) for value in written["model"].values()]
        out[f"{name}_optimizer"] = [json.dumps({"state": len(written["optimizer"]["state"]), "groups": groups})]
        out[f"{name}_sample"] = written["model"]["pre.weight"].float()
    return out
