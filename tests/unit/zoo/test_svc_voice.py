"""Voices from official files: what fits loads strictly, what does not is named with the way out."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import yaml  # noqa: E402

from sovits.core.device import Compute  # noqa: E402
from sovits.core.errors import (  # noqa: E402
    CorruptFileError,
    MissingWeightsError,
    OptionError,
    PathError,
    VoiceError,
    WrongModelError,
)
from sovits.core.progress import Cancel  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.zoo.building import load_generator  # noqa: E402
from sovits.zoo.svc_files import SvcFiles  # noqa: E402
from sovits.zoo.svc_voice import load_svc_voice, vocoder_part  # noqa: E402
from sovits.zoo.tables import CONTENT, content_encoder  # noqa: E402
from sovits.zoo.weights import OFFICIAL  # noqa: E402
from tests.parity import official  # noqa: E402
from tests.parity.golden import SALT  # noqa: E402
from tests.parity.replay import Lab  # noqa: E402
from tests.parity.replay.__main__ import COMMITTED  # noqa: E402
from tests.tiny import SameContent, options, sung  # noqa: E402


class Wide(SameContent):
    """Stands in for HuBERT-Soft."""

    dim = 256

    def encode(self, samples: np.ndarray, cancel: Cancel | None = None) -> torch.Tensor:
        return torch.ones(self.dim, max(1, len(samples) // 320))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(COMMITTED, tmp_path_factory.mktemp("official"))


@pytest.fixture
def folder(lab: Lab, tmp_path: Path) -> Path:
    """A voice's folder as upstream lays it out."""
    model, diffusion = official.write(lab, "small/svc_soft", SALT), official.write(lab, "small/diff_soft", SALT)
    (tmp_path / "diffusion").mkdir()
    shutil.copy(model, tmp_path / "G_800.pth")
    shutil.copy(model, tmp_path / "G_2400.pth")
    shutil.copy(model.parent / "config.json", tmp_path / "config.json")
    shutil.copy(diffusion, tmp_path / "diffusion" / "model_4000.pt")
    shutil.copy(diffusion.parent / "config.yaml", tmp_path / "diffusion" / "config.yaml")
    official.write_clusters(tmp_path / "kmeans_10000.pt", {"alpha": np.eye(256, dtype=np.float32)[:9]})
    return tmp_path


def edit(path: Path, section: str, **values: Any) -> None:
    """Change a config in place; ``None`` takes a key out."""
    config = yaml.safe_load(path.read_text())
    for key, value in values.items():
        config[section].pop(key, None)
        if value is not None:
            config[section][key] = value
    path.write_text(json.dumps(config))


def test_a_folder_is_read_by_content(folder: Path) -> None:
    files = SvcFiles.in_folder(folder)
    assert files.model == folder / "G_2400.pth"
    assert files.config == folder / "config.json"
    assert files.diffusion == folder / "diffusion" / "model_4000.pt"
    assert files.diffusion_config == folder / "diffusion" / "config.yaml"
    assert files.clusters == folder / "kmeans_10000.pt"
    assert files.index is None


def test_a_loaded_voice(folder: Path, lab: Lab) -> None:
    vocoder = official.write(lab, "small/nsf", SALT)
    voice = load_svc_voice(folder, encoder=Wide(), vocoder=vocoder)
    assert (voice.sample_rate, voice.hop, voice.unit_mode) == (44100, 512, "nearest")
    assert voice.speakers == {"alpha": 0, "beta": 1, "gamma": 2, "delta": 3}
    assert not hasattr(voice.generator, "enc_q")
    out = SvcEngine(voice).convert(
        sung(0.6), None, options(diffusion="shallow", speedup=50, retrieval_ratio=0.5), SeededNoise(0)
    )
    assert out.length == sung(0.6).length


def test_a_half_file_computes_in_single_precision_on_a_cpu(folder: Path) -> None:
    held = torch.load(folder / "G_2400.pth", weights_only=True)
    held["model"] = {name: value.half() for name, value in held["model"].items() if "enc_q" not in name}
    torch.save(held, folder / "G_2400.pth")
    voice = load_svc_voice(dataclasses.replace(SvcFiles.in_folder(folder), diffusion=None), encoder=Wide())
    assert {value.dtype for value in voice.generator.parameters()} == {torch.float32}
    assert SvcEngine(voice).convert(sung(0.3), None, options(), SeededNoise(0)).length == sung(0.3).length


