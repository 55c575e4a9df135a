"""Blends and release files: what is in them beside the weighted sums, which the recorded cases hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sovits.core import checkpoint
from sovits.core.errors import WrongModelError
from sovits.export import official
from tests.unit.zoo import fakes


def test_a_blend_keeps_the_optimizer_of_the_first_model(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    group = {"lr": 3e-4, "betas": (0.8, 0.99), "foreach": None, "amsgrad": False, "params": [0]}
    moments = {"step": torch.tensor(5.0), "exp_avg": torch.arange(3.0), "exp_avg_sq": torch.ones(3)}
    state = {"state": {0: moments}, "param_groups": [group]}
    torch.save({"model": _tensors(), "iteration": 9, "optimizer": state, "learning_rate": 1e-4}, tmp_path / "a")
    fakes.generator(tmp_path / "b")
    official.blend([(tmp_path / "a", 50), (tmp_path / "b", 50)], tmp_path / "out.pth")
    made = torch.load(tmp_path / "out.pth", weights_only=True)
    assert (made["iteration"], made["learning_rate"]) == (9, 1e-4)
    assert made["optimizer"]["param_groups"] == [group]
    assert list(made["optimizer"]["state"]) == [0]
    for name, value in moments.items():
        assert torch.equal(made["optimizer"]["state"][0][name], value)


def _tensors() -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(value) for name, value in fakes.tensors().items()}


def test_a_blend_needs_no_torch(tmp_path: Path) -> None:
    one, other = fakes.generator(tmp_path / "a.pth"), fakes.generator(tmp_path / "b.pth")
    program = (
        "import sys; sys.modules['torch'] = None; from sovits.cli.main import run; "
        f"sys.exit(run(['svc', 'mix', {f'{one}=60'!r}, {f'{other}=40'!r}, '-o', {str(tmp_path / 'c.pth')!r}]))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    left, right = (checkpoint.read(path).tensors for path in (one, tmp_path / "c.pth"))
    np.testing.assert_allclose(np.asarray(right["pre.weight"]), np.asarray(left["pre.weight"]), rtol=1e-6)


def test_number_formats_survive_a_release(tmp_path: Path) -> None:
    """A file of half precision is not blown up."""
    pytest.importorskip("torch")
    path = fakes.generator(tmp_path / "half.pth", half=True)
    official.compress(path, fakes.config(), tmp_path / "out.pth")
    made = checkpoint.read(tmp_path / "out.pth").tensors
    assert {made.entry(name).stored for name in made} == {"float16"}


def test_the_config_of_another_model(tmp_path: Path) -> None:
    path = fakes.generator(tmp_path / "G_1.pth")
    for config, words in (
        (
            fakes.config(768),
            "mine.json does not belong to .*G_1.pth: ssl_dim is 768 in the config and 256 in the model",
        ),
        ({**fakes.config(), "train": {"betas": "x"}}, "mine.json"),
        ({**fakes.config(), "train": ["x"]}, "mine.json"),
        ({"model": 3}, "mine.json"),
    ):
        with pytest.raises(WrongModelError, match=words):
            official.compress(path, config, tmp_path / "out.pth", source="mine.json")
    assert not (tmp_path / "out.pth").exists()


def test_another_kind_of_file_is_named_and_the_right_one_described(tmp_path: Path) -> None:
    fakes.diffusion(tmp_path / "model_0.pt")
    with pytest.raises(WrongModelError) as caught:
        official.compress(tmp_path / "model_0.pt", fakes.config(), tmp_path / "out.pth")
    assert "no so-vits-svc generator; it is: so-vits-svc diffusion model" in caught.value.message
    assert "G_<steps>.pth" in caught.value.hint
