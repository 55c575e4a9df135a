"""The comparison itself: it accepts what the rule accepts and refuses the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.parity.golden import Case, assert_close, load, tolerance

WANT = np.asarray([0.0, 1.0, -10.0], np.float32)


def case(tolerance: Any = None, *, sensitivity: float = 0.0, want: np.ndarray = WANT) -> Case:
    meta = {"tolerance": tolerance, "sensitivity_1e-6": {"x": sensitivity}}
    return Case("made", meta, {}, {"x": want})


@pytest.mark.parametrize(
    ("stated", "sensitivity", "rtol", "atol"),
    [
        (None, 0.0, 1e-4, 1e-4),
        (None, 1e-3, 1e-4, 1e-2),
        ({"rtol": 1e-4, "atol": "1e-5 * max|out| (float32 CPU); never below 10 * sensitivity"}, 0.0, 1e-4, 1e-4),
        ({"rtol": 2e-3, "atol": "1e-4 * max|out|; gradient norms rtol 5e-3"}, 0.0, 2e-3, 1e-3),
        ({"rtol": 1e-6, "atol": "1e-6"}, 0.0, 1e-6, 1e-6),
        ("2e-6", 0.0, 1e-4, 2e-6),
        ({"float": "atol 2e-4 rtol 1e-3"}, 0.0, 1e-3, 2e-4),
        ({"float": "atol 2e-4", "x": "1e-2 (scale ~1000)"}, 0.0, 1e-4, 1e-2),
        ({"rtol": 1e-5, "atol": "exact with the same version"}, 0.0, 1e-5, 0.0),
        ("exact", 0.0, 0.0, 0.0),
        ("exact offset; scores 1e-5", 1e-9, 0.0, 1e-8),
    ],
)
def test_tolerances_as_cases_state_them(stated: Any, sensitivity: float, rtol: float, atol: float) -> None:
    assert tolerance(case(stated, sensitivity=sensitivity), "x") == pytest.approx((rtol, atol))


def test_integers_are_exact_unless_one_is_allowed() -> None:
    whole, beside = np.asarray([1, 2], np.int16), np.asarray([1, 3], np.int16)
    assert_close(whole, whole, case(want=whole), "x")
    with pytest.raises(AssertionError, match="1 of 2 values are off"):
        assert_close(beside, whole, case(want=whole), "x")
    assert_close(beside, whole, case({"rtol": 1e-4, "atol": "int16 +-1"}, want=whole), "x")


@pytest.mark.parametrize(
    "got",
    [WANT[:2], WANT + np.float32(2e-3), np.asarray([np.nan, 1, -10]), np.asarray([0, np.inf, -10])],
    ids=["shape", "value", "nan", "infinity"],
)
def test_what_differs_is_refused(got: np.ndarray) -> None:
    with pytest.raises(AssertionError, match="made/x"):
        assert_close(got, WANT, case(), "x")


def test_nan_and_infinity_meet_themselves() -> None:
    odd = np.asarray([np.nan, np.inf, -np.inf, 1.0])
    assert_close(odd, odd, case(want=odd), "x")
    text = np.asarray(["a", "b"])
    assert_close(text, text, case(want=text), "x")
    with pytest.raises(AssertionError):
        assert_close(text[::-1], text, case(want=text), "x")


def test_a_missing_case_is_named() -> None:
    with pytest.raises(AssertionError, match="no_such_case"):
        load("no_such_case")