def test_a_config_without_an_encoder_means_what_the_width_says(folder: Path) -> None:
    edit(folder / "config.json", "model", speech_encoder=None)
    with pytest.raises(MissingWeightsError, match=r"contentvec.*checkpoint_best_legacy_500\.pt"):
        load_svc_voice(folder)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"ssl_dim": 768}, r"ssl_dim is 768 in the config and 256 in the model.*vec256l9"),
        ({"gin_channels": 256}, r"gin_channels is 256 in the config and 24 in the model"),
        ({"n_speakers": 200}, r"n_speakers is 200 in the config and 4 in the model"),
        ({"vol_embedding": True}, r"vol_embedding is True in the config and False"),
        ({"n_layers": 3}, r"missing: enc_p\.enc_\.attn_layers\.2"),
        ({"use_transformer_flow": True}, r"does not fit"),
    ],
)
def test_a_config_of_another_model(folder: Path, values: dict[str, Any], text: str) -> None:
    edit(folder / "config.json", "model", **values)
    with pytest.raises(WrongModelError, match=text):
        load_svc_voice(folder, encoder=Wide())


def test_tensors_that_are_left_over_are_named(folder: Path) -> None:
    held = torch.load(folder / "G_2400.pth", weights_only=True)
    held["model"]["dec.surplus.weight"] = torch.ones(3)
    torch.save(held, folder / "G_2400.pth")
    with pytest.raises(WrongModelError, match=r"1 left over: dec\.surplus\.weight"):
        load_svc_voice(folder, encoder=Wide())


def test_an_encoder_of_another_width(folder: Path) -> None:
    with pytest.raises(WrongModelError, match=r"content of width 256.*gives 32.*speech_encoder"):
        load_svc_voice(folder, encoder=SameContent())


def test_a_missing_encoder_says_which_file_goes_where(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"hubertsoft.*pretrain/hubert-soft-0d54a1f4\.pt"):
        load_svc_voice(folder, models=tmp_path / "models")


@pytest.mark.parametrize(
    ("tensors", "label"),
    [
        ({"enc_p.ssl_proj.weight": (2, 2, 1), "quantizer.vq.layers.0._codebook.embed": (2, 2)}, "GPT-SoVITS s2"),
        ({"enc_p.emb_phone.weight": (2, 768), "emb_g.weight": (2, 2)}, "RVC model"),
    ],
)
def test_a_file_of_another_project(folder: Path, tensors: dict[str, tuple[int, ...]], label: str) -> None:
    state = {name: torch.ones(shape) for name, shape in tensors.items()} | {"dec.conv_pre.weight": torch.ones(2, 2, 7)}
    torch.save({"weight": state}, folder / "other.pth")
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(WrongModelError, match=f"other.pth is no so-vits-svc generator; it is: {label}"):
        load_generator(folder / "other.pth", config, Compute())


def test_no_config_and_no_model(folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(PathError, match=r"no config\.json beside"):
        load_svc_voice(folder, encoder=Wide())
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(VoiceError, match="holds no so-vits-svc model"):
        load_svc_voice(empty)
    with pytest.raises(PathError, match="no such folder"):
        load_svc_voice(tmp_path / "nowhere")


def test_a_damaged_model(folder: Path) -> None:
    path = folder / "G_2400.pth"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CorruptFileError, match="G_2400"):
        load_svc_voice(SvcFiles(path, folder / "config.json"), encoder=Wide())
    (folder / "G_800.pth").unlink()
    shutil.rmtree(folder / "diffusion")
    with pytest.raises(VoiceError, match="G_2400"):
        load_svc_voice(folder, encoder=Wide())


@pytest.mark.parametrize(
    ("section", "values", "text"),
    [
        ("data", {"encoder_out_channels": 768}, r"encoder_out_channels is 768 in the config and 256"),
        ("model", {"n_spk": 9}, r"n_spk is 9 in the config and 4"),
        ("data", {"sampling_rate": 32000}, r"does not fit the generator.*32000.*44100"),
        ("data", {"block_size": 256}, r"does not fit the generator: it has a hop of 256"),
    ],
)
def test_a_diffusion_model_that_does_not_fit(folder: Path, section: str, values: dict[str, Any], text: str) -> None:
    edit(folder / "diffusion" / "config.yaml", section, **values)
    with pytest.raises(WrongModelError, match=text):
        load_svc_voice(folder, encoder=Wide())


