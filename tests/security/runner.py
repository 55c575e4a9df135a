"""Runs loaders over hostile files in a process of its own, under an audit hook that allows next to nothing.

Usage: ``python -m tests.security.runner FOLDER LOADER...``; prints one JSON object per file and loader:
``{"file", "loader", "outcome", "events", "seconds", "megabytes"}``. ``seconds`` is processor time, of children too, so
that a busy machine does not matter; ``megabytes`` is the growth of the peak of resident memory.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sovits.core.checkpoint import inspect, native_child, read, read_indexes
from sovits.core.checkpoint.arrays import read_npy, read_npz
from sovits.core.checkpoint.containers import plain
from sovits.core.checkpoint.indexes import parse_index
from sovits.core.checkpoint.limits import DEFAULT
from sovits.core.checkpoint.mapped import open_mapped
from sovits.core.checkpoint.native import check_onnx
from sovits.core.checkpoint.onnx import walk_onnx
from sovits.core.checkpoint.safetensors import read_safetensors
from sovits.core.checkpoint.torchlegacy import read_torch_legacy, read_torch_tar
from sovits.core.checkpoint.torchzip import read_torch_zip
from sovits.core.checkpoint.zips import Zip
from sovits.core.errors import CheckpointError

#: Events that reading and mapping one file, and starting our own child, cause; anything else is reported.
_HARMLESS = {
    "mmap.__new__",
    "_thread.start_new_thread",
    "os.putenv",
    "builtins.id",
    "sys._getframe",
    "object.__getattr__",
}


def read_everything(path: Path) -> None:
    checkpoint = read(path)
    for title in checkpoint.tensors:
        np.asarray(checkpoint.tensors[title]).sum()


def as_zip(path: Path) -> None:
    mapped = open_mapped(path, DEFAULT)
    plain(read_torch_zip(mapped, Zip(mapped, DEFAULT), DEFAULT), DEFAULT, mapped.name)


def as_npz(path: Path) -> None:
    mapped = open_mapped(path, DEFAULT)
    for entry in read_npz(mapped, Zip(mapped, DEFAULT)).values():
        entry.open()


def native_onnx(path: Path) -> None:
    mapped = open_mapped(path, DEFAULT)
    check_onnx(path, mapped.size, DEFAULT, mapped.name)


#: The public doors, then every reader behind them, also on files that detection would send elsewhere.
LOADERS: dict[str, Callable[[Path], Any]] = {
    "read": read_everything,
    "inspect": inspect,
    "read_indexes": read_indexes,
    "torch zip": as_zip,
    "torch legacy": lambda path: read_torch_legacy(open_mapped(path, DEFAULT), DEFAULT),
    "torch tar": lambda path: read_torch_tar(open_mapped(path, DEFAULT), DEFAULT),
    "safetensors": lambda path: read_safetensors(open_mapped(path, DEFAULT), DEFAULT),
    "npy": lambda path: read_npy(open_mapped(path, DEFAULT).data, str(path)).open(),
    "npz": as_npz,
    "faiss": lambda path: parse_index(open_mapped(path, DEFAULT).data, str(path)),
    "onnx structure": lambda path: walk_onnx(open_mapped(path, DEFAULT).data, DEFAULT, str(path)),
    "onnx child": native_onnx,
}


class Watch:
    """Collects audit events while ``path`` is set."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.events: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.path is None or event in _HARMLESS:
            return
        path, self.path = self.path, None  # what follows must not watch itself
        if not self._own(event, arguments, path):
            self.events.append(f"{event}{arguments!r}"[:200])
        self.path = path

    @staticmethod
    def _own(event: str, arguments: tuple[Any, ...], path: str) -> bool:
        if event == "open":
            wanted, mode, flags = arguments
            writes = isinstance(flags, int) and flags & 0x3 != 0
            if wanted == os.devnull:  # the standard input and error of our child
                return True
            return (str(wanted) == path or isinstance(wanted, int)) and not writes and mode in (None, "r", "rb")
        if event == "subprocess.Popen":
            return arguments[0] == sys.executable and native_child.__file__ in arguments[1]
        return False


def peak() -> float:
    """The highest resident memory since the last reset, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def processor_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def attempt(watch: Watch, path: Path, loader: str) -> dict[str, Any]:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    before, start = peak(), processor_seconds()
    watch.events, watch.path = [], str(path)
    try:
        LOADERS[loader](path)
        outcome = "accepted"
    except CheckpointError as error:
        outcome = f"refused: {type(error).__name__}"
        str(error)
    except BaseException as error:
        outcome = f"broke: {type(error).__name__}: {error}"[:300]
    watch.path = None
    return {
        "file": path.name,
        "loader": loader,
        "outcome": outcome,
        "events": watch.events,
        "seconds": round(processor_seconds() - start, 3),
        "megabytes": round(peak() - before, 1),
    }


def main(folder: str, *loaders: str) -> None:
    # Nothing is warmed up: also an import that a reader puts off would run code while it looks at a hostile file.
    gc.collect()
    gc.freeze()
    watch = Watch()
    sys.addaudithook(watch)
    for path in sorted(Path(folder).iterdir()):
        if path.is_file():
            for loader in loaders:
                sys.stdout.write(json.dumps(attempt(watch, path, loader)) + "\n")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"children_megabytes": round(children, 1)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
