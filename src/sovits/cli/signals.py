"""Ctrl-C and SIGTERM: both unwind the work as an exception, so that no half file stays behind."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from sovits.core.progress import Cancel

#: Further signals within this time after one are taken as the same wish: the clean-up that runs then is not cut short.
_PATIENCE = 3.0


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


class Interruption:
    """What the signal handlers know.

    Attributes:
        cancel: raised together with the exception, for code in other threads and for exceptions that got swallowed.
        terminated: whether SIGTERM was the (last) signal.
    """

    def __init__(self) -> None:
        self.cancel = Cancel()
        self.terminated = False
        self._last = -_PATIENCE

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise :class:`KeyboardInterrupt` or :class:`Terminated` in the main thread."""
        now = time.monotonic()
        self.cancel.cancel()
        if now - self._last < _PATIENCE:
            return
        self._last = now
        self.terminated = number == signal.SIGTERM
        raise Terminated if self.terminated else KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Handle both signals within the block; the former handlers come back after it. A no-op outside the main thread."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    # A parent such as nohup may have asked to ignore a signal: that stays so.
    former = {number: signal.getsignal(number) for number in numbers}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interruption.handle)
    try:
        yield interruption
    finally:
        for number, handler in former.items():
            if handler is not None:
                signal.signal(number, handler)
