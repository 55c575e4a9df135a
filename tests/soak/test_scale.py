"""Memory of a conversion does not grow with the recording: five minutes and two hours through the real command."""

from __future__ import annotations

import pytest
from benchmarks import report, scale

pytestmark = pytest.mark.soak


def test_two_hours_take_the_memory_of_five_minutes():
    runs = scale.measure(scale.FULL)
    print(scale.table(runs))
    bars = scale.bars(runs)
    assert all(bar.met for bar in bars), report.bars_table(tuple(bars))
