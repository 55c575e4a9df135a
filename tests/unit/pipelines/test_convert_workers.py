"""Worker processes: results, errors, crashes, progress and stopping, with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from sovits.core.errors import AudioError, CancelledError, MissingDependencyError, ResourceError
from sovits.core.progress import SILENT, Cancel, Progress, Stage
from sovits.pipelines.workers import run_all


@dataclass(frozen=True)
class Setup:
    """What the tests send to a worker; tasks are little programs."""

    broken: bool = False

    def __call__(self) -> Setup:
        if self.broken:
            raise MissingDependencyError("no such package", hint="install it")
        return Doing()


class Doing(Setup):
    def __call__(self, task: str, progress: Progress, cancel: Cancel) -> object:  # type: ignore[override]
        verb, _, rest = task.partition(" ")
        if verb == "audio":
            raise AudioError(f"bad {rest}", hint="a hint")
        if verb == "bug":
            raise ZeroDivisionError(rest)
        if verb == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if verb == "write":
            return self._write(Path(rest), cancel)
        if verb == "stuck":
            return self._stuck(Path(rest))
        with progress.stage(task, 2) as stage:
            stage.advance()
            stage.advance()
        return os.getpid()

    def _write(self, path: Path, cancel: Cancel) -> None:
        path.write_text("half")
        try:
            while not cancel.cancelled:
                time.sleep(0.01)
        finally:
            path.unlink()

    def _stuck(self, path: Path) -> None:
        """Work that never asks whether it should stop."""
        path.write_text("half")
        try:
            time.sleep(60)
        finally:
            path.unlink()


class Recorder:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.open: dict[str, float] = {}
        self.closed: list[str] = []

    def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
        recorder = self
        self.open[name] = 0.0

        class Recorded(Stage):
            def advance(self, amount: float = 1.0) -> None:
                recorder.open[name] += amount

            def close(self) -> None:
                recorder.closed.append(name)

        return Recorded()


def outcomes(tasks: list[str], jobs: int, **setup: bool) -> dict[int, object]:
    return dict(run_all(Setup(**setup), tasks, jobs, SILENT, Cancel()))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_task_does_not_stop_the_others(jobs: int) -> None:
    found = outcomes(["audio one", "ok", "bug two", "ok", "ok"], jobs)
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert isinstance(found[0], AudioError)
    assert found[0].hint == "a hint"
    assert isinstance(found[2], Exception)
    assert "two" in str(found[2])
    here = os.getpid()
    assert all((found[index] == here) is (jobs == 1) for index in (1, 3, 4))


def test_a_worker_that_dies_costs_its_task_only() -> None:
    found = outcomes(["ok", "die", "ok", "die", "ok"], 2)
    assert isinstance(found[1], ResourceError)
    assert isinstance(found[3], ResourceError)
    assert all(isinstance(found[index], int) for index in (0, 2, 4))


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_no_task_can_do_without_is_raised(jobs: int) -> None:
    with pytest.raises(MissingDependencyError, match="no such package"):
        outcomes(["ok", "ok", "ok"], jobs, broken=True)


def test_progress_reaches_the_parent() -> None:
    progress = Recorder()
    assert len(list(run_all(Setup(), ["first", "second"], 2, progress, Cancel()))) == 2
    assert sorted(progress.open) == ["first", "second"]
    assert sorted(progress.closed) == ["first", "second"]
    assert all(amount >= 1 for amount in progress.open.values())


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["write", "stuck"])
def test_cancelling_stops_the_workers_and_lets_them_clean_up(tmp_path: Path, verb: str) -> None:
    cancel = Cancel()
    parts = [tmp_path / "a", tmp_path / "b"]
    work = run_all(Setup(), ["ok", *(f"{verb} {part}" for part in parts)], 3, SILENT, cancel)
    next(work)
    deadline = time.monotonic() + 30
    while not all(part.exists() for part in parts) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(part.exists() for part in parts)
    cancel.cancel()
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        list(work)
    assert time.monotonic() - begun < 10
    assert not any(part.exists() for part in parts)


def test_closing_early_stops_the_workers(tmp_path: Path) -> None:
    part = tmp_path / "a"
    with contextlib.closing(run_all(Setup(), ["ok", f"write {part}"], 2, SILENT, Cancel())) as work:
        next(work)
    assert not part.exists()
