"""Memory of a process with everything it started, as Linux counts it in /proc.

What belongs to the tree: all descendants, and all processes of the session that :func:`run` opens for the command, so
that a child whose parent has ended is still counted.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds between two looks.
INTERVAL = 0.05
_PROC = Path("/proc")
_KIB = 1024


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes:
        peak: bytes; the largest sum of proportional set sizes (PSS: shared pages are split among their users) seen.
        late: bytes; as ``peak``, in the last quarter of the time: what grows with the work shows here even where
            loading took more.
        high_water: bytes; the largest sum of the kernel's own high-water marks (VmHWM) of processes alive together. It
            misses no spike between two looks, but counts shared pages once for every process.
        processes: most processes alive together.
        looks: how often memory was looked at.
        seconds: wall time.
        cpu_seconds: processor time of all processes.
    """

    peak: int
    late: int
    high_water: int
    processes: int
    looks: int
    seconds: float
    cpu_seconds: float


class CommandFailed(Exception):
    """A command ended with an exit code other than 0; says what it wrote to standard error."""


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    interval: float = INTERVAL,
    look: Callable[[], object] = lambda: None,
) -> Usage:
    """Run a command to its end and watch the memory of its process tree.

    Args:
        interval: seconds between two looks. Summing up shares of pages stops a process that takes memory meanwhile, for
            tens of milliseconds where it holds gigabytes.
        look: called at every look, to watch something else as well.

    Raises:
        CommandFailed: its exit code is not 0.
        OSError: there is no /proc, or the command cannot be started.
    """
    if not (_PROC / "self" / "stat").exists():
        raise OSError("memory is read from /proc, which this system does not have: run this on Linux")
    high_water = most = 0
    course: list[tuple[float, int]] = []
    spent, begun = _children_seconds(), time.perf_counter()
    with tempfile.TemporaryFile() as errors, _started(command, env, errors.fileno()) as process:
        while process.poll() is None:
            members = tree(process.pid)
            sizes = [size for size in map(_sizes, members) if size is not None]
            course.append((time.perf_counter() - begun, sum(now for now, _ in sizes)))
            high_water = max(high_water, sum(mark for _, mark in sizes))
            most = max(most, len(sizes))
            look()
            time.sleep(interval)
        seconds = time.perf_counter() - begun
        if process.returncode:
            errors.seek(0)
            said = errors.read()[-2000:].decode(errors="replace").strip()
            raise CommandFailed(f"{' '.join(map(str, command))} ended with {process.returncode}: {said}")
    peak = max((size for _, size in course), default=0)
    late = max((size for at, size in course if at >= 0.75 * course[-1][0]), default=0)
    return Usage(peak, late, high_water, most, len(course), seconds, _children_seconds() - spent)


def held(pid: int) -> int:
    """Bytes of memory (proportional set size) of one process alone.

    Raises:
        OSError: there is no such process.
    """
    found = _sizes(pid)
    if found is None:
        raise ProcessLookupError(f"there is no process {pid} any more")
    return found[0]


def tree(root: int) -> list[int]:
    """Process ids of ``root``, its descendants and its session, as they are now."""
    parents: dict[int, tuple[int, int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            # The name of a program may hold anything; the fields behind its closing bracket are plain.
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(entry.name)] = (int(fields[1]), int(fields[3]))
    members = {pid for pid, (_, session) in parents.items() if session == root or pid == root}
    while more := {pid for pid, (parent, _) in parents.items() if parent in members} - members:
        members |= more
    return sorted(members)


def _sizes(pid: int) -> tuple[int, int] | None:
    """Proportional set size and high-water mark of one process in bytes; ``None`` once it has ended."""
    try:
        status = _fields((_PROC / str(pid) / "status").read_text(errors="replace"))
        mark = status["VmHWM"]
        try:
            now = _fields((_PROC / str(pid) / "smaps_rollup").read_text())["Pss"]
        except PermissionError:  # hardened kernels keep the shares of pages to themselves
            now = status["VmRSS"]
    except (OSError, KeyError):  # it ended meanwhile, or has no memory any more
        return None
    return now * _KIB, mark * _KIB


def _fields(text: str) -> dict[str, int]:
    """The lines ``Name:   123 kB`` as numbers."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0])
    return found


def _children_seconds() -> float:
    """Processor time of all children of this process that have ended and been waited for, with their own."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def _started(
    command: Sequence[str | Path], env: Mapping[str, str] | None, errors: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a session of its own; should watching it end early, the session is told to stop and waited for."""
    process = subprocess.Popen(
        list(map(str, command)),
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
