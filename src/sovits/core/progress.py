"""Progress and cancel tokens that are handed to every long call.

A long call receives a :class:`Progress` and a :class:`Cancel`; it announces stages, advances them, and asks the cancel
token between units of work. The silent implementations are the defaults, so library users need not care.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol

from sovits.core.errors import CancelledError


class Stage:
    """One stage of a long call; a context manager. ``advance`` takes the amount done since the last call."""

    def advance(self, amount: float = 1.0) -> None:
        """Report ``amount`` more units done."""

    def close(self) -> None:
        """The stage is over, finished or not."""

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Progress(Protocol):
    """Something that shows or forwards progress."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
        """Open a stage of ``total`` units (``None``: unknown), for example ``stage("pitch", 62.5, "s")``."""


class SilentProgress:
    """Shows nothing."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
        return Stage()


class Cancel:
    """A flag that any thread may raise; the working thread calls :meth:`check` between units of work."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise :class:`~sovits.core.errors.CancelledError` if somebody asked to stop."""
        if self._event.is_set():
            raise CancelledError("cancelled on request")


SILENT: Progress = SilentProgress()
