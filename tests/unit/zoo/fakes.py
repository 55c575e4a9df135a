"""Small files that are what they claim to be: a so-vits-svc model and what may lie beside it, an RVC and a GPT-SoVITS file.

They hold the tensors by which the kinds are told apart, a few numbers each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import yaml

from sovits.core.checkpoint.torchwriting import NumpyArray, write_torch

WIDTH = 256


def tensors(width: int = WIDTH, rows: int = 3, *, half: bool = False) -> dict[str, Any]:
    """A generator of 4.1 with 8 hidden channels."""
    rng = np.random.default_rng(width + rows)
    shapes = {
        "pre.weight": (8, width, 5),
        "pre.bias": (8,),
        "emb_g.weight": (rows, 6),
        "emb_uv.weight": (2, 8),
        "enc_p.f0_emb.weight": (256, 8),
        "f0_decoder.prenet.weight": (8, 8, 3),
        "dec.conv_pre.weight": (4, 8, 7),
    }
    kind = np.float16 if half else np.float32
    return {name: rng.standard_normal(shape).astype(kind) for name, shape in shapes.items()}


def config(width: int = WIDTH, rows: int = 3, **model: Any) -> dict[str, Any]:
    return {
        "train": {"segment_size": 10240, "learning_rate": 0.0002},
        "data": {"sampling_rate": 44100, "hop_length": 512, "filter_length": 2048},
        "model": {
            "ssl_dim": width,
            "gin_channels": 6,
            "n_speakers": rows,
            "hidden_channels": 8,
            "speech_encoder": "vec256l9" if width == 256 else "vec768l12",
            **model,
        },
        "spk": {"alpha": 0, "beta": 1},
    }


def generator(path: Path, **given: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_torch(path, {"model": tensors(**given), "iteration": 7, "optimizer": None, "learning_rate": 0.0001})
    return path


def settings(path: Path, values: dict[str, Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config() if values is None else values), encoding="utf-8")
    return path


def model(folder: Path, *, name: str = "G_1000.pth", **given: Any) -> Path:
    """A model folder: the generator and its config."""
    generator(folder / name, **given)
    settings(folder / "config.json")
    return folder


def diffusion(path: Path, width: int = WIDTH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    held = {
        "unit_embed.weight": rng.standard_normal((4, width)).astype(np.float32),
        "decoder.denoise_fn.input_projection.weight": rng.standard_normal((4, 128, 1)).astype(np.float32),
        "decoder.betas": np.linspace(0, 1, 10, dtype=np.float32),
    }
    write_torch(path, {"global_step": 1200, "model": held})
    return path


def diffusion_settings(path: Path, width: int = WIDTH) -> Path:
    path.write_text(
        yaml.safe_dump({"data": {"encoder_out_channels": width}, "model": {"n_spk": 1, "timesteps": 10}}),
        encoding="utf-8",
    )
    return path


def clusters(path: Path, width: int = WIDTH) -> Path:
    centres = np.random.default_rng(9).standard_normal((10, width)).astype(np.float32)
    row = {"n_features_in_": width, "_n_threads": 4, "cluster_centers_": NumpyArray(centres)}
    write_torch(path, {"alpha": row, "beta.2": row})
    return path


def index(path: Path, width: int = WIDTH) -> Path:
    vectors = np.random.default_rng(11).standard_normal((50, width)).astype(np.float32)
    made = faiss.IndexFlatL2(width)
    made.add(vectors)
    faiss.write_index(made, str(path))
    return path


def complete(folder: Path) -> Path:
    """A model folder with everything a voice may have."""
    model(folder)
    diffusion(folder / "diffusion" / "model_800.pt")
    diffusion_settings(folder / "diffusion" / "config.yaml")
    clusters(folder / "kmeans_10000.pt")
    index(folder / "feature.index")
    return folder


def rvc(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {name: np.zeros((2, 2), np.float32) for name in ("enc_p.emb_phone.weight", "dec.conv_pre.weight")}
    write_torch(path, {"weight": held, "config": [1, 2], "info": "20epoch", "sr": "40k", "f0": 1, "version": "v2"})
    return path


def gpt_sovits(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {
        name: np.zeros((2, 2), np.float32)
        for name in ("model.ar_text_embedding.word_embeddings.weight", "model.ar_predict_layer.weight")
    }
    write_torch(path, {"weight": held, "config": {"model": {"embedding_dim": 2}}, "info": "GPT-e15"})
    return path
