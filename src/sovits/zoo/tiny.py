"""Tiny voices with random weights: the whole path of the singing engine without any download.

They exist for tests, documentation and trying out a set-up. What comes out follows the melody of what goes in, but it is
the sound of random numbers: it is never to be shown as what this program can do. Weights follow from the name of the
kind through :class:`~sovits.core.rng.SeededNoise`, so they are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sovits.core.device import Compute
from sovits.core.errors import OptionError
from sovits.core.rng import FloatArray, Noise, SeededNoise
from sovits.zoo.svc_voice import DiffusionPart, SvcVoice, VocoderPart

if TYPE_CHECKING:
    from torch import nn

    Net = TypeVar("Net", bound=nn.Module)

NOTICE = "random weights, for tests only: this is not a voice"
SAMPLE_RATE, HOP, WIDTH = 44100, 512, 32
SPEAKERS = {"one": 0, "two": 1, "three": 2}

#: Kinds by name, and what their generator's config changes; ``tiny-diffusion`` also has a diffusion model.
KINDS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "tiny-vol": {"vol_embedding": True},
    "tiny-snake": {"vocoder_name": "nsf-snake-hifigan"},
    "tiny-small": {"use_depthwise_conv": True, "flow_share_parameter": True},
    "tiny-transformer": {"use_transformer_flow": True},
    "tiny-no-f0": {"use_automatic_f0_prediction": False},
    "tiny-diffusion": {},
}
_SIZES: dict[str, Any] = {
    "inter_channels": 16,
    "hidden_channels": 32,
    "filter_channels": 48,
    "n_layers": 2,
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": (3,),
    "resblock_dilation_sizes": ((1, 3),),
    "n_flow_layer": 2,
    "n_layers_trans_flow": 1,
    "gin_channels": 24,
    "ssl_dim": WIDTH,
    "n_speakers": len(SPEAKERS),
}
#: Tensors that stand out with plain random numbers: what they are multiplied by.
_GAINS = (("emb_g.weight", 4.0), ("f0_emb.weight", 4.0), ("enc_p.proj.weight", 0.5), ("conv_post.weight_g", 0.3))


def tiny_voice(kind: str = "tiny", compute: Compute | None = None) -> SvcVoice:
    """A voice of one of the :data:`KINDS`, made in memory in well under a second.

    Raises:
        OptionError: an unknown kind.
    """
    from sovits.features.content.encoders import HubertUnits
    from sovits.features.content.hubert import Hubert, HubertConfig, LayerWidths
    from sovits.nets.convolution import fold_weight_norm
    from sovits.nets.svc.config import SvcConfig
    from sovits.nets.svc.synthesizer import Synthesizer

    if kind not in KINDS:
        raise OptionError(f"unknown tiny voice '{kind}'", hint=f"known: {', '.join(KINDS)}")
    compute = compute or Compute()
    noise = SeededNoise(0).child(kind)
    generator = filled(lambda: Synthesizer(SvcConfig(**{**_SIZES, **KINDS[kind]})), noise.child("generator"))
    del generator.enc_q
    fold_weight_norm(generator)
    encoder = HubertConfig(
        convolutions=((16, 10, 5), *((16, 3, 2),) * 4, *((16, 2, 2),) * 2),
        width=WIDTH,
        layers=(LayerWidths(2, 16, 48),) * 2,
        position_kernel=16,
        position_groups=4,
    )
    diffuses = kind == "tiny-diffusion"
    return SvcVoice(
        f"{kind} ({NOTICE})",
        SAMPLE_RATE,
        HOP,
        dict(SPEAKERS),
        HubertUnits(filled(lambda: Hubert(encoder), SeededNoise(0).child("encoder")), compute),
        "nearest",
        generator.to(compute.device),
        _diffusion(noise.child("diffusion"), compute) if diffuses else None,
        compute=compute,
        vocoder_part=_vocoder(SeededNoise(0).child("vocoder"), compute),
    )


def _vocoder(noise: Noise, compute: Compute) -> VocoderPart:
    from sovits.features.mel import VOCODER
    from sovits.nets.convolution import fold_weight_norm
    from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig

    config = HifiGanConfig(
        VOCODER.bands, 32, resblock_kernels=(3,), resblock_dilations=((1, 3),), frame_rate_phase=True
    )
    net = filled(lambda: HifiGan(config), noise)
    fold_weight_norm(net)
    return VocoderPart(net.to(compute.device), VOCODER)


def _diffusion(noise: Noise, compute: Compute) -> DiffusionPart:
    from sovits.nets.diffusion.config import DiffusionConfig
    from sovits.nets.diffusion.unit2mel import Unit2Mel

    config = DiffusionConfig(units=WIDTH, layers=2, channels=24, hidden=24, speakers=len(SPEAKERS))
    return DiffusionPart(filled(lambda: Unit2Mel(config), noise).to(compute.device), "dpm-solver++", 10)


def filled(build: Callable[[], Net], noise: Noise) -> Net:
    """A net whose parameters follow from their names; buffers keep what they are built with."""
    import torch

    with torch.random.fork_rng(devices=[]):  # the numbers that layers draw for themselves are replaced at once
        net = build()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(torch.from_numpy(_fill(name, tuple(parameter.shape), noise)))
    return net.eval().requires_grad_(False)


def _fill(name: str, shape: tuple[int, ...], noise: Noise) -> FloatArray:
    """Gains near 1, matrices scaled by their fan-in, small offsets."""
    drawn = noise.normal(name, shape)
    if name.endswith("weight_g"):
        value = np.abs(1 + 0.1 * drawn)
    elif len(shape) > 1:
        value = drawn / np.sqrt(np.prod(shape[1:]))
    elif name.endswith(("weight", "gamma")):
        value = 1 + 0.1 * drawn
    else:
        value = 0.05 * drawn
    for ending, factor in _GAINS:
        if name.endswith(ending):
            value = value * factor
    return np.asarray(value, np.float32)