def test_centres_of_another_width(folder: Path) -> None:
    official.write_clusters(folder / "kmeans_10000.pt", {"alpha": np.ones((4, 768), np.float32)})
    with pytest.raises(WrongModelError, match=r"kmeans_10000\.pt holds content of width 768, this voice reads 256"):
        load_svc_voice(folder, encoder=Wide())


def test_an_unknown_stretch(folder: Path) -> None:
    edit(folder / "config.json", "data", unit_interpolate_mode="cubic")
    with pytest.raises(OptionError, match="cubic"):
        load_svc_voice(folder, encoder=Wide())


def test_a_diffusion_model_alone_is_a_voice(folder: Path, lab: Lab) -> None:
    files = dataclasses.replace(SvcFiles.in_folder(folder), model=None, config=None, clusters=None)
    voice = load_svc_voice(files, encoder=Wide(), vocoder=official.write(lab, "small/nsf", SALT))
    assert voice.generator is None
    with pytest.raises(VoiceError, match="only a diffusion model"):
        SvcEngine(voice).convert(sung(0.3), None, options(), SeededNoise(0))
    out = SvcEngine(voice).convert(sung(0.3), None, options(diffusion="alone", speedup=100), SeededNoise(0))
    assert out.length == sung(0.3).length


def test_a_vocoder_without_its_config(lab: Lab, tmp_path: Path) -> None:
    shutil.copy(official.write(lab, "small/nsf", SALT), tmp_path / "model")
    with pytest.raises(PathError, match=r"config\.json"):
        vocoder_part(tmp_path / "model", Compute())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WrongModelError, match="not the config of an NSF-HiFiGAN"):
        vocoder_part(tmp_path / "model", Compute())


def test_every_encoder_has_a_file_and_a_width() -> None:
    assert len(CONTENT.names()) >= 13
    for name in CONTENT.names():
        facts = CONTENT.facts(name)
        assert facts["weights"] in OFFICIAL
        assert facts["dim"] in (256, 768, 1024, 1280)


@pytest.mark.parametrize(
    ("name", "manifest", "file", "width"),
    [
        ("vec768l12", "small/contentvec", "checkpoint_best_legacy_500.pt", None),
        ("vec256l9", "small/contentvec", "checkpoint_best_legacy_500.pt", None),
        ("cnhubertlarge", "small/cnhubert", "chinese-hubert-large-fairseq-ckpt.pt", None),
        ("wavlmbase+", "small/wavlm", "WavLM-Base+.pt", None),
        ("dphubert", "small/dphubert", "DPHuBERT-sp0.75.pth", None),
        ("whisper-ppg", "small/whisper", "medium.pt", None),
    ],
)
def test_encoders_from_their_files(
    lab: Lab, tmp_path: Path, name: str, manifest: str, file: str, width: int | None
) -> None:
    (tmp_path / "pretrain").mkdir()
    shutil.copy(official.write(lab, manifest, SALT), tmp_path / "pretrain" / file)
    encoder = content_encoder(name, models=tmp_path)
    units = encoder.encode(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32))
    assert units.shape[0] == encoder.dim
    assert abs(units.shape[1] - 50) <= 1
    assert torch.isfinite(units).all()
    assert encoder.encode(np.zeros(10, np.float32)).shape[1] >= 1


def test_whisper_hears_more_than_thirty_seconds(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "pretrain").mkdir()
    shutil.copy(official.write(lab, "small/whisper", SALT), tmp_path / "pretrain" / "medium.pt")
    encoder = content_encoder("whisper-ppg", models=tmp_path)
    sound = np.random.default_rng(0).normal(0, 0.1, 16000 * 41 + 77).astype(np.float32)
    assert encoder.encode(sound).shape[1] == len(sound) // 320


def test_an_encoder_file_of_another_kind(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "pretrain").mkdir()
    shutil.copy(official.write(lab, "small/whisper", SALT), tmp_path / "pretrain" / "WavLM-Base+.pt")
    with pytest.raises(WrongModelError, match="Whisper, wanted WavLM"):
        content_encoder("wavlmbase+", models=tmp_path)
