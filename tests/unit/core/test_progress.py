"""Cancel tokens stop work; silent progress costs nothing."""

from __future__ import annotations

import threading

import pytest

from sovits.core.errors import CancelledError
from sovits.core.progress import SILENT, Cancel


def test_check_raises_after_cancel_only():
    cancel = Cancel()
    cancel.check()
    cancel.cancel()
    assert cancel.cancelled
    with pytest.raises(CancelledError):
        cancel.check()


def test_another_thread_may_cancel():
    cancel = Cancel()
    thread = threading.Thread(target=cancel.cancel)
    thread.start()
    thread.join()
    with pytest.raises(CancelledError):
        cancel.check()


def test_silent_stages_nest_and_survive_errors():
    with SILENT.stage("a", 3, "s") as outer:
        outer.advance()
        with pytest.raises(ValueError, match="inner"), SILENT.stage("b"):
            raise ValueError("inner")
        outer.advance(2)
