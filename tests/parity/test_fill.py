"""The fill rules give the very bytes that the golden cases were made with."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tests.parity.fill import fill_gsv, state_gsv, state_svc
from tests.parity.golden import DATA

DIGESTS = json.loads((DATA / "svc" / "fill_check.json").read_text())["digests"]
FOLDER = DATA / "svc" / "manifest"
KEYS = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.json"))


def _elements(key: str) -> int:
    return int(json.loads((FOLDER / f"{key}.json").read_text()).get("n_elements", 0))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key, marks=[pytest.mark.slow] if _elements(key) > 5e6 else [])
        for key in KEYS
        if key in DIGESTS and _elements(key) < 8e7  # beyond, the draws alone take minutes and gigabytes
    ],
)
def test_singing_side_against_its_digests(key: str) -> None:
    manifest = json.loads((FOLDER / f"{key}.json").read_text())
    for salt, wanted in DIGESTS[key].items():
        digest = hashlib.sha256()
        for name, values in state_svc(manifest, salt).items():
            digest.update(name.encode())
            digest.update(values.tobytes())
        assert digest.hexdigest() == wanted, f"{key} under the salt {salt}"


# Last value of each line of the rule, as the reference script of the speech side gives it.
SPEECH = [
    ("bn.num_batches_tracked", (), "int64", 0.0),
    ("quantizer.vq.layers.0._codebook.inited", (1,), "float32", 1.0),
    ("conv_post.weight_g", (1, 1, 1), "float32", 0.04504014924168587),
    ("dec.conv_pre.weight_g", (4, 1, 1), "float32", 0.9973329901695251),
    ("bn.running_mean", (4,), "float32", 0.012016321532428265),
    ("bert.embeddings.weight", (4, 3), "float32", -0.13307534158229828),
    ("enc.emb_rel_k", (1, 9, 4), "float32", 0.4353419542312622),
    ("model.h.layers.0.self_attn.in_proj_weight", (12, 4), "float16", 0.5029746890068054),
    ("model.h.layers.0.self_attn.out_proj.weight", (4, 4), "float16", -0.09398850053548813),
    ("model.h.layers.0.linear1.weight", (8, 4), "float16", -0.3113290071487427),
    ("model.ar_text_position.alpha", (1,), "float16", 1.0597078800201416),
    ("model.bert_proj.bias", (4,), "float16", 0.05365048721432686),
]


@pytest.mark.parametrize(("name", "shape", "dtype", "wanted"), SPEECH, ids=[row[0] for row in SPEECH])
def test_speech_side_line_by_line(name: str, shape: tuple[int, ...], dtype: str, wanted: float) -> None:
    values = fill_gsv("public0", name, shape, dtype)
    assert values.shape == shape
    assert float(values.reshape(-1)[-1]) == wanted


def test_speech_side_follows_manifest_and_edits() -> None:
    manifest = json.loads((DATA / "gsv" / "manifest" / "reduced" / "s1_small.json").read_text())
    plain = state_gsv(manifest, "public0")
    assert {name: list(values.shape) for name, values in plain.items()} == {
        name: shape for name, (shape, _) in manifest["tensors"].items()
    }
    name = "model.ar_predict_layer.weight"
    edited = state_gsv(manifest, "public0", edits=[{"name": name, "row": 1024, "factor": 3.0}])
    np.testing.assert_array_equal(edited[name][1024], plain[name][1024] * 3)
    np.testing.assert_array_equal(edited[name][:1024], plain[name][:1024])
