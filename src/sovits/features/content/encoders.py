"""The content encoders behind one protocol: 16 kHz sound in, one column of features per 20 ms out.

Factories are called ``factory(weights, compute)`` and read the official files through the checkpoint door; the names
that configs use for them are rows of :data:`sovits.zoo.tables.CONTENT`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sovits.audio.audio import Samples
from sovits.core import checkpoint
from sovits.core.checkpoint import Checkpoint, Kind
from sovits.core.device import Compute
from sovits.core.errors import AudioError, CancelledError, CorruptFileError, WrongModelError
from sovits.core.progress import Cancel
from sovits.core.telemetry import forbid_telemetry
from sovits.features.content import configs, keys
from sovits.features.content.hubert import Hubert, HubertConfig
from sovits.features.content.whisper import SAMPLE_RATE, WINDOW_SECONDS, WhisperConfig, WhisperEncoder, mel_bank
from sovits.features.pitch.neural import computing, loaded

RATE = 16000
HOP = 320
#: The shortest sound that gives a frame: the reach of the convolutions of the HuBERT family.
SHORTEST = 400
#: Sound that Whisper hears on both sides of a window, in seconds, where a piece is longer than one window.
_CONTEXT = 2
#: How often a run of onnxruntime asks whether it is still wanted, in seconds.
_ASK = 0.1


class ContentEncoder(Protocol):
    """What is said, without who says it. Instances hold weights only; they may be shared by threads."""

    @property
    def dim(self) -> int:
        """Width of the features."""

    @property
    def net(self) -> torch.nn.Module | None:
        """The net, for those who watch its layers; ``None`` where there is none in torch."""

    def encode(self, samples: Samples, cancel: Cancel | None = None) -> Tensor:
        """Encode mono float32 [time] at 16 kHz -> float32 [dim, frames] on the CPU, about 50 frames a second.

        Args:
            cancel: stops the work; a ``net`` whose layers are watched need not ask it.

        Raises:
            AudioError: not one dimension.
            CancelledError: ``cancel`` was raised.
        """


def _checked(samples: Samples, shortest: int = SHORTEST) -> Samples:
    if samples.ndim != 1:
        raise AudioError(f"content encoders take mono samples [time], got shape {samples.shape}")
    if len(samples) < shortest:
        samples = np.pad(samples, (0, shortest - len(samples)))
    return np.ascontiguousarray(samples, np.float32)


class HubertUnits:
    """A net of the HuBERT family.

    Args:
        layer: 1-based layer that is taken, ``None`` for the last one.
        project: apply ``final_proj``.
        padding: zeros on both sides of the sound.
    """

    def __init__(
        self, net: Hubert, compute: Compute, *, layer: int | None = None, project: bool = False, padding: int = 0
    ) -> None:
        self.net = net.to(compute.device)
        self.dim = net.config.projection if project else net.config.width
        self._compute, self._layer, self._project, self._padding = compute, layer, project, padding

    def encode(self, samples: Samples, cancel: Cancel | None = None) -> Tensor:
        """As :meth:`ContentEncoder.encode`."""
        sound = torch.from_numpy(_checked(samples))[None].to(self._compute.device)
        with computing(self._compute):
            units = self.net.units(
                functional.pad(sound, (self._padding, self._padding)), layer=self._layer, project=self._project
            )
        return units[0].float().cpu()


class WhisperUnits:
    """Whisper's encoder. Sound beyond 30 s is heard in windows; the original cuts it off."""

    def __init__(self, net: WhisperEncoder, compute: Compute) -> None:
        self.net = net.to(compute.device)
        self.dim = net.config.width
        self._bank = mel_bank(net.config.mels).to(compute.device)
        self._compute = compute

    def encode(self, samples: Samples, cancel: Cancel | None = None) -> Tensor:
        """As :meth:`ContentEncoder.encode`."""
        sound = torch.from_numpy(_checked(samples)).to(self._compute.device)
        with computing(self._compute):
            if len(sound) <= WINDOW_SECONDS * SAMPLE_RATE:
                units = self.net.units(sound, self._bank)
            else:
                units = torch.cat([self._window(sound, first) for first in self._starts(len(sound))], dim=2)
        return units[0].float().cpu()

    @staticmethod
    def _starts(length: int) -> range:
        return range(0, length, (WINDOW_SECONDS - 2 * _CONTEXT) * SAMPLE_RATE)

    def _window(self, sound: Tensor, first: int) -> Tensor:
        """Units of the window whose own part starts at sample ``first``."""
        last = min(first + self._starts(1).step, len(sound))
        begin = max(0, first - _CONTEXT * SAMPLE_RATE)
        units = self.net.units(sound[begin : last + _CONTEXT * SAMPLE_RATE], self._bank)
        return units[:, :, (first - begin) // HOP : last // HOP - begin // HOP]


class OnnxUnits:
    """Any encoder from an .onnx file: input 0 float [1, 1, samples], output 0 [1, frames, dim].

    Raises:
        CheckpointError: the file is damaged, refers outside itself, or holds another kind of net.
    """

    net = None

    def __init__(self, path: Path, compute: Compute, dim: int) -> None:
        forbid_telemetry()
        import onnxruntime

        # Files that are damaged or refer outside themselves are refused before the runtime sees them.
        _open(path, Kind.ONNX)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = compute.threads
        settings.log_severity_level = 4  # what is wrong with a file is said by our own error
        wanted = ["CUDAExecutionProvider"] if compute.device.startswith("cuda") else []
        known = onnxruntime.get_available_providers()
        providers = [name for name in (*wanted, "CPUExecutionProvider") if name in known]
        try:
            self._session = onnxruntime.InferenceSession(str(path), settings, providers=providers)
        except Exception as error:  # the runtime has a class for each of its states, and no common one
            raise CorruptFileError(
                f"{path} was refused by onnxruntime: {str(error)[:300]}", hint="get the file again"
            ) from error
        self._path, self.dim = path, dim
        heard, given = self._session.get_inputs()[:1], self._session.get_outputs()[0]
        if [(len(port.shape), port.type) for port in heard] != [(3, "tensor(float)")]:
            ports = ", ".join(f"{port.type} of shape {port.shape}" for port in heard) or "nothing"
            raise self._wrong(f"takes {ports}, expected float [1, 1, samples]")
        self._input = heard[0].name
        self._check(given.shape)

    def encode(self, samples: Samples, cancel: Cancel | None = None) -> Tensor:
        """As :meth:`ContentEncoder.encode`."""
        sound = _checked(samples)
        try:
            found = np.asarray(self._run(sound[None, None], cancel or Cancel()), np.float32)
        except (CancelledError, MemoryError):
            raise
        except Exception as error:
            raise self._wrong(f"cannot encode {len(sound)} samples: {str(error)[:300]}") from error
        self._check(found.shape)
        return torch.from_numpy(found[0].T.copy())

    def _run(self, sound: Samples, cancel: Cancel) -> Any:
        """Output 0. The runtime stops between two nodes when it is told to, so it works in a thread of its own."""
        import onnxruntime

        cancel.check()
        settings = onnxruntime.RunOptions()
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(self._session.run, None, {self._input: sound}, settings)
            try:
                while not wait([work], _ASK).done:
                    cancel.check()
            except BaseException:
                settings.terminate = True
                raise
        return work.result()[0]

    def _check(self, shape: Sequence[Any]) -> None:
        """Whether features of this shape are those of the encoder; sizes that a graph leaves open are no numbers."""
        fits = len(shape) == 3 and all(
            not isinstance(size, int) or size == wanted for size, wanted in ((shape[0], 1), (shape[2], self.dim))
        )
        if not fits:
            raise self._wrong(f"gives features of shape {list(shape)}, expected [1, frames, {self.dim}]")

    def _wrong(self, what: str) -> WrongModelError:
        return WrongModelError(f"{self._path} {what}", hint="give the .onnx file of this encoder")


# -- factories: official file -> encoder


def _open(weights: Path, *kinds: Kind) -> Checkpoint:
    found = checkpoint.read(weights)
    if found.kind not in kinds:
        raise WrongModelError(
            f"{weights} is a file of another kind: {found.kind.label}, wanted {kinds[0].label}",
            hint="put the right official file there; see: sovits models list",
        )
    return found


def _hubert(config: HubertConfig, found: Checkpoint, rules: keys.Rules) -> Hubert:
    renamed = keys.rename({name: np.asarray(value) for name, value in found.tensors.items()}, rules)
    # a copy: tensors of the file are read-only views of it
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in renamed.items()}
    return loaded(lambda: Hubert(config), tensors, str(found.path))


