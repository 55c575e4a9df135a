"""Weight file and config -> net: the one assembler. Strict: what is missing, left over or of another shape is reported.

Nets come out in evaluation mode, in float32 whatever the file holds, weight norm folded, on the device that was asked
for. torch is imported on use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sovits.core import checkpoint
from sovits.core.checkpoint import Checkpoint, Kind, LazyTensor
from sovits.core.device import Compute, without_numbers
from sovits.core.errors import WrongModelError
from sovits.core.strict import read_mapping

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sovits.nets.diffusion.unit2mel import Unit2Mel
    from sovits.nets.svc.config import SvcConfig
    from sovits.nets.svc.synthesizer import Synthesizer
    from sovits.nets.vocoders.hifigan import HifiGan

    Net = TypeVar("Net", bound=nn.Module)

#: What released files may lack: the posterior encoder serves training only.
RELEASED_WITHOUT = ("enc_q.",)
#: Where the right file is found, for who gave a wrong one.
_WHERE = {
    Kind.SVC: "give the model of the voice, usually called G_<steps>.pth",
    Kind.SVC_DIFFUSION: "give the diffusion model of the voice, usually called diffusion/model_<steps>.pt",
    Kind.NSF_HIFIGAN: "put the right file there: sovits models pull nsf-hifigan --force",
}


def open_kind(path: Path, kind: Kind, *, config: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read a weight file that has to be of one kind.

    Raises:
        WrongModelError: another kind, named.
        CheckpointError: as :func:`sovits.core.checkpoint.read`.
    """
    found = checkpoint.read(path, config=config)
    if found.kind is not kind:
        known = f"{found.kind.label} {found.version}".strip()
        raise WrongModelError(
            f"{path} is no {kind.label}; it is: {known} ({found.kind.purpose})", hint=_WHERE.get(kind, "")
        )
    return found


def assemble(
    build: Callable[[], Net], found: Checkpoint, *, optional_groups: Iterable[str] = (), ignore: Iterable[str] = ()
) -> Net:
    """Build a net without drawing random numbers and give it exactly the tensors of a file, in float32.

    Args:
        optional_groups, ignore: as :func:`sovits.core.checkpoint.match`. A group that the file lacks has no numbers
            afterwards (its parameters stay on the device "meta"); the caller drops or fills it.

    Raises:
        WrongModelError: names or shapes do not fit, all listed.
    """
    with without_numbers():
        net = build()
    expected = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    entries = checkpoint.match(expected, found, optional_groups=optional_groups, ignore=ignore)
    net.load_state_dict({name: _tensor(entry) for name, entry in entries.items()}, strict=False, assign=True)
    _rebuild_constants(net)
    return net.eval().requires_grad_(False)


def _tensor(entry: LazyTensor) -> Tensor:
    """A copy of a tensor of a file; numbers with a fraction become float32."""
    import torch

    array = entry.open()
    return torch.from_numpy(np.array(array, np.float32 if array.dtype.kind == "f" else None))


def _rebuild_constants(net: nn.Module) -> None:
    """Buffers that no file holds are formulas; those built on "meta" are computed again."""
    from sovits.nets.activations import kaiser_sinc

    for module in net.modules():
        kernel = getattr(module, "kernel", None)
        if getattr(kernel, "is_meta", False):
            module.kernel = kaiser_sinc()


def load_generator(
    path: Path, config: Mapping[str, Any], compute: Compute, *, source: str = "config.json"
) -> tuple[Synthesizer, SvcConfig]:
    """A so-vits-svc generator for inference.

    Args:
        config: the parsed ``config.json``; ``source`` is its name in messages.

    Raises:
        WrongModelError: a file of another kind, a config of another model, widths that clash.
    """
    from sovits.nets.convolution import fold_weight_norm
    from sovits.nets.svc.synthesizer import Synthesizer

    found = open_kind(path, Kind.SVC, config=config)
    with sizes_of(source):
        sizes = generator_config(found, config, source)
        net = assemble(lambda: Synthesizer(sizes), found, optional_groups=RELEASED_WITHOUT)
    del net.enc_q
    fold_weight_norm(net)
    return net.to(compute.device), sizes


@contextlib.contextmanager
def sizes_of(source: str) -> Iterator[None]:
    """A config whose values are missing or of a wrong type is named."""
    try:
        yield
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise WrongModelError(
            f"{source}: a value is missing or of the wrong type: {error!r}",
            hint="give the config that was written when this model was trained",
        ) from error


