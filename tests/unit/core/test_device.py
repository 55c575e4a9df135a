"""Choosing device and precision."""

from __future__ import annotations

import pytest

from sovits.core.device import choose
from sovits.core.errors import OptionError, ResourceError


def test_cpu_in_float32():
    compute = choose("cpu")
    assert (compute.device, compute.precision) == ("cpu", "float32")
    assert compute.threads >= 1
    assert choose("cpu", "bfloat16", threads=3).threads == 3


@pytest.mark.parametrize(("device", "precision"), [("tpu", "auto"), ("cpu", "int4"), ("cpu", "float16")])
def test_what_cannot_be(device, precision):
    with pytest.raises(OptionError):
        choose(device, precision)


def test_dtype_and_absent_gpu():
    torch = pytest.importorskip("torch", reason="the neural extra is not installed")
    assert choose("cpu", "bfloat16").dtype is torch.bfloat16
    if not torch.cuda.is_available():
        assert choose("auto").device in ("cpu", "mps")
        with pytest.raises(ResourceError, match="not available"):
            choose("cuda:0")
