"""The child process of :mod:`sovits.core.checkpoint.native`: parse one ONNX file natively, write facts to a pipe.

Runs as a script and imports nothing of ours. Arguments: path, length of the bytes, memory limit in bytes, limit of
processor time in seconds. Answer on standard output: the length of a JSON object (8 bytes, little-endian), the object.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any


def limit(memory: int, seconds: int) -> None:
    """Bound this process where the platform can (Linux, macOS)."""
    try:
        import resource
    except ImportError:
        return
    for kind, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, hard))
        except (ValueError, OSError):
            continue


def read(path: str, length: int) -> bytes:
    """The bytes to parse."""
    with open(path, "rb") as handle:  # noqa: PTH123 - nothing but the standard library's core is loaded here
        return handle.read(length)


def parse_onnx(data: bytes) -> dict[str, Any]:
    """Inputs and outputs as onnxruntime sees them; loading builds the graph, nothing is run."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def rows(ports: Any) -> list[list[Any]]:
        return [[port.name, port.type, [str(size) for size in port.shape or []]] for port in ports]

    return {"inputs": rows(session.get_inputs()), "outputs": rows(session.get_outputs())}


def main(path: str, length: str, memory: str, seconds: str) -> None:
    """Parse and answer; every failure is an answer too."""
    os.putenv("OMP_NUM_THREADS", "1")  # read by the native libraries when they are loaded
    os.putenv("OPENBLAS_NUM_THREADS", "1")
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    limit(int(memory), int(seconds))
    facts: dict[str, Any]
    try:
        facts = parse_onnx(read(path, int(length)))
    except ModuleNotFoundError as error:
        facts = {"error": "missing", "message": error.name or "onnxruntime"}
    except (MemoryError, ImportError):  # a native library that cannot be mapped is an ImportError
        facts = {"error": "memory", "message": ""}
    except Exception as error:
        facts = {"error": "refused", "message": str(error) or type(error).__name__}
    text = json.dumps(facts).encode("utf-8")
    sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
