"""Voices that are not what they seem, through the real command: each error names the file, what was expected, what to do.

One small voice in the layout of so-vits-svc is spoilt in one way after the other and asked to sing.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import yaml  # noqa: E402

from sovits.audio.audio import Audio  # noqa: E402
from sovits.audio.encode import write  # noqa: E402
from sovits.audio.io import read  # noqa: E402
from tests.drop_in import svc_folder  # noqa: E402
from tests.drop_in.conftest import made_once  # noqa: E402
from tests.unit.cli.conftest import Cli, Outcome, cli  # noqa: E402
from tests.unit.zoo import fakes  # noqa: E402

__all__ = ["cli", "made_once"]
pytestmark = pytest.mark.slow

USAGE, VOICE, WEIGHTS = 2, 4, 5


@pytest.fixture
def voice(made_once: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A voice that sings: generator, diffusion model, centres and index in one folder; the rest in the models folder."""
    here = Path.cwd()
    shutil.copytree(made_once / "pretrain", here / "models" / "pretrain")
    shutil.copytree(made_once / "logs" / "44k", here / "alto")
    shutil.copy(made_once / "raw" / "song.wav", here / "song.wav")
    monkeypatch.setenv("SOVITS_MODELS", str(here / "models"))
    return here / "alto"


Spoil = Callable[[Path], object]


def edit(name: str, section: str, **values: Any) -> Spoil:
    """Change values of a config."""

    def change(folder: Path) -> None:
        path = folder / name
        config = yaml.safe_load(path.read_text())
        config[section].update(values)
        path.write_text(json.dumps(config))

    return change


def replace_model(write: Callable[[Path], object]) -> Spoil:
    return lambda folder: write(folder / "G_37600.pth")


def damage_the_directory(folder: Path) -> None:
    """The directory of the archive says other places than there are."""
    path = folder / "G_37600.pth"
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    data = bytearray(path.read_bytes())
    data[start + 42 : start + 46] = (12345).to_bytes(4, "little")
    path.write_bytes(data)


def cut(share: float) -> Spoil:
    def change(folder: Path) -> None:
        path = folder / "G_37600.pth"
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return change


def nothing(folder: Path) -> None:
    """The voice stays as it is."""


