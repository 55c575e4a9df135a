"""Torch's zip format written without torch: torch and our own reader both give back what went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sovits.core import checkpoint
from sovits.core.checkpoint.torchwriting import NumpyArray, write_torch
from sovits.core.errors import OptionError

KINDS = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    held = {kind: (rng.standard_normal((3, 4, 5)) * 10).astype(kind) for kind in KINDS}
    held |= {"scalar": np.array(2.5), "empty": np.zeros((0, 4), np.float32)}
    held["transposed"] = rng.standard_normal((6, 7)).astype(np.float32).T
    return held


def test_our_reader_gives_it_back(tmp_path: Path) -> None:
    write_torch(tmp_path / "a.pth", {"model": arrays(), "iteration": 3, "learning_rate": 0.5})
    found = checkpoint.read(tmp_path / "a.pth")
    assert found.container == "torch zip"
    assert (found.fields["iteration"], found.fields["learning_rate"]) == (3, 0.5)
    for name, value in arrays().items():
        np.testing.assert_array_equal(found.tensors[name], value)
        assert found.tensors.entry(name).stored == value.dtype.name


def test_torch_gives_it_back(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    plain = {"none": None, "yes": True, "no": False, "big": 1 << 40, "less": -5, "text": "ä", "list": [1, (2.5, "x")]}
    write_torch(tmp_path / "a.pth", {"model": arrays(), **plain})
    for mapped in (False, True):
        found = torch.load(tmp_path / "a.pth", weights_only=True, mmap=mapped)
        for name, value in arrays().items():
            assert found["model"][name].is_contiguous()
            np.testing.assert_array_equal(found["model"][name].numpy(), value)
        assert {name: found[name] for name in plain} == plain


def test_arrays_of_numpy_stay_such(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    centres = np.random.default_rng(2).standard_normal((20, 8)).astype(np.float32)
    write_torch(tmp_path / "k.pt", {"ann": {"cluster_centers_": NumpyArray(centres), "n_features_in_": 8}})
    found = torch.load(tmp_path / "k.pt", weights_only=False)["ann"]["cluster_centers_"]
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, centres)
    np.testing.assert_array_equal(checkpoint.read(tmp_path / "k.pt").tensors["ann.cluster_centers_"], centres)


def test_bfloat16_goes_through_both_formats(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    value = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    torch.save({"model": {"w": value}}, tmp_path / "a.pth")
    checkpoint.write(tmp_path / "a.safetensors", checkpoint.read(tmp_path / "a.pth").tensors)
    write_torch(tmp_path / "b.pth", {"model": checkpoint.read(tmp_path / "a.safetensors").tensors})
    back = torch.load(tmp_path / "b.pth", weights_only=True)["model"]["w"]
    assert back.dtype == torch.bfloat16
    assert torch.equal(back, value)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        write_torch(tmp_path / name, {"model": arrays()})
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


@pytest.mark.parametrize("value", [object(), {"a": b"bytes"}, np.zeros(3, "U2"), np.zeros(3, np.uint64)])
def test_other_things_are_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(OptionError):
        write_torch(tmp_path / "a.pth", value)
    assert list(tmp_path.iterdir()) == []
