"""The benchmark of many calls counts what is left behind."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from itertools import islice

import pytest
from benchmarks import endurance, report
from benchmarks.endurance import Endured, State

GOOD = Endured("tiny", 600, 700.0, 90.0, State(100, 9, 4), State(119, 9, 4), 130, 30, 0, 0.5)
#: A bar by its place in the list -> what misses it.
WORSE = {
    0: dataclasses.replace(GOOD, different=1),
    1: dataclasses.replace(GOOD, loudest=0.9995),
    2: dataclasses.replace(GOOD, last=State(119, 10, 4)),
    3: dataclasses.replace(GOOD, last=State(119, 9, 5)),
    4: dataclasses.replace(GOOD, last=State(121, 9, 4)),
}


def test_each_bar_sees_its_own():
    assert [bar.met for bar in endurance.bars([GOOD])] == [True] * len(WORSE)
    for index, one in WORSE.items():
        assert [bar.met for bar in endurance.bars([one])] == [place != index for place in WORSE]
    assert len(endurance.bars([GOOD, GOOD], full=False)) == 6


STATES = """
import os, threading
from benchmarks import endurance
before = endurance.state()
stop = threading.Event()
waiting = threading.Thread(target=stop.wait)
waiting.start()
held = bytearray(b"x") * (50 << 20)
with open(os.devnull, "rb"):
    after = endurance.state()
stop.set()
print(after.files - before.files, after.threads - before.threads, after.memory - before.memory)
"""


def test_the_state_is_that_of_this_process():
    """In a process of its own: what ran before in this one may give memory back meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", STATES], cwd=report.REPOSITORY, capture_output=True, text=True, check=True
    )
    files, threads, memory = map(int, done.stdout.split())
    assert (files, threads) == (1, 1)
    assert 50 << 20 <= memory < 100 << 20


def test_a_state_is_a_median():
    states = [State(1, 2, 3), State(9, 2, 4), State(2, 50, 5)]
    assert endurance.typical(states) == State(2, 2, 4)


@pytest.mark.parametrize("voice", endurance.OPTIONS)
def test_no_two_calls_are_alike(voice):
    calls = list(islice(endurance.calls(voice), 200))
    assert len({seconds for seconds, _ in calls}) == 200
    assert all(0.4 <= seconds <= 2 for seconds, _ in calls)
    # Every choice of options meets every tracker.
    pairs = {(repr({**options, "seed": 0, "pitch": 0}), repr(options["pitch"])) for _, options in calls}
    assert len(pairs) == len(endurance.OPTIONS[voice]) * 6


@pytest.mark.slow
def test_a_few_rounds_with_every_voice():
    pytest.importorskip("torch")
    found = endurance.measure(endurance.QUICK)
    assert all(bar.met for bar in endurance.bars(found, full=False)), endurance.table(found)
    assert [one.voice for one in found] == list(endurance.OPTIONS)
    for one in found:
        assert one.calls == endurance.QUICK.rounds * endurance.THREADS
        assert one.repeats == 2
        assert 0.9 * one.calls < one.sound < 1.5 * one.calls
        assert one.loudest > 0.01
