"""Fake official files: weights filled by rule, in the wrapping of the real file, written once per lab."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from tests.parity.fill import state_svc
from tests.parity.replay import Lab

#: Wrapping of a manifest -> what the file holds.
_WRAPS = {
    "svc": lambda state, config: {"model": state, "iteration": 1, "optimizer": None, "learning_rate": 1e-4},
    "diffusion": lambda state, config: {"global_step": 1, "model": state},
    "nsf_hifigan": lambda state, config: {"generator": state},
    "model_only": lambda state, config: {"model": state},
    "config_model": lambda state, config: {"config": config, "model": state},
    "flat": lambda state, config: state,
    "config_state_dict": lambda state, config: {"state_dict": state, "config": config, "distill_linear_projs": {}},
    "cfg_model": lambda state, config: {"cfg": config, "model": state},
    "whisper": lambda state, config: {"dims": config, "model_state_dict": state},
    "fairseq": lambda state, config: {"args": None, "cfg": config, "model": state, "criterion": {}},
}


def write(lab: Lab, name: str, salt: str) -> Path:
    """The official file of a manifest, with its config beside it (``config.json``, for diffusion ``config.yaml``)."""
    manifest = lab.manifest(name)
    folder = lab.scratch / salt / name.removeprefix("manifest/").removesuffix(".json")
    path = folder / "model.pth"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kind, config = manifest["format"]["wrap"], manifest.get("config", {})
        state = {key: torch.from_numpy(value) for key, value in state_svc(manifest, salt).items()}
        text = yaml.safe_dump(config) if kind == "diffusion" else json.dumps(config)
        (folder / ("config.yaml" if kind == "diffusion" else "config.json")).write_text(text, encoding="utf-8")
        torch.save(_WRAPS[kind](state, config), path)
    return path


def write_clusters(path: Path, centres: dict[str, np.ndarray]) -> Path:
    """A k-means file: numpy arrays inside ``torch.save``."""
    torch.save(
        {
            speaker: {"n_features_in_": value.shape[1], "_n_threads": 4, "cluster_centers_": value}
            for speaker, value in centres.items()
        },
        path,
    )
    return path


def write_index(path: Path, vectors: dict[int, np.ndarray]) -> Path:
    """A retrieval file: a pickle of faiss indexes, trained as upstream trains them."""
    import faiss

    found: dict[int, Any] = {}
    for speaker, rows in vectors.items():
        lists = min(int(16 * np.sqrt(len(rows))), len(rows) // 39)
        index = faiss.index_factory(rows.shape[1], f"IVF{lists},Flat")
        faiss.extract_index_ivf(index).nprobe = 1
        index.train(rows)
        index.add(rows)
        found[speaker] = index
    path.write_bytes(pickle.dumps(found))
    return path