def drop(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def into(name: str, text: str) -> Spoil:
    return lambda folder: (folder / name).write_text(text)


MODEL, CONFIG = "alto/G_37600.pth", "alto/config.json"
#: What a config.json of the other two projects looks like.
OF_GPT_SOVITS = {
    "train": {"segment_size": 20480},
    "data": {"sampling_rate": 32000, "hop_length": 640, "filter_length": 2048},
    "model": {"version": "v2", "semantic_frame_rate": "25hz", "inter_channels": 192, "gin_channels": 512},
}
OF_RVC = {
    "train": {"segment_size": 12800},
    "data": {"sampling_rate": 40000, "hop_length": 400, "filter_length": 2048},
    "model": {"spk_embed_dim": 109, "inter_channels": 192, "gin_channels": 256},
}

#: What is wrong -> how it is made, flags, exit code, and what the message has to say: file, what was expected, what to do.
CASES: dict[str, tuple[Spoil, str, int, tuple[str, ...]]] = {
    "a GPT-SoVITS file": (
        replace_model(fakes.gpt_sovits),
        "",
        WEIGHTS,
        (MODEL, "is: GPT-SoVITS", "hint: ", "needs a so-vits-svc G_*.pth with its config.json"),
    ),
    "an RVC file": (
        replace_model(fakes.rvc),
        "",
        WEIGHTS,
        (MODEL, "is: RVC", "hint: ", "give a so-vits-svc G_*.pth with its config.json"),
    ),
    "a discriminator": (
        replace_model(lambda path: torch.save({"model": {"discriminators.0.convs.0.weight": torch.ones(2, 2)}}, path)),
        "",
        WEIGHTS,
        (MODEL, "is: VITS discriminator", "hint: give the G_*.pth"),
    ),
    "a config of GPT-SoVITS": (
        into("config.json", json.dumps(OF_GPT_SOVITS)),
        "",
        WEIGHTS,
        (CONFIG, MODEL, "hint: give the config.json that was written when this model was trained"),
    ),
    "a config of RVC": (
        into("config.json", json.dumps(OF_RVC)),
        "",
        WEIGHTS,
        (CONFIG, MODEL, "hint: give the config.json that was written when this model was trained"),
    ),
    "no config": (drop("config.json"), "", VOICE, ("alto", "config.json", "hint: put the config.json")),
    "ssl_dim": (
        edit("config.json", "model", ssl_dim=768),
        "",
        WEIGHTS,
        (CONFIG, MODEL, "ssl_dim is 768 in the config and 256 in the model", "hint: ", "vec256l9"),
    ),
    "gin_channels": (
        edit("config.json", "model", gin_channels=768),
        "",
        WEIGHTS,
        (CONFIG, MODEL, "gin_channels is 768 in the config and 256 in the model", "hint: give the config.json"),
    ),
    "n_layers": (
        edit("config.json", "model", n_layers=6),
        "",
        WEIGHTS,
        (MODEL, "missing: enc_p.enc_.attn_layers.1", "hint: ", "sovits models inspect"),
    ),
    "hop_length": (
        edit("config.json", "data", hop_length=441),
        "",
        WEIGHTS,
        (CONFIG, "hop_length is 441, the product of upsample_rates 512", "hint: "),
    ),
    "an encoder of another width": (
        edit("config.json", "model", speech_encoder="vec768l12-onnx"),
        "",
        WEIGHTS,
        (CONFIG, "vec768l12-onnx", "reads content of width 256", "hint: ", "vec256l9"),
    ),
    "no such speaker": (nothing, "--speaker nobody", VOICE, ("'alto'", "'nobody'", "alto (0), bass (1)")),
    "no such speaker in a mix": (nothing, "--speaker-mix nobody=1", VOICE, ("'nobody'", "alto (0), bass (1)")),
    "an index of another width": (
        lambda folder: svc_folder.index(folder / "feature_and_index.pkl", 768),
        "--retrieval index --retrieval-ratio 0.5",
        WEIGHTS,
        ("alto/feature_and_index.pkl", "width 768", "256", "hint: ", "belongs to this voice"),
    ),
    "a damaged index": (
        lambda folder: (folder / "feature_and_index.pkl").write_bytes(
            (folder / "feature_and_index.pkl").read_bytes()[:5000]
        ),
        "--retrieval index --retrieval-ratio 0.5",
        WEIGHTS,
        ("alto/feature_and_index.pkl", "truncated or corrupt", "hint: "),
    ),
    "centres of another width": (
        lambda folder: svc_folder.clusters(folder / "kmeans_10000.pt", 768),
        "--retrieval-ratio 0.5",
        WEIGHTS,
        ("alto/kmeans_10000.pt", "width 768", "256", "hint: ", "belongs to this voice"),
    ),
    "no index": (
        drop("feature_and_index.pkl"),
        "--retrieval index --retrieval-ratio 0.5",
        VOICE,
        ("no retrieval index for speaker 'alto'", "hint: put feature_and_index.pkl into its folder"),
    ),
    "no encoder": (
        drop("../models/pretrain/vec-256-layer-9.onnx"),
        "",
        WEIGHTS,
        ("'vec256l9-onnx' is not on this machine", "put it at ", "models/pretrain/vec-256-layer-9.onnx"),
    ),
    "a damaged encoder": (
        into("../models/pretrain/vec-256-layer-9.onnx", "no model"),
        "",
        WEIGHTS,
        ("models/pretrain/vec-256-layer-9.onnx is no weight file of a known format", "hint: "),
    ),
    "a zip that ends early": (cut(0.7), "", WEIGHTS, (MODEL, "truncated", "hint: download it again")),
    "a zip without its last bytes": (cut(0.9999), "", WEIGHTS, (MODEL, "hint: ")),
    "a zip with a wrong directory": (damage_the_directory, "", WEIGHTS, (MODEL, "hint: ")),
    "an empty file": (cut(0.0), "", WEIGHTS, (MODEL, "is empty", "hint: download it again")),
    "k_step beyond the trained range": (
        edit("diffusion/config.yaml", "model", k_step_max=100),
        "--diffusion shallow --k-step 200",
        USAGE,
        ("k_step 200 is beyond the trained range", "'alto'", "hint: choose at most 100"),
    ),
    "a track with a gap": (
        nothing,
        "--speaker-tracks alto=[[0,0.4,1,1],[0.5,1,1,1]]",
        USAGE,
        ("speaker_tracks", "speaker 'alto'", "gap", "starts at 0.5", "ends at 0.4"),
    ),
    "a track that ends early": (
        nothing,
        "--speaker-tracks alto=[[0,0.4,1,1]]",
        USAGE,
        ("speaker_tracks", "speaker 'alto' ends at 0.4, not at 1"),
    ),
    "a diffusion model of another width": (
        edit("diffusion/config.yaml", "data", encoder_out_channels=768),
        "--diffusion shallow",
        WEIGHTS,
        ("alto/diffusion/config.yaml", "alto/diffusion/model_0.pt", "768 in the config and 256", "hint: "),
    ),
    "no vocoder": (
        drop("../models/pretrain/nsf_hifigan/model"),
        "--diffusion shallow",
        WEIGHTS,
        ("'nsf-hifigan' is not on this machine", "models/pretrain/nsf_hifigan/model"),
    ),
    "numbers that are none": (
        replace_model(
            lambda path: torch.save(
                {"model": {name: value * float("nan") for name, value in torch.load(path)["model"].items()}}, path
            )
        ),
        "",
        VOICE,
        ("'alto'", "not finite", "hint: ", "damaged"),
    ),
}


def sing(cli: Cli, *flags: str) -> Outcome:
    return cli("convert", "song.wav", "out.wav", "--voice", "alto", "--device", "cpu", *flags)


@pytest.mark.parametrize("case", CASES)
def test_a_spoilt_voice(case: str, voice: Path, cli: Cli) -> None:
    spoil, flags, code, words = CASES[case]
    spoil(voice)
    done = sing(cli, *flags.split())
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("sovits: ")
    for word in words:
        assert word in done.err
    for word in ("Traceback", "unexpected"):
        assert word not in done.err
    assert not list(Path.cwd().glob("*out*"))


def test_a_half_file_on_a_processor(voice: Path, cli: Cli) -> None:
    """It computes in single precision: near to the whole file, with nothing said."""
    assert sing(cli).code == 0
    whole = read(Path("out.wav")).samples
    path = voice / "G_37600.pth"
    held = torch.load(path, weights_only=True)
    held["model"] = {name: value.half() for name, value in held["model"].items()}
    torch.save(held, path)
    Path("out.wav").unlink()
    assert sing(cli).code == 0
    half = read(Path("out.wav")).samples
    assert half.shape == whole.shape
    assert np.abs(whole).max() > 1e-3
    assert np.corrcoef(half[0], whole[0])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("rate", "channels"), [(32000, 1), (32000, 2), (44100, 2), (8000, 1), (96000, 2)], ids=lambda value: str(value)
)
def test_sources_of_any_rate_and_channels(rate: int, channels: int, voice: Path, cli: Cli) -> None:
    """The same song at another rate, or in stereo, is sung alike."""
    song = svc_folder.song(Path("song.wav"), rate=rate)
    if channels == 2:
        mono = read(song).samples
        write(song, Audio(np.repeat(mono, 2, axis=0), rate))
    done = sing(cli)
    assert done.code == 0, done.err
    made = read(Path("out.wav"))
    assert (made.sample_rate, made.channels) == (44100, 1)
    assert made.duration == pytest.approx(0.6, abs=1e-3)
    assert np.abs(made.samples).max() > 1e-3
