"""What we write: safetensors and settings, complete or not at all, read back to the same numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.security import forge

from sovits.core.checkpoint import inspect, read, write
from sovits.core.checkpoint.safetensors import encode
from sovits.core.checkpoint.tensors import FORMATS
from sovits.core.errors import OptionError, OutputError

RNG = np.random.default_rng(1)
ARRAYS = {
    "w": RNG.standard_normal((3, 5)).astype(np.float32),
    "h": RNG.standard_normal((2, 2)).astype(np.float16),
    "n": np.arange(7, dtype=np.int64),
    "flags": np.array([True, False]),
    "one": np.array(3.0, np.float64),
    "empty": np.zeros((0, 3), np.float32),
    "ümläut/名": np.ones(1, np.uint8),
}


def test_round_trip_with_settings_and_metadata(tmp_path):
    path = tmp_path / "voice" / "model.safetensors"
    write(path, ARRAYS, config={"rate": 44100}, metadata={"kind": "test"})
    checkpoint = read(path)
    assert checkpoint.fields["kind"] == "test"
    assert json.loads((path.parent / "config.json").read_text()) == {"rate": 44100}
    for name, array in ARRAYS.items():
        found = checkpoint.tensors[name]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert np.array_equal(found, array)
    assert sorted(item.name for item in path.parent.iterdir()) == ["config.json", "model.safetensors"]


def test_bytes_are_those_of_the_safetensors_package(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    write(tmp_path / "a.safetensors", {"w": ARRAYS["w"], "n": ARRAYS["n"]}, metadata={"a": "b"})
    found = package.load_file(tmp_path / "a.safetensors")
    assert np.array_equal(found["w"], ARRAYS["w"])
    package.save_file({"w": ARRAYS["w"], "h": ARRAYS["h"]}, tmp_path / "b.safetensors")
    assert np.array_equal(read(tmp_path / "b.safetensors").tensors["h"], ARRAYS["h"])


def test_bfloat16_rounds_to_even_and_survives_a_second_writing(tmp_path):
    values = np.array([1.0, 1.00390625, 1.01171875, -3.3, np.inf, np.nan, 0.0, 3.3895314e38], np.float32)
    write(tmp_path / "a.safetensors", {"w": values}, store_as="bfloat16")
    first = read(tmp_path / "a.safetensors")
    assert first.tensors.entry("w").stored == "bfloat16"
    # 1 + 2^-8 lies half way between 1 and 1 + 2^-7 and goes to the even one, 1 + 3 * 2^-8 goes up
    assert first.tensors["w"][:3].tolist() == [1.0, 1.0, 1.015625]
    assert np.isnan(first.tensors["w"][5])
    write(tmp_path / "b.safetensors", first.tensors)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_bfloat16_rounding_agrees_with_torch():
    torch = pytest.importorskip("torch")
    values = RNG.standard_normal(10_000).astype(np.float32)
    wanted = torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(encode(values, FORMATS["bfloat16"]), wanted)


def test_integers_keep_their_type_when_floats_are_stored_as_half(tmp_path):
    write(tmp_path / "a.safetensors", {"w": ARRAYS["w"], "n": ARRAYS["n"]}, store_as="float16")
    found = read(tmp_path / "a.safetensors").tensors
    assert (found["w"].dtype, found["n"].dtype) == (np.float16, np.int64)


def test_a_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "m.safetensors"
    write(path, {"w": ARRAYS["w"]})
    before = path.read_bytes()
    with pytest.raises(OptionError, match="complex64"):
        write(path, {"w": np.zeros(2, np.complex64)})
    with pytest.raises(OptionError, match="JSON"):
        write(path, {"w": ARRAYS["w"]}, config={"x": float("nan")})
    with pytest.raises(OptionError, match="suffix"):
        write(tmp_path / "m.pth", {})
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["m.safetensors"]
    with pytest.raises(OutputError):
        write(path / "below.safetensors", {"w": ARRAYS["w"]})


def test_summary_in_words_and_as_json(tmp_path):
    path = tmp_path / "G.pth"
    weight = {"w": forge.Tensor(np.zeros((4, 4), np.float16)), "evil\x1b[2J": forge.Tensor(np.zeros(2, np.float32))}
    path.write_bytes(forge.torch_zip({"model": weight, "iteration": 12, "config": {"data": {"sampling_rate": 44100}}}))
    summary = inspect(path)
    assert (summary.tensors, summary.parameters, summary.formats) == (2, 18, {"float16": 1, "float32": 1})
    assert summary.settings == {"data.sampling_rate": 44100, "iteration": 12}
    text = summary.text()
    assert "\x1b" not in text
    assert "[unknown]" in text
    assert summary.sha256 in text
    assert json.loads(summary.to_json())["kind"] == "unknown"


def test_summary_of_an_onnx_model(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(forge.onnx_model(forge.onnx_tensor("w", np.array([1, 2], np.float32))))
    summary = inspect(path)
    assert summary.facts["inputs"] == ["x: tensor(float) [2]"]
    assert summary.facts["opsets"] == {"ai.onnx": 13}
    assert np.array_equal(read(path).tensors["w"], np.array([1, 2], np.float32))
