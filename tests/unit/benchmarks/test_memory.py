"""The watcher of memory sees what a command and its children really take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from benchmarks import memory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")

_MIB = 1 << 20

#: Holds some megabytes for a while, and has as many generations of children as it is told, for which it waits.
HOLD = """
import subprocess, sys, time
depth, size = int(sys.argv[1]), int(sys.argv[2])
child = subprocess.Popen([sys.executable, "-c", sys.argv[3], str(depth - 1), *sys.argv[2:]]) if depth else None
held = bytearray(b"x") * (size << 20)
time.sleep(0.5)
if child:
    child.wait()
"""
#: Starts a child that starts one of its own and leaves; then the last one prints its number.
ORPHAN = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
time.sleep(60)
"""
LEAVING = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())])"
LEFT = """
import os, sys, time
while os.getppid() == int(sys.argv[1]):
    time.sleep(0.01)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def hold(depth: int, size: int) -> list[str]:
    return [sys.executable, "-c", HOLD, str(depth), str(size), HOLD]


def test_a_process_alone():
    usage = memory.run(hold(0, 100), interval=0.02)
    assert 100 * _MIB < usage.peak < 140 * _MIB
    assert usage.peak < usage.high_water * 1.05 < 147 * _MIB
    assert usage.processes == 1
    assert usage.looks > 3
    assert 0.5 < usage.seconds < 60


def test_what_was_given_back_is_not_held_late():
    looks = []
    code = "import time; held = bytearray(b'x') * (100 << 20); time.sleep(0.3); del held; time.sleep(1.2)"
    usage = memory.run([sys.executable, "-c", code], interval=0.02, look=lambda: looks.append(1))
    assert usage.peak > 100 * _MIB > usage.late > _MIB
    assert len(looks) == usage.looks


def test_one_process_alone_and_one_that_is_gone():
    held = bytearray(b"x") * (100 * _MIB)
    assert len(held) < memory.held(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    with pytest.raises(ProcessLookupError, match="no process"):
        memory.held(process.pid)


def test_children_and_grandchildren_count():
    usage = memory.run(hold(2, 60), interval=0.02)
    assert usage.processes == 3
    assert 180 * _MIB < usage.peak < 260 * _MIB


def test_a_child_whose_parent_ended_belongs_to_the_tree():
    command = [sys.executable, "-c", ORPHAN, LEAVING, LEFT]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            orphan = int(process.stdout.readline())
            assert memory.tree(process.pid) == sorted([process.pid, orphan])
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_processor_time_is_that_of_the_command():
    usage = memory.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"])
    assert 0.5 <= usage.cpu_seconds < 1.5


def test_a_failure_says_what_the_command_said():
    with pytest.raises(memory.CommandFailed, match=r"ended with 3: .*no such voice"):
        memory.run([sys.executable, "-c", "import sys; print('no such voice', file=sys.stderr); sys.exit(3)"])


def test_an_interrupted_watch_leaves_no_process_behind(monkeypatch):
    seen = []

    def interrupted(root: int) -> list[int]:
        seen.append(root)
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "tree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        memory.run([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.undo()
    assert memory.tree(seen[0]) == []
