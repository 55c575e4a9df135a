"""Content hashes follow content, and nothing else."""

from __future__ import annotations

import hashlib

import numpy as np

from sovits.core.hashing import array_hash, file_hash, options_hash


def test_file_hash_is_sha256(tmp_path):
    path = tmp_path / "f"
    data = bytes(range(256)) * 10_000
    path.write_bytes(data)
    assert file_hash(path) == hashlib.sha256(data).hexdigest()


def test_array_hash_sees_values_type_and_shape():
    base = np.arange(6, dtype=np.float32)
    same = np.asfortranarray(base.reshape(2, 3))
    assert array_hash(same) == array_hash(base.reshape(2, 3))
    assert len({array_hash(a) for a in (base, base.reshape(2, 3), base.astype(np.float64), base + 1)}) == 4


def test_options_hash_ignores_order():
    assert options_hash({"a": 1, "b": [2, "ü"]}) == options_hash({"b": [2, "ü"], "a": 1})
    assert options_hash({"a": 1}) != options_hash({"a": 2})
