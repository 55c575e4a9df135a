"""Choice of device and precision: one :class:`Compute` value that is passed down to every net."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sovits.core.errors import OptionError, ResourceError
from sovits.core.registry import missing

if TYPE_CHECKING:
    import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Compute:
    """Where and in which number format nets run.

    Attributes:
        device: a torch device string such as ``"cpu"`` or ``"cuda:0"``.
        precision: the number format of matrix work; what needs float32 keeps it. ``auto`` is the fastest one in which
            the nets of a device stay within their gate: float16 on CUDA, bfloat16 on a processor that multiplies it
            itself, float32 elsewhere.
        threads: worker threads of one process on a CPU.
    """

    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1

    @property
    def kind(self) -> str:
        """The device without its number: ``cpu``, ``cuda`` or ``mps``."""
        return self.device.partition(":")[0]

    @property
    def dtype(self) -> torch.dtype:
        """The torch type of ``precision`` on this machine."""
        import torch

        precision = self.precision
        if precision == "auto":
            fast = {"cuda": "float16", "cpu": "bfloat16" if has_fast_bfloat16() else "float32"}
            precision = fast.get(self.kind, "float32")
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 (AVX512-BF16 or AMX) and torch uses it."""
    import torch

    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported"):
        return False
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    own = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return own and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose(device: str = "auto", precision: str = "auto", threads: int = 0) -> Compute:
    """Settle the device, and check that it computes with the precision asked for.

    Args:
        device: ``auto`` (a GPU if torch sees one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: a name of :data:`Precision`; ``auto`` stays what it is, see :class:`Compute`.
        threads: 0 for all cores that may be used.

    Raises:
        OptionError: an unknown name, or float16 on a CPU.
        ResourceError: a device that torch does not see.
    """
    found = _device(device)
    kind = found.partition(":")[0]
    if precision not in ("auto", "float32", "bfloat16", "float16"):
        raise OptionError(f"unknown precision '{precision}'", hint="choose auto, float32, bfloat16 or float16")
    if precision == "float16" and kind == "cpu":
        raise OptionError("float16 is not computed on a CPU", hint="choose float32 or bfloat16")
    return Compute(found, precision, threads or usable_cores())


def usable_cores() -> int:
    """Cores that this process may run on: those of a container or of ``taskset``, not of the whole machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def without_numbers() -> Iterator[None]:
    """Nets that are built inside have shapes and no memory, and draw nothing; their parameters are put in afterwards.

    torch's own way to draw on the "meta" device loads its compiler, which takes two seconds.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class NoDraws(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            given = kwargs or {}
            if getattr(function, "__module__", "") == "torch.nn.init":
                return args[0] if args else given["tensor"]
            return function(*args, **given)

    with torch.device("meta"), NoDraws():
        yield


def openmp_limit() -> int:
    """Threads that OpenMP gives a process at most (``OMP_THREAD_LIMIT``), once a library that uses it is loaded.

    oneDNN does not ask: told to use more threads than it gets, it leaves out their share of the work without a word.
    """
    try:
        return int(ctypes.CDLL(None).omp_get_thread_limit())
    except (AttributeError, OSError, TypeError):  # no OpenMP, or no way to ask (Windows)
        return sys.maxsize


def _device(name: str) -> str:
    kind = name.partition(":")[0]
    if kind not in ("auto", "cpu", "cuda", "mps"):
        raise OptionError(f"unknown device '{name}'", hint="choose auto, cpu, cuda, cuda:N or mps")
    if kind == "cpu":
        return "cpu"
    try:
        import torch
    except ModuleNotFoundError as error:
        if kind == "auto":
            return "cpu"
        raise missing("torch", f"device '{name}'", "neural") from error
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if kind == "auto":
        return "cuda" if has_cuda else "mps" if has_mps else "cpu"
    if (kind == "cuda" and not has_cuda) or (kind == "mps" and not has_mps):
        raise ResourceError(
            f"device '{name}' is not available on this machine", hint="use --device cpu, or see: sovits doctor"
        )
    return name
