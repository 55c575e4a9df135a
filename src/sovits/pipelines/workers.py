"""A few worker processes for work that is independent per file.

Each worker holds one end of a pipe. It reports progress and results through it, and stops when it closes, so no worker
outlives its parent. A worker that dies (a crash in a native library, memory) costs the file it was at and is replaced.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from sovits.core.errors import ResourceError, SovitsError
from sovits.core.progress import Cancel, Progress, Stage

T = TypeVar("T")
R = TypeVar("R")

#: Does one task; built in the worker by ``setup()``, which has to be picklable.
Work = Callable[[T, Progress, Cancel], R]

#: Seconds for a worker to finish its clean-up: after being told, then after SIGTERM.
_GRACE = 2.0
_LAST_GRACE = 8.0
#: Seconds between two progress messages of one stage.
_REPORT_EVERY = 0.1


def run_all(
    setup: Callable[[], Work[T, R]], tasks: Sequence[T], jobs: int, progress: Progress, cancel: Cancel
) -> Iterator[tuple[int, R | Exception]]:
    """Do all tasks and yield ``(index, result or error)`` as they end.

    Args:
        setup: makes the work function; called once in each worker process, or here if ``jobs`` is 1.
        jobs: worker processes; 1 works in this process.

    Raises:
        CancelledError: ``cancel`` was raised. The workers are stopped then, as at any other exception.
    """
    if jobs <= 1 or len(tasks) <= 1:
        work = setup()
        for index, task in enumerate(tasks):
            cancel.check()
            try:
                yield index, work(task, progress, cancel)
            except Exception as error:
                cancel.check()
                yield index, error
        return
    with contextlib.closing(_Pool(setup, tasks, min(jobs, len(tasks)), progress)) as pool:
        while pool.busy:
            cancel.check()
            yield from pool.step(timeout=0.2)


class _Worker:
    """The parent's view of one worker process."""

    def __init__(self, setup: Callable[[], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, setup), daemon=True)
        self.process.start()
        theirs.close()
        self.index: int | None = None
        self.stages: dict[int, Stage] = {}

    def clear(self) -> None:
        """Close the bars of a task that has ended."""
        for stage in self.stages.values():
            stage.close()
        self.stages.clear()
        self.index = None


class _Pool(Generic[T, R]):
    def __init__(self, setup: Callable[[], Work[T, R]], tasks: Sequence[T], jobs: int, progress: Progress) -> None:
        self._setup = setup
        self._tasks = tasks
        self._waiting = list(reversed(range(len(tasks))))
        self._progress = progress
        self._workers: list[_Worker] = []
        try:
            for _ in range(jobs):
                self._hire()
        except BaseException:
            self.close()
            raise

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(worker.index is not None for worker in self._workers)

    def _hire(self) -> None:
        worker = _Worker(self._setup)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        if self._waiting:
            worker.index = self._waiting.pop()
            # A worker that is dead already is met by step(), which reads the end of its pipe.
            with contextlib.suppress(OSError):
                worker.pipe.send((worker.index, self._tasks[worker.index]))

    def step(self, timeout: float) -> Iterator[tuple[int, R | Exception]]:
        """Read what the workers have to say."""
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(by_pipe), timeout):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                yield from self._bury(worker)
                continue
            if message[0] == "broken":  # nothing of the batch can be done: a missing package or weight file
                raise message[1]
            if message[0] == "end":
                index = worker.index
                worker.clear()
                self._give(worker)
                if index is not None:
                    yield index, message[1]
            else:
                self._show(worker, message)

    def _show(self, worker: _Worker, message: tuple[Any, ...]) -> None:
        kind, number, *rest = message
        if kind == "stage":
            worker.stages[number] = self._progress.stage(*rest)
        elif kind == "advance" and number in worker.stages:
            worker.stages[number].advance(*rest)
        elif kind == "close" and number in worker.stages:
            worker.stages.pop(number).close()

    def _bury(self, worker: _Worker) -> Iterator[tuple[int, R | Exception]]:
        self._workers.remove(worker)
        worker.process.join(_GRACE)
        index, code = worker.index, worker.process.exitcode
        worker.clear()
        worker.pipe.close()
        if self._waiting:
            self._hire()
        if index is not None:
            yield (
                index,
                ResourceError(
                    f"the worker process died (exit code {code})",
                    hint="memory may have run out: use fewer --jobs or a smaller --window",
                ),
            )

    def close(self) -> None:
        """Stop all workers: told through the pipe first, then by SIGTERM, at the very last by SIGKILL."""
        for worker in self._workers:
            worker.clear()
            worker.pipe.close()
        for patience, harder in ((_GRACE, "terminate"), (_LAST_GRACE, "kill"), (_GRACE, "")):
            deadline = time.monotonic() + patience
            for worker in self._workers:
                worker.process.join(max(0.0, deadline - time.monotonic()))
                if worker.process.is_alive() and harder:
                    getattr(worker.process, harder)()


def _serve(pipe: Connection, setup: Callable[[], Work[T, R]]) -> None:
    """The main function of a worker process."""
    cancel = Cancel()

    def terminated(number: int, frame: object) -> None:
        cancel.cancel()
        raise KeyboardInterrupt

    # Ctrl-C reaches the whole foreground group, but only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminated)
    tasks: queue.SimpleQueue[tuple[int, T] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, tasks, cancel), daemon=True).start()
    reports = _Reports(pipe)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            work = setup()
        except Exception as error:
            reports.send(("broken", _portable(error)))
            return
        while (item := tasks.get()) is not None and not cancel.cancelled:
            try:
                outcome: Any = work(item[1], reports, cancel)
            except Exception as error:
                outcome = _portable(error)
            reports.send(("end", outcome))


def _listen(pipe: Connection, tasks: queue.SimpleQueue[Any], cancel: Cancel) -> None:
    """Pass tasks on until the parent closes the pipe or is gone."""
    try:
        while True:
            tasks.put(pipe.recv())
    except (EOFError, OSError):
        cancel.cancel()
        tasks.put(None)


def _portable(error: Exception) -> Exception:
    """An error that survives the way to the parent; a foreign one keeps its traceback as a note."""
    if isinstance(error, SovitsError):
        return error
    kept = RuntimeError(f"{type(error).__name__}: {error}")
    if isinstance(error, MemoryError):
        return ResourceError("not enough memory", hint="use fewer --jobs or a smaller --window")
    kept.add_note("".join(traceback.format_exception(error)))
    return kept


class _Reports:
    """Progress that goes to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._count = 0

    def send(self, message: tuple[Any, ...]) -> None:
        """Hand a message to the parent; work may report from several threads.

        A parent that has stopped listening is no error here: the work learns of it through its cancel token.
        """
        with self._lock, contextlib.suppress(OSError):
            self._pipe.send(message)

    def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
        with self._lock:
            self._count += 1
            number = self._count
        self.send(("stage", number, name, total, unit))
        return _ReportedStage(self, number)


class _ReportedStage(Stage):
    def __init__(self, reports: _Reports, number: int) -> None:
        self._reports = reports
        self._number = number
        self._amount = 0.0
        self._last = 0.0

    def advance(self, amount: float = 1.0) -> None:
        self._amount += amount
        now = time.monotonic()
        if now - self._last >= _REPORT_EVERY:
            self._last = now
            self._reports.send(("advance", self._number, self._amount))
            self._amount = 0.0

    def close(self) -> None:
        self._reports.send(("close", self._number))
