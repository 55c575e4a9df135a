"""Memory of a conversion does not grow with the recording, and the result comes in order, as it is made.

Five minutes and two hours, two minutes and twenty with a voice of official size, through the real command.
"""

from __future__ import annotations

import pytest
from benchmarks import report, scale

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("name", scale.CASES)
def test_a_long_recording_takes_the_memory_of_a_short_one(name):
    if name != "scale":
        pytest.importorskip("torch")
    case = scale.CASES[name]
    runs = scale.measure(case, case.full)
    print(scale.table(runs))
    bars = scale.bars(case, runs)
    assert all(bar.met for bar in bars), report.bars_table(tuple(bars))
