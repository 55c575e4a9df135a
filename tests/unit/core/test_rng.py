"""Named streams: repeatable, independent of each other and of order; the two recorded rules."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from sovits.core.rng import SeededNoise, ShapeNoise, ZeroNoise


def test_same_seed_same_bytes():
    one, two = SeededNoise(7), SeededNoise(7)
    assert one.normal("a", (3, 5)).tobytes() == two.normal("a", (3, 5)).tobytes()


def test_a_draw_on_one_name_does_not_move_another():
    one, two = SeededNoise(7), SeededNoise(7)
    one.normal("other", (1000,))
    assert one.normal("a", (8,)).tobytes() == two.normal("a", (8,)).tobytes()


def test_a_stream_goes_on():
    noise = SeededNoise(1)
    first, second = noise.normal("a", (4,)), noise.normal("a", (4,))
    assert not np.array_equal(first, second)
    assert np.array_equal(np.concatenate([first, second]), SeededNoise(1).normal("a", (8,)))


def test_children_differ_by_path_and_seed():
    draws = {
        SeededNoise(1).child("a").normal("x", (4,)).tobytes(),
        SeededNoise(1).child("b").normal("x", (4,)).tobytes(),
        SeededNoise(1).child("a").child("a").normal("x", (4,)).tobytes(),
        SeededNoise(2).child("a").normal("x", (4,)).tobytes(),
        SeededNoise(1).normal("x", (4,)).tobytes(),
    }
    assert len(draws) == 5


def test_distributions():
    noise = SeededNoise(3)
    normal = noise.normal("n", (200_000,))
    assert abs(normal.mean()) < 0.01
    assert normal.std() == pytest.approx(1, abs=0.01)
    uniform = noise.uniform("u", (200_000,), -2, 6)
    assert uniform.min() >= -2
    assert uniform.max() < 6
    assert uniform.mean() == pytest.approx(2, abs=0.02)
    assert set(noise.integers("i", (1000,), 2, 5).tolist()) == {2, 3, 4}
    assert sorted(noise.permutation("p", 50).tolist()) == list(range(50))
    assert noise.exponential("e", (200_000,)).mean() == pytest.approx(1, abs=0.02)


def test_everything_is_float32_or_int64():
    for noise in (SeededNoise(0), ZeroNoise(), ShapeNoise("s")):
        assert noise.normal("a", (2,)).dtype == np.float32
        assert noise.uniform("a", (2,)).dtype == np.float32
        assert noise.exponential("a", (2,)).dtype == np.float32
        assert noise.integers("a", (2,), 0, 3).dtype == np.int64
        assert noise.permutation("a", 2).dtype == np.int64


def test_zero_rule():
    noise = ZeroNoise(exponential_value=1.0)
    assert not noise.normal("a", (2, 2)).any()
    assert noise.uniform("a", (3,), 0.8, 1.2).tolist() == [np.float32(0.8)] * 3
    assert noise.integers("a", (2,), 4, 9).tolist() == [4, 4]
    assert noise.permutation("a", 4).tolist() == [0, 1, 2, 3]
    assert noise.exponential("a", (2,)).tolist() == [1, 1]
    assert noise.child("b") is noise


def test_shape_rule_depends_on_shape_and_salt_alone():
    noise = ShapeNoise("public0")
    key = zlib.crc32(b"public0:noise:2x3")
    want = np.random.Generator(np.random.PCG64(key)).standard_normal((2, 3)).astype(np.float32)
    assert np.array_equal(noise.normal("a", (2, 3)), want)
    assert np.array_equal(noise.child("c").normal("b", (2, 3)), want)
    assert not np.array_equal(ShapeNoise("x").normal("a", (2, 3)), want)
    assert not noise.uniform("a", (2,)).any()