def _fairseq(weights: Path, *kinds: Kind) -> Hubert:
    found = _open(weights, *kinds)
    model = found.config.get("model")
    if not isinstance(model, dict):
        raise WrongModelError(
            f"{weights} carries no cfg['model'], so its sizes are unknown", hint="use the official file"
        )
    return _hubert(configs.from_fairseq(model), found, keys.FAIRSEQ)


def vec768l12(weights: Path, compute: Compute) -> ContentEncoder:
    """ContentVec, layer 12."""
    return HubertUnits(_fairseq(weights, Kind.CONTENTVEC), compute, layer=12)


def vec256l9(weights: Path, compute: Compute) -> ContentEncoder:
    """ContentVec, layer 9 with the final projection (also what 4.0 used)."""
    return HubertUnits(_fairseq(weights, Kind.CONTENTVEC), compute, layer=9, project=True)


def cnhubertlarge(weights: Path, compute: Compute) -> ContentEncoder:
    """Chinese HuBERT large, last layer with its norm."""
    return HubertUnits(_fairseq(weights, Kind.CNHUBERT_LARGE), compute)


def hubertsoft(weights: Path, compute: Compute) -> ContentEncoder:
    """HuBERT-Soft, 40 zeros on both sides."""
    net = _hubert(configs.SOFT, _open(weights, Kind.HUBERT_SOFT), keys.SOFT)
    return HubertUnits(net, compute, project=True, padding=configs.SOFT_PADDING)


def wavlm(weights: Path, compute: Compute) -> ContentEncoder:
    """WavLM base plus."""
    found = _open(weights, Kind.WAVLM)
    return HubertUnits(_hubert(configs.from_wavlm(found.config), found, keys.FAIRSEQ), compute)


def dphubert(weights: Path, compute: Compute) -> ContentEncoder:
    """DPHuBERT; sizes per layer come from the file."""
    found = _open(weights, Kind.DPHUBERT)
    return HubertUnits(_hubert(configs.from_dphubert(found.config), found, keys.TORCHAUDIO), compute)


def whisper(weights: Path, compute: Compute) -> ContentEncoder:
    """The encoder half of a Whisper file; half-precision weights are computed in float32."""
    found = _open(weights, Kind.WHISPER)
    tensors = {
        name.removeprefix("encoder."): torch.from_numpy(np.array(found.tensors[name]))
        for name in found.tensors
        if name.startswith("encoder.")
    }
    config = WhisperConfig.from_official(found.config)
    return WhisperUnits(loaded(lambda: WhisperEncoder(config), tensors, str(weights)), compute)


def _onnx(dim: int) -> Callable[[Path, Compute], ContentEncoder]:
    def create(weights: Path, compute: Compute) -> ContentEncoder:
        return OnnxUnits(weights, compute, dim)

    return create


onnx_256: Any = _onnx(256)
onnx_768: Any = _onnx(768)