def generator_config(found: Checkpoint, config: Mapping[str, Any], source: str) -> SvcConfig:
    """The sizes of a generator: from its config, with the rules of 4.0 where the config is of that time.

    Raises:
        WrongModelError: the config contradicts the file; names the value and both numbers.
    """
    from sovits.nets.svc.config import ERA_4_0, SvcConfig

    model = config.get("model")
    if isinstance(model, Mapping) and found.version.startswith("4.0"):
        config = {**config, "model": {**ERA_4_0, **model}}
    sizes = SvcConfig.from_official(config, source)
    facts = found.facts
    for name, stated, held in (
        ("ssl_dim", sizes.ssl_dim, facts.get("content_width")),
        ("gin_channels", sizes.gin_channels, facts.get("speaker_width")),
        ("n_speakers", sizes.n_speakers, facts.get("speaker_rows")),
        ("hidden_channels", sizes.hidden_channels, facts.get("hidden_width")),
        ("vol_embedding", bool(sizes.vol_embedding), facts.get("volume_embedding")),
        ("use_automatic_f0_prediction", bool(sizes.use_automatic_f0_prediction), facts.get("automatic_f0")),
    ):
        if held is not None and stated != held:
            given = isinstance(model, Mapping) and name in model
            said = f"is {stated} in the config" if given else f"is not in the config, which stands for {stated},"
            raise WrongModelError(
                f"{source} does not belong to {found.path}: {name} {said} and {held} in the model",
                hint=_advice(name, facts),
            )
    return sizes


def _advice(name: str, facts: Mapping[str, Any]) -> str:
    if name == "ssl_dim" and facts.get("speech_encoders"):
        names = ", ".join(facts["speech_encoders"])
        return f'give the config of this model, or set "speech_encoder" to one of its width: {names}'
    return "give the config.json that was written when this model was trained"


def load_as_upstream(path: Path, config: Mapping[str, Any]) -> tuple[Synthesizer, Checkpoint]:
    """A generator the way so-vits-svc loads it (F12, K): the whole net takes the type of the file's first tensor.

    A file of half precision so computes in half precision, on a CPU too; a posterior encoder that is not in the file
    keeps what it had (zeros here). For comparison with recorded numbers only.
    """
    import torch

    from sovits.nets.svc.synthesizer import Synthesizer

    found = open_kind(path, Kind.SVC, config=config)
    sizes = generator_config(found, config, "config.json")
    net = assemble(lambda: Synthesizer(sizes), found, optional_groups=RELEASED_WITHOUT)
    if any(value.is_meta for value in net.enc_q.state_dict().values()):
        net.enc_q.to_empty(device="cpu")
        for value in net.enc_q.state_dict().values():
            value.zero_()
    first = found.tensors.entry(next(iter(found.tensors))).storage.format.name
    return net.to(getattr(torch, first)), found


def load_diffusion(
    path: Path, config: Mapping[str, Any], compute: Compute, *, source: str = "diffusion.yaml"
) -> Unit2Mel:
    """A Unit2Mel diffusion model.

    Raises:
        WrongModelError: a file of another kind, or sizes that contradict the config.
    """
    from sovits.nets.diffusion.config import DiffusionConfig
    from sovits.nets.diffusion.unit2mel import Unit2Mel

    found = open_kind(path, Kind.SVC_DIFFUSION, config=config)
    with sizes_of(source):
        sizes = DiffusionConfig.from_official(config, source, bins=int(found.facts.get("mel_bands") or 128))
    for name, stated, held in (
        ("data.encoder_out_channels", sizes.units, found.facts.get("content_width")),
        ("model.n_spk", sizes.speakers, found.facts.get("speaker_rows")),
        ("model.timesteps", sizes.timesteps, found.facts.get("timesteps")),
        ("model.n_layers", sizes.layers, found.facts.get("layers")),
    ):
        if held is not None and stated != held:
            raise WrongModelError(
                f"{source} does not belong to {found.path}: {name} is {stated} in the config and {held} in the model",
                hint="give the diffusion config that was written when this model was trained",
            )
    return assemble(lambda: Unit2Mel(sizes), found).to(compute.device)


def load_vocoder(path: Path, compute: Compute) -> tuple[HifiGan, dict[str, Any]]:
    """The NSF-HiFiGAN vocoder with the ``config.json`` beside its file.

    Returns:
        The net and its config (rate, hop and mel settings are in there).

    Raises:
        PathError: no config beside it.
        WrongModelError: a file of another kind, or of other sizes than the config says.
    """
    from sovits.nets.convolution import fold_weight_norm
    from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig

    config = read_mapping(path.parent / "config.json")
    found = open_kind(path, Kind.NSF_HIFIGAN, config=config)
    try:
        sizes = HifiGanConfig.vocoder(config)
    except (KeyError, TypeError, ValueError) as error:
        raise WrongModelError(
            f"{path.parent / 'config.json'} is not the config of an NSF-HiFiGAN vocoder: {error!r} is missing or wrong",
            hint="put the config.json of the vocoder beside its model file",
        ) from error
    net = assemble(lambda: HifiGan(sizes), found)
    fold_weight_norm(net)
    return net.to(compute.device), config
