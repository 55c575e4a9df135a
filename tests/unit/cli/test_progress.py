"""Bars appear after a while, and go."""

from __future__ import annotations

import threading
import time

import pytest

from sovits.cli.progress import DELAY, ConsoleProgress
from sovits.cli.session import Session


def wait_until_drawn(progress: ConsoleProgress) -> None:
    deadline = time.monotonic() + 20
    while not progress.drawn and time.monotonic() < deadline:
        time.sleep(0.01)


def test_short_work_draws_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert DELAY == 2.0
    progress = ConsoleProgress(True)
    with progress.stage("work", 10, "s") as stage:
        stage.advance(10)
        assert not progress.drawn
    assert capfd.readouterr() == ("", "")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(1.0)
            assert not thread.is_alive()


def test_long_work_draws_on_standard_error_and_clears_it(capfd: pytest.CaptureFixture[str]) -> None:
    progress = ConsoleProgress(True, delay=0.01)
    with progress.stage("outer [b]", 4, "files") as outer:
        wait_until_drawn(progress)
        assert progress.drawn
        with progress.stage("inner", None) as inner:
            inner.advance(1)
        outer.advance(1)
        assert progress.drawn
    assert not progress.drawn
    said = capfd.readouterr()
    assert said.out == ""
    assert "outer [b]" in said.err


def test_disabled_progress_has_no_timer() -> None:
    progress = ConsoleProgress(False, delay=0.0)
    with progress.stage("work", 10) as stage:
        stage.advance(1)
        time.sleep(0.05)
        assert not progress.drawn


def test_closing_ends_what_is_open() -> None:
    progress = ConsoleProgress(True, delay=0.01)
    stage = progress.stage("work", 10)
    wait_until_drawn(progress)
    progress.close()
    assert not progress.drawn
    stage.advance(1)
    stage.close()


@pytest.mark.parametrize(("verbosity", "show", "terminal"), [(-1, True, True), (0, False, True), (0, True, False)])
def test_quiet_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, verbosity: int, show: bool, terminal: bool) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    progress = Session(verbosity=verbosity, show_progress=show).progress
    assert type(progress.stage("work")).__name__ == "Stage"
