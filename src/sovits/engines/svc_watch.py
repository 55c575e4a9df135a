"""Cancelling inside a net: every layer asks before it runs, so that a long window stops within a layer's time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from sovits.core.progress import Cancel

if TYPE_CHECKING:
    from torch import nn


class LayerWatch:
    """Watches the layers of nets; each thread works under its own cancel token.

    Args:
        nets: their layers that hold numbers get a hook that costs about a microsecond.
    """

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        self._local = threading.local()
        self._seen: WeakSet[nn.Module] = WeakSet()
        for net in nets:
            self.add(net)

    def add(self, net: nn.Module) -> None:
        """Watch another net; nothing happens if it is watched already."""
        if net in self._seen:
            return
        self._seen.add(net)
        for module in net.modules():
            if any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False))):
                module.register_forward_pre_hook(self._ask)

    def _ask(self, module: nn.Module, inputs: Any) -> None:
        cancel: Cancel | None = getattr(self._local, "cancel", None)
        if cancel is not None:
            cancel.check()

    @contextmanager
    def under(self, cancel: Cancel) -> Iterator[None]:
        """Layers that run in this thread meanwhile ask ``cancel``."""
        before = getattr(self._local, "cancel", None)
        self._local.cancel = cancel
        try:
            yield
        finally:
            self._local.cancel = before
