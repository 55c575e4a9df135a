"""Choice of device and precision: one :class:`Compute` value that is passed down to every net."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
        precision: the number format of matrix work; parameters that need float32 keep it.
        threads: worker threads of one process on a CPU.
    """

    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1

    @property
    def dtype(self) -> torch.dtype:
        """The torch type of ``precision``."""
        import torch

        kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        return kinds[self.precision]


def choose(device: str = "auto", precision: str = "auto", threads: int = 0) -> Compute:
    """Settle what "auto" means on this machine.

    Args:
        device: ``auto`` (a GPU if torch sees one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto`` (float16 on CUDA, float32 elsewhere) or a name of :data:`Precision`.
        threads: 0 for all cores.

    Raises:
        OptionError: an unknown name, or float16 on a CPU.
        ResourceError: a device that torch does not see.
    """
    found = _device(device)
    kind = found.partition(":")[0]
    if precision not in ("auto", "float32", "bfloat16", "float16"):
        raise OptionError(f"unknown precision '{precision}'", hint="choose auto, float32, bfloat16 or float16")
    if precision == "auto":
        precision = "float16" if kind == "cuda" else "float32"
    if precision == "float16" and kind == "cpu":
        raise OptionError("float16 is not computed on a CPU", hint="choose float32 or bfloat16")
    return Compute(found, precision, threads or os.cpu_count() or 1)


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
