"""Tests of what runs on a GPU. Most run on a CPU as well, where they try out their own logic."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

NO_GPU = "needs a CUDA GPU"


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """The CPU, and the GPU where there is one."""
    chosen: str = request.param
    if chosen == "cuda" and not torch.cuda.is_available():
        pytest.skip(NO_GPU)
    return chosen


@pytest.fixture
def cuda() -> str:
    """The GPU, for what a CPU does not have."""
    if not torch.cuda.is_available():
        pytest.skip(NO_GPU)
    return "cuda"
