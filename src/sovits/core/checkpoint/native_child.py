"""The child process of :mod:`sovits.core.checkpoint.native`: parse one file natively, write plain arrays to a pipe.

Runs as a script and imports nothing of ours. Arguments: task (``faiss`` or ``onnx``), path, start and length of the
bytes, memory limit in bytes, limit of processor time in seconds. Answer on standard output: the length of a JSON
object (8 bytes, little-endian), the object, then the arrays it lists, raw.
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


def read(path: str, start: int, length: int) -> bytes:
    """The bytes to parse."""
    with open(path, "rb") as handle:  # noqa: PTH123 - nothing but the standard library's core is loaded here
        handle.seek(start)
        return handle.read(length)


def parse_faiss(data: bytes) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Vectors in id order, coarse centres and the list of each vector."""
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(1)
    index: Any = faiss.deserialize_index(np.frombuffer(data, np.uint8))
    metric = "inner product" if index.metric_type == faiss.METRIC_INNER_PRODUCT else "squared distance"
    vectors = np.zeros((index.ntotal, index.d), np.float32)
    if isinstance(index, faiss.IndexFlat):
        vectors[:] = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(vectors.shape)
        empty = np.zeros((0, index.d), np.float32)
        return {"probes": 0, "metric": metric}, [
            ("vectors", vectors),
            ("centroids", empty),
            ("list_of", empty[:, 0].astype(np.int64)),
        ]
    list_of = np.zeros(index.ntotal, np.int64)
    lists = index.invlists
    for number in range(index.nlist):
        size = lists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
            codes = faiss.rev_swig_ptr(lists.get_codes(number), size * index.code_size)
            vectors[ids] = codes.view(np.float32).reshape(size, index.d)
            list_of[ids] = number
    centroids = np.asarray(index.quantizer.reconstruct_n(0, index.nlist), np.float32)
    return {"probes": int(index.nprobe), "metric": metric}, [
        ("vectors", vectors),
        ("centroids", centroids),
        ("list_of", list_of),
    ]


def parse_onnx(data: bytes) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Inputs and outputs as onnxruntime sees them; loading builds the graph, nothing is run."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def rows(ports: Any) -> list[list[Any]]:
        return [[port.name, port.type, [str(size) for size in port.shape or []]] for port in ports]

    return {"inputs": rows(session.get_inputs()), "outputs": rows(session.get_outputs())}, []


def main(task: str, path: str, start: str, length: str, memory: str, seconds: str) -> None:
    """Parse and answer; every failure is an answer too."""
    os.putenv("OMP_NUM_THREADS", "1")  # read by the native libraries when they are loaded
    os.putenv("OPENBLAS_NUM_THREADS", "1")
    limit(int(memory), int(seconds))
    facts: dict[str, Any]
    arrays: list[tuple[str, Any]] = []
    try:
        facts, arrays = {"faiss": parse_faiss, "onnx": parse_onnx}[task](read(path, int(start), int(length)))
        facts["arrays"] = [[name, array.dtype.kind, list(array.shape)] for name, array in arrays]
    except ModuleNotFoundError as error:
        facts = {"error": "missing", "message": {"faiss": "faiss-cpu"}.get(error.name or "", error.name or task)}
    except (MemoryError, ImportError):  # a native library that cannot be mapped is an ImportError
        facts = {"error": "memory", "message": ""}
    except Exception as error:
        facts = {"error": "refused", "message": str(error) or type(error).__name__}
    text = json.dumps(facts).encode("utf-8")
    out = sys.stdout.buffer
    out.write(struct.pack("<Q", len(text)) + text)
    for _, array in arrays if "error" not in facts else []:
        out.write(array.tobytes())
    out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
