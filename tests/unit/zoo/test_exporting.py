"""A voice goes out in the layout of so-vits-svc and comes back with the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sovits.core import checkpoint
from sovits.core.errors import OutputError, VoiceError
from sovits.zoo.exporting import export_upstream
from sovits.zoo.importing import Statement, add
from sovits.zoo.voice import from_references
from tests import sounds
from tests.unit.cli.conftest import store
from tests.unit.zoo import fakes
from tests.unit.zoo.test_importing import same


def test_there_and_back(tmp_path: Path) -> None:
    source = fakes.complete(tmp_path / "logs")
    voice = add([source], tmp_path / "voices", name="ann", statement=Statement(licence="MIT"))
    out = tmp_path / "out"
    written = export_upstream(voice, out)
    assert [str(path.relative_to(out)) for path in written] == [
        "G_0.pth",
        "config.json",
        "diffusion/model_0.pt",
        "diffusion/config.yaml",
        "kmeans_10000.pt",
        "feature_and_index.index",
        "card.json",
    ]
    assert all(path.is_file() for path in written)
    same(source / "G_1000.pth", out / "G_0.pth")
    same(source / "diffusion/model_800.pt", out / "diffusion/model_0.pt")
    same(source / "kmeans_10000.pt", out / "kmeans_10000.pt")
    assert (out / "config.json").read_bytes() == (source / "config.json").read_bytes()
    assert checkpoint.read(out / "diffusion/model_0.pt").fields["global_step"] == 1200
    again = add([out], tmp_path / "voices", name="again")
    assert again.card is not None
    assert again.card.licence == "MIT"  # the card travelled along
    assert voice.model is not None
    assert again.model is not None
    same(voice.model.weights, again.model.weights)


def test_torch_opens_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    voice = add([fakes.model(tmp_path / "logs", half=True)], tmp_path / "voices", name="ann")
    export_upstream(voice, tmp_path / "out")
    found = torch.load(tmp_path / "out/G_0.pth", weights_only=True)
    assert list(found) == ["model", "iteration", "optimizer", "learning_rate"]
    assert (found["iteration"], found["optimizer"], found["learning_rate"]) == (7, None, 0.0001)
    wanted = fakes.tensors(half=True)
    assert list(found["model"]) == list(wanted)
    for name, value in found["model"].items():
        assert value.dtype == torch.float16
        np.testing.assert_array_equal(value.numpy(), wanted[name])


def test_recordings_have_no_such_form(tmp_path: Path) -> None:
    voice = from_references([store(tmp_path / "a.wav", sounds.vowel(150.0, 0.3, 16000))])
    with pytest.raises(VoiceError, match="recordings and no model"):
        export_upstream(voice, tmp_path / "out")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    voice = add([fakes.model(tmp_path / "logs")], tmp_path / "voices", name="ann")
    out = tmp_path / "out"
    out.mkdir()
    export_upstream(voice, out)
    with pytest.raises(OutputError, match="not an empty folder"):
        export_upstream(voice, out)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        export_upstream(voice, tmp_path / "file" / "out")
    assert not [item for item in tmp_path.iterdir() if item.name.endswith(".part")]
