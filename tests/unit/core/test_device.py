"""Choosing device and precision."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sovits.core.device import Compute, choose, has_fast_bfloat16, usable_cores
from sovits.core.errors import OptionError, ResourceError


def test_what_is_chosen():
    compute = choose("cpu")
    assert (compute.device, compute.kind, compute.precision) == ("cpu", "cpu", "auto")
    assert compute.threads >= 1
    assert choose("cpu", "bfloat16", threads=3).threads == 3


@pytest.mark.parametrize(("device", "precision"), [("tpu", "auto"), ("cpu", "int4"), ("cpu", "float16")])
def test_what_cannot_be(device, precision):
    with pytest.raises(OptionError):
        choose(device, precision)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_threads_follow_the_cores_that_may_be_used():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert (usable_cores(), choose("cpu").threads) == (1, 1)
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() == len(before)


def test_dtype_and_absent_gpu():
    torch = pytest.importorskip("torch", reason="the neural extra is not installed")
    assert choose("cpu", "bfloat16").dtype is torch.bfloat16
    assert choose("cpu").dtype is (torch.bfloat16 if has_fast_bfloat16() else torch.float32)
    assert Compute("cuda:1", "auto").dtype is torch.float16
    assert Compute("mps", "auto").dtype is torch.float32
    if not torch.cuda.is_available():
        assert choose("auto").device in ("cpu", "mps")
        with pytest.raises(ResourceError, match="not available"):
            choose("cuda:0")


LIMITED = """
import torch
from sovits.core.device import Compute, openmp_limit
from sovits.features.pitch.neural import computing
from sovits.nets.serving import arrange
net = torch.nn.Sequential(torch.nn.Linear(512, 512))
x = torch.randn(700, 512)
with torch.no_grad():
    want = net(x)
arrange(net, Compute())
with computing(Compute(threads=2)):
    print(openmp_limit(), torch.get_num_threads(), float((net(x) - want).abs().max()) < 1e-4)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks for the OpenMP of Linux")
def test_a_limit_on_threads_is_kept():
    pytest.importorskip("torch", reason="the neural extra is not installed")
    environ = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run([sys.executable, "-c", LIMITED], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "True"]


BUILT = """
import sys
import torch
from sovits.core.device import without_numbers
before = torch.get_rng_state()
from sovits.features.content.hubert import Hubert, HubertConfig
from sovits.features.pitch.rmvpe import Rmvpe
from sovits.nets.diffusion.config import DiffusionConfig
from sovits.nets.diffusion.unit2mel import Unit2Mel
from sovits.nets.svc.config import SvcConfig
from sovits.nets.svc.synthesizer import Synthesizer
with without_numbers():
    nets = Synthesizer(SvcConfig(use_automatic_f0_prediction=True)), Unit2Mel(DiffusionConfig(speakers=3)), Rmvpe()
    nets = torch.nn.ModuleList([*nets, Hubert(HubertConfig(buckets=320))])
print({value.device.type for value in nets.parameters()})
print(torch.equal(before, torch.get_rng_state()), "torch._dynamo" in sys.modules)
"""


@pytest.mark.slow
def test_nets_without_numbers_are_built_without_the_compiler():
    pytest.importorskip("torch", reason="the neural extra is not installed")
    done = subprocess.run([sys.executable, "-c", BUILT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["{'meta'}", "True False"]
