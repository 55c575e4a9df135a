"""The native parser of ONNX files (onnxruntime) runs in a child process with memory and time limits.

The child is started from a list of arguments, without a shell, with the interpreter that runs us. It is asked only
after the structure was checked in Python (:mod:`~sovits.core.checkpoint.onnx`).
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from sovits.core.checkpoint import native_child
from sovits.core.checkpoint.limits import Limits
from sovits.core.checkpoint.mapped import printable
from sovits.core.errors import CheckpointError, CorruptFileError, LimitExceededError, MissingDependencyError

_ANSWER_BYTES = 16 << 20


def check_onnx(path: Path, length: int, limits: Limits, where: str) -> dict[str, Any]:
    """Have onnxruntime load a model; returns its ``inputs`` and ``outputs`` as name, type and shape."""
    memory = limits.native_bytes + 3 * length
    command = [sys.executable, "-E", "-P", "-B", native_child.__file__]
    command += [str(path.absolute()), str(length), str(memory), str(int(limits.native_seconds) + 1)]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    late = threading.Event()

    def stop() -> None:
        late.set()
        child.kill()

    clock = threading.Timer(limits.native_seconds, stop)
    clock.start()
    try:
        assert child.stdout is not None
        return _answer(child.stdout, where)
    except EOFError as error:
        if late.is_set():
            message = f"{where}: parsing took longer than {limits.native_seconds:g} s and was stopped"
            raise LimitExceededError(message) from error
        raise CorruptFileError(f"{where}: the native parser broke down on it", hint="make the file again") from error
    finally:
        clock.cancel()
        if child.stdout is not None:
            child.stdout.close()  # a child that still writes is ended by this
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(1.0)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _answer(pipe: IO[bytes], where: str) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", _exactly(pipe, 8))
    if length > _ANSWER_BYTES:
        raise EOFError
    facts: dict[str, Any] = json.loads(_exactly(pipe, length))
    if "error" in facts:
        raise _error(facts, where)
    return facts


def _error(facts: dict[str, Any], where: str) -> CheckpointError | MissingDependencyError:
    message = printable(str(facts["message"]), 300)
    if facts["error"] == "missing":
        return MissingDependencyError(
            f"{where} needs the package '{message}'", hint=f"install it with: pip install {message}"
        )
    if facts["error"] == "memory":
        return LimitExceededError(
            f"{where}: parsing took more memory than the limit", hint="pass larger Limits to read()"
        )
    return CorruptFileError(f"{where} was refused by its native parser: {message}")


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) != length:
        raise EOFError
    return data
