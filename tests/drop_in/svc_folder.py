"""A folder as so-vits-svc users have it, with small nets of filled weights in files of the official layout."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
import yaml
from torch import nn

from sovits.audio.audio import Audio
from sovits.audio.encode import write
from sovits.core.checkpoint.torchwriting import NumpyArray, write_torch
from sovits.nets.diffusion.config import DiffusionConfig
from sovits.nets.diffusion.unit2mel import Unit2Mel
from sovits.nets.svc.config import SvcConfig
from sovits.nets.svc.synthesizer import Synthesizer
from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig
from tests import sounds
from tests.parity.fill import fill_svc

WIDTH = 256
SPEAKERS = {"alto": 0, "bass": 1}
MODEL = {
    "inter_channels": 192,
    "hidden_channels": 16,
    "filter_channels": 16,
    "n_heads": 2,
    "n_layers": 1,
    "kernel_size": 3,
    "p_dropout": 0.1,
    "resblock": "1",
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "upsample_rates": [8, 8, 2, 2, 2],
    "upsample_initial_channel": 32,
    "upsample_kernel_sizes": [16, 16, 4, 4, 4],
    "n_layers_trans_flow": 1,
    "n_flow_layer": 1,
    "gin_channels": WIDTH,
    "ssl_dim": WIDTH,
    "n_speakers": len(SPEAKERS),
    "vocoder_name": "nsf-hifigan",
    "speech_encoder": "vec256l9-onnx",
    "vol_embedding": False,
}
VOCODER: dict[str, Any] = {
    "sampling_rate": 44100,
    "num_mels": 128,
    "hop_size": 512,
    "n_fft": 2048,
    "win_size": 2048,
    "fmin": 40,
    "fmax": 16000,
    "upsample_initial_channel": 32,
    "upsample_rates": [8, 8, 2, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4, 4],
    "resblock": "1",
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
}
DIFFUSION: dict[str, Any] = {
    "data": {"sampling_rate": 44100, "block_size": 512, "encoder": "vec256l9-onnx", "encoder_out_channels": WIDTH},
    "model": {
        "n_layers": 2,
        "n_chans": 16,
        "n_hidden": 16,
        "n_spk": len(SPEAKERS),
        "timesteps": 1000,
        "k_step_max": 0,
        "use_pitch_aug": True,
    },
    "infer": {"method": "dpm-solver++", "speedup": 20},
    "spk": SPEAKERS,
}


def config(**model: Any) -> dict[str, Any]:
    """A ``config.json``."""
    return {
        "train": {"segment_size": 10240, "learning_rate": 0.0001, "betas": [0.8, 0.99], "eps": 1e-9},
        "data": {
            "sampling_rate": 44100,
            "hop_length": 512,
            "filter_length": 2048,
            "unit_interpolate_mode": "nearest",
        },
        "model": {**MODEL, **model},
        "spk": SPEAKERS,
    }


def state(net: nn.Module, salt: str) -> dict[str, torch.Tensor]:
    """A state dict filled by the rule of the fake official files; constants stay."""
    filled = {}
    for name, value in net.state_dict().items():
        constant = name in dict(net.named_buffers())
        filled[name] = value if constant else torch.from_numpy(fill_svc(salt, name, tuple(value.shape)))
    return filled


def generator(path: Path, salt: str = "one", **model: Any) -> Path:
    """A ``G_*.pth`` as training writes it."""
    net = Synthesizer(SvcConfig.from_official(config(**model)))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": state(net, salt), "iteration": 7, "optimizer": None, "learning_rate": 1e-4}, path)
    return path


def diffusion(folder: Path) -> None:
    """``model_0.pt`` and ``config.yaml``."""
    folder.mkdir(parents=True, exist_ok=True)
    net = Unit2Mel(DiffusionConfig.from_official(DIFFUSION))
    torch.save({"global_step": 0, "model": state(net, "diffusion")}, folder / "model_0.pt")
    (folder / "config.yaml").write_text(yaml.safe_dump(DIFFUSION))


def vocoder(folder: Path) -> None:
    """``model`` and ``config.json`` of the NSF-HiFiGAN."""
    folder.mkdir(parents=True, exist_ok=True)
    net = HifiGan(HifiGanConfig.vocoder(VOCODER))
    torch.save({"generator": state(net, "vocoder")}, folder / "model")
    (folder / "config.json").write_text(json.dumps(VOCODER))


class _Encoder(nn.Module):
    """[1, 1, samples] -> [1, frames, width], 20 ms a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, WIDTH, 400, stride=320)

    def forward(self, source: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.conv(source) * 3).transpose(1, 2)


def encoder(path: Path) -> Path:
    """A content encoder as an ONNX graph of 0.4 MB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    net = _Encoder()
    net.load_state_dict(state(net, "encoder"))
    torch.onnx.export(
        net.eval(),
        (torch.zeros(1, 1, 16000),),
        str(path),
        input_names=["source"],
        output_names=["embed"],
        dynamic_axes={"source": {2: "samples"}, "embed": {1: "frames"}},
        opset_version=16,
        dynamo=False,
    )
    return path


def clusters(path: Path, width: int = WIDTH) -> Path:
    """``kmeans_10000.pt`` with 10 centres for each speaker."""
    centres = np.random.default_rng(9).standard_normal((10, width)).astype(np.float32)
    row = {"n_features_in_": width, "_n_threads": 4, "cluster_centers_": NumpyArray(centres)}
    write_torch(path, dict.fromkeys(SPEAKERS, row))
    return path


def index(path: Path, width: int = WIDTH) -> Path:
    """``feature_and_index.pkl``: faiss indexes by speaker id, pickled as training does it."""
    made = {}
    for number in SPEAKERS.values():
        quantiser = faiss.IndexFlatL2(width)
        made[number] = faiss.IndexIVFFlat(quantiser, width, 2, faiss.METRIC_L2)
        vectors = np.random.default_rng(number).standard_normal((100, width)).astype(np.float32)
        made[number].train(vectors)
        made[number].add(vectors)
    path.write_bytes(pickle.dumps(made))
    return path


def song(path: Path, seconds: float = 0.6, rate: int = 22050) -> Path:
    """A short sung vowel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = sounds.vowel(220.0, seconds, rate)
    write(path, Audio.from_mono(np.asarray(sound.samples) * 0.5, rate))
    return path


def complete(folder: Path) -> Path:
    """Everything that ``svc infer`` may want, under the names it takes when nothing is said."""
    logs = folder / "logs" / "44k"
    generator(logs / "G_37600.pth")
    (logs / "config.json").write_text(json.dumps(config()))
    diffusion(logs / "diffusion")
    clusters(logs / "kmeans_10000.pt")
    index(logs / "feature_and_index.pkl")
    vocoder(folder / "pretrain" / "nsf_hifigan")
    encoder(folder / "pretrain" / "vec-256-layer-9.onnx")
    song(folder / "raw" / "song.wav")
    return folder
