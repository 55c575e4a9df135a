"""The decoder on CUDA as graphs: its hundreds of kernels are recorded once and started by one call from then on.

A graph belongs to one shape, so the decoder runs in windows of :data:`SIZES`; see :mod:`sovits.nets.serving.windows`.
The excitation, and with it every random number, is made before and outside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sovits.core.logs import get_logger
from sovits.nets.serving.decoder import PlainDecoder, ServedDecoder
from sovits.nets.serving.windows import Decode, cover, in_windows, reach

#: Frames of the windows: at 44.1 kHz and a hop of 512 samples, 0.7 to 6 seconds.
SIZES = (64, 128, 256, 512)
#: Calls before one is recorded, in which libraries choose their kernels and set up what they need.
_WARM_UP = 3
#: torch allows one recording at a time in a process.
_RECORDING = threading.Lock()

_LOG = get_logger(__name__)
_Key = tuple[torch.Size | None, ...]


class RecordingError(Exception):
    """A call could not be recorded; it can still be made as it is."""


class CudaGraphs:
    """A function of tensors, recorded once per shape of its arguments and replayed from then on. Thread-safe.

    Args:
        function: runs on CUDA alone, draws no random numbers and gives one tensor. Its arguments lie in fixed places,
            in float32 whatever comes. There are as many graphs as shapes, so callers keep these few.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._recorded: dict[_Key, _Recorded] = {}
        self._shared: _Shared | None = None

    def __call__(self, *given: Tensor | None) -> Tensor:
        """Call the function; the result is a tensor of its own.

        Raises:
            RecordingError: this shape is new and its recording failed.
        """
        device = next(value.device for value in given if value is not None)
        if device.type != "cuda":
            raise RecordingError(f"there are no graphs on the device '{device}'")
        key = tuple(None if value is None else value.shape for value in given)
        with self._lock, torch.cuda.device(device):
            return (self._recorded.get(key) or self._record(key, given))(given)

    def _record(self, key: _Key, given: Sequence[Tensor | None]) -> _Recorded:
        try:
            if self._shared is None:
                self._shared = _Shared()
            made = self._recorded[key] = _Recorded.make(self._function, given, self._shared)
        except RuntimeError as error:
            raise RecordingError(str(error)) from error
        return made


class _Shared:
    """What the graphs of one function share: the stream they are recorded on, their memory, and when that is free.

    They may share memory because they never run together and each result is copied before the next one runs.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.free = torch.cuda.Event()


class _Recorded:
    """One graph with its fixed places."""

    def __init__(self, graph: torch.cuda.CUDAGraph, places: list[Tensor | None], made: Tensor, shared: _Shared) -> None:
        self._graph, self._places, self._made, self._shared = graph, places, made, shared

    def __call__(self, given: Sequence[Tensor | None]) -> Tensor:
        # The last call may have been made on another stream and still be at work on places and memory.
        self._shared.free.wait()
        _fill(self._places, given)
        self._graph.replay()
        made = self._made.clone()
        self._shared.free.record()
        return made

    @classmethod
    def make(cls, function: Callable[..., Tensor], given: Sequence[Tensor | None], shared: _Shared) -> _Recorded:
        """Record a call on the current device; a RuntimeError says that CUDA or a library refused."""
        graph = torch.cuda.CUDAGraph()
        # Places that were made in inference mode could not be written to outside it.
        with _RECORDING, torch.inference_mode(False), torch.no_grad():
            places = [None if value is None else _place(value) for value in given]
            _fill(places, given)
            shared.stream.wait_stream(torch.cuda.current_stream())
            # The outer context brings the former stream back even where the recording breaks off.
            with torch.cuda.stream(shared.stream):
                for _ in range(_WARM_UP):
                    function(*places)
                # Other threads may take memory meanwhile: only what this one does is restricted.
                with torch.cuda.graph(graph, pool=shared.pool, stream=shared.stream, capture_error_mode="thread_local"):
                    made = function(*places)
            torch.cuda.current_stream().wait_stream(shared.stream)
        return cls(graph, places, made, shared)


def _place(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=torch.float32, device=value.device)


def _fill(places: Sequence[Tensor | None], given: Sequence[Tensor | None]) -> None:
    for place, value in zip(places, given, strict=True):
        if place is not None and value is not None:
            place.copy_(value)


class GraphedDecoder(ServedDecoder):
    """As :class:`PlainDecoder`, the same calls, through graphs; where these cannot be had, as it stands.

    What outer code has set about mixed precision plays no part: the decoder computes in its own number format, the
    source in float32.

    Args:
        inner: on a CUDA device, where it stays.
        sizes: frames of the windows, those that are long enough for its reach.
        graphs: what records and replays its calls.

    Attributes:
        graphs: ``None`` once a recording has failed.
    """

    def __init__(
        self,
        inner: PlainDecoder,
        sizes: Sequence[int] = SIZES,
        graphs: Callable[[Decode], Decode] = CudaGraphs,
    ) -> None:
        super().__init__()
        self.inner, self.config, self.m_source = inner, inner.config, inner.m_source
        self.reach = reach(inner.net)
        self.sizes = tuple(size for size in sorted(sizes) if size > 2 * self.reach)
        self.graphs: Decode | None = graphs(inner.decode)

    @torch.no_grad()
    def decode(self, x: Tensor, source: Tensor, g: Tensor | None = None) -> Tensor:
        """As :meth:`HifiGan.decode`, float32."""
        with torch.autocast(x.device.type, enabled=False):
            windows = cover(x.shape[2], self.sizes, self.reach)
            if x.shape[0] > 1 or windows[0].stop - windows[0].start not in self.sizes:
                return self.inner.decode(x, source, g)
            return in_windows(self._window, windows, x, source.float(), g, self.config.hop)

    def _window(self, x: Tensor, source: Tensor, g: Tensor | None) -> Tensor:
        graphs = self.graphs
        if graphs is not None:
            try:
                return graphs(x, source, g)
            except RecordingError as error:
                self.graphs = None
                _LOG.warning("the decoder runs without CUDA graphs: %s", error)
        return self.inner.decode(x, source, g)
