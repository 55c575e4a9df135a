"""Truncated and damaged copies of honest files: read to the end or refused with a typed error, never anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sovits.core.checkpoint import flatten, inspect, read
from sovits.core.checkpoint.kinds import Kind
from sovits.core.errors import CheckpointError, CorruptFileError
from tests.security import forge

RNG = np.random.default_rng(2)
MATRIX = RNG.standard_normal((4, 6)).astype(np.float32)
TREE = {
    "model": {"a": forge.Tensor(MATRIX), "b": forge.Tensor(MATRIX.astype(np.float16))},
    "config": {"x": [1, 2.5, None, True, "text"], "y": (1, 2)},
    "learning_rate": 1e-4,
}
CENTRES = RNG.standard_normal((2, 6)).astype(np.float32)
HONEST: dict[str, bytes] = {
    "zip": forge.torch_zip(TREE),
    "headed": forge.torch_zip(TREE, head=b"05"),
    "legacy": forge.torch_legacy(TREE),
    "tar": forge.torch_tar({"a": MATRIX}),
    "safetensors": forge.safetensors(
        {"a": {"dtype": "F32", "shape": [4, 6], "data_offsets": [0, 96]}}, MATRIX.tobytes()
    ),
    "npy": forge.npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 6), }", MATRIX.tobytes()),
    "npz": forge.plain_zip(
        {"a.npy": forge.npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 6), }", MATRIX.tobytes())}, 8
    ),
    "index": forge.inverted_index(CENTRES, [(np.array([1, 0]), MATRIX[:2]), (np.array([2, 3]), MATRIX[2:])]),
    "retrieval": forge.retrieval_pickle({0: forge.flat_index(MATRIX), 1: forge.flat_index(MATRIX)}),
    "onnx": forge.onnx_model(forge.onnx_tensor("w", np.array([1, 2], np.float32))),
}


def read_all(path: Path) -> bool:
    """Whether the file was read to the last number; any error but a typed one goes through."""
    try:
        checkpoint = read(path)
        for name in checkpoint.tensors:
            checkpoint.tensors[name].copy()
        for entry in flatten(checkpoint.fields).values():
            entry.open()
        if checkpoint.kind is not Kind.ONNX:
            inspect(path).text()
    except CheckpointError:
        return False
    return True


@pytest.mark.parametrize("form", HONEST)
def test_the_honest_file_is_read(tmp_path, form):
    (tmp_path / "f").write_bytes(HONEST[form])
    assert read_all(tmp_path / "f")


@pytest.mark.parametrize("form", ["zip", "headed"])
def test_one_flipped_bit_in_the_numbers_is_seen(tmp_path, form):
    data = bytearray(HONEST[form])
    data[bytes(data).index(MATRIX.tobytes()) + 5] ^= 1
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(CorruptFileError, match="damaged"):
        read(tmp_path / "f").tensors["a"].copy()


def test_a_file_without_check_sums_is_read(tmp_path):
    torch = pytest.importorskip("torch", reason="the neural extra is not installed")
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.from_numpy(MATRIX)}, tmp_path / "f")
    finally:
        torch.serialization.set_crc32_options(before)
    np.testing.assert_array_equal(read(tmp_path / "f").tensors["a"], MATRIX)


@pytest.mark.parametrize("form", HONEST)
def test_every_truncation_is_refused(tmp_path, form):
    data = HONEST[form]
    path = tmp_path / "f"
    end = len(data) if form != "tar" else len(data.rstrip(b"\0"))  # a tar ends in padding that nobody needs
    for cut in sorted({*range(0, end, max(1, end // 150)), end - 1}):
        path.write_bytes(data[:cut])
        assert not read_all(path), f"cut at {cut} of {end}"


@pytest.mark.parametrize("form", HONEST)
def test_flipped_bits_and_overwritten_bytes_give_typed_errors_only(tmp_path, form):
    path = tmp_path / "f"
    for _ in range(300):
        data = bytearray(HONEST[form])
        for place in RNG.integers(0, len(data), RNG.integers(1, 4)):
            data[place] ^= 1 << RNG.integers(0, 8) if RNG.random() < 0.5 else int(RNG.integers(1, 256))
        path.write_bytes(data)
        read_all(path)


@pytest.mark.parametrize("form", HONEST)
def test_spliced_files_give_typed_errors_only(tmp_path, form):
    path = tmp_path / "f"
    data = HONEST[form]
    for _ in range(60):
        start, end = sorted(RNG.integers(0, len(data), 2))
        other = list(HONEST.values())[RNG.integers(0, len(HONEST))]
        path.write_bytes(data[:start] + other[: RNG.integers(0, 64)] + data[end:])
        read_all(path)
