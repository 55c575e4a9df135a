"""Progress bars with time left, on standard error, drawn only for work that takes longer than two seconds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sovits.core.progress import Stage

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

#: Seconds of work before anything is drawn.
DELAY = 2.0


class ConsoleProgress:
    """Bars of all open stages, in the order they were opened. Thread-safe.

    Args:
        enabled: whether standard error is a terminal to draw on; ``False`` draws nothing at all.
        delay: seconds before the first drawing.
    """

    def __init__(self, enabled: bool, delay: float = DELAY) -> None:
        self._enabled = enabled
        self._delay = delay
        self._lock = threading.RLock()
        self._open: list[ConsoleStage] = []
        self._timer: threading.Timer | None = None
        self._display: RichProgress | None = None

    @property
    def drawn(self) -> bool:
        """Whether bars are on the screen now."""
        return self._display is not None

    def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
        if not self._enabled:
            return Stage()
        with self._lock:
            stage = ConsoleStage(self, name, total, unit)
            self._open.append(stage)
            if self._display is not None:
                stage.draw(self._display)
            elif self._timer is None:
                self._timer = threading.Timer(self._delay, self._start)
                self._timer.daemon = True
                self._timer.start()
            return stage

    def forget(self, stage: ConsoleStage) -> None:
        """Take a stage off the screen; the display ends with the last one."""
        with self._lock:
            if stage in self._open:
                self._open.remove(stage)
            if self._display is not None:
                stage.erase(self._display)
            if not self._open:
                self.close()

    def close(self) -> None:
        """Clear the screen of bars and stop the timer."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._display is not None:
                self._display.stop()
                self._display = None

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        with self._lock:
            if not self._open or self._display is not None:
                return
            self._display = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True, force_terminal=True),
                transient=True,
            )
            self._display.start()
            for stage in self._open:
                stage.draw(self._display)

    def update(self, stage: ConsoleStage) -> None:
        """Redraw one stage."""
        with self._lock:
            if self._display is not None:
                stage.move(self._display)


class ConsoleStage(Stage):
    """One bar."""

    def __init__(self, owner: ConsoleProgress, name: str, total: float | None, unit: str) -> None:
        self._owner = owner
        self._name = name
        self._total = total
        self._unit = unit
        self._done = 0.0
        self._task: TaskID | None = None

    def advance(self, amount: float = 1.0) -> None:
        self._done += amount
        self._owner.update(self)

    def close(self) -> None:
        self._owner.forget(self)

    def draw(self, display: RichProgress) -> None:
        """Put the bar on the screen."""
        self._task = display.add_task(self._name, total=self._total, unit=self._unit)
        self.move(display)

    def move(self, display: RichProgress) -> None:
        """Show how far the work is."""
        if self._task is not None:
            display.update(self._task, completed=self._done)

    def erase(self, display: RichProgress) -> None:
        """Take the bar off the screen."""
        if self._task is not None:
            display.remove_task(self._task)
            self._task = None
