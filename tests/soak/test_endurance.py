"""A program that converts for hours with a loaded voice does not grow, and gives the same bytes at the end."""

from __future__ import annotations

import pytest
from benchmarks import endurance, report

pytestmark = pytest.mark.soak

pytest.importorskip("torch")


def test_hundreds_of_calls_leave_nothing_behind():
    found = endurance.measure(endurance.FULL)
    print(endurance.table(found))
    bars = endurance.bars(found)
    assert all(bar.met for bar in bars), report.bars_table(tuple(bars))
