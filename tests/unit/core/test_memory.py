"""Errors that say that memory ran out, and those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.core.errors import ResourceError
from sovits.core.memory import give_back_memory, ran_out_of_memory

torch = pytest.importorskip("torch", reason="the neural extra is not installed")

PETABYTE = 1 << 50


def test_errors_of_this_machine():
    for take in (lambda: torch.empty(PETABYTE, dtype=torch.uint8), lambda: np.empty(1024 * PETABYTE, np.uint8)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            take()
        assert ran_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 4 GiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18.05 GiB, max allowed: 18.13 GiB)"),
    ],
)
def test_what_gpus_say(error):
    assert ran_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Given groups=1, weight of size [8, 4, 7], expected input to have 4 channels"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        ValueError("out of memory"),
        ResourceError("the device has run out of memory"),
    ],
)
def test_other_errors(error):
    assert not ran_out_of_memory(error)


def test_giving_back_needs_no_gpu():
    give_back_memory()
