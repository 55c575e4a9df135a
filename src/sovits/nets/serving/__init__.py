"""The nets as they serve: the same calls and the same weights as the loaded nets, arranged for speed.

``serving(net, compute)`` is the door for nets that end in a HiFi-GAN decoder; what it gives is a net of its own, the
loaded one is not changed. ``arrange(net, compute)`` is the door for all others, which stay the class they are.
"""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import nn

from sovits.core.device import Compute, has_fast_bfloat16
from sovits.nets.convolution import fold_weight_norm
from sovits.nets.serving.decoder import PlainDecoder, ServedDecoder, ServingDecoder
from sovits.nets.serving.graphs import GraphedDecoder
from sovits.nets.serving.layers import channels_last, fold_batch_norm, pack_layers
from sovits.nets.svc.synthesizer import Synthesizer
from sovits.nets.vocoders.hifigan import HifiGan

__all__ = ["arrange", "serving", "serving_type"]

Net = TypeVar("Net", Synthesizer, HifiGan)


def serving(net: Net, compute: Compute) -> Net:
    """A net for inference, made from a loaded one, with the same ``infer`` (Synthesizer) or call (HifiGan).

    It is thread-safe and keeps nothing of a call. Inputs and outputs are float32. The excitation is always computed
    in float32.

    Args:
        net: loaded weights; its decoder decides the form, its device stays.
        compute: ``precision`` is what products are computed in, see :func:`serving_type`.
    """
    if isinstance(net, HifiGan):
        # The forms answer to the same calls; callers see the one type.
        return cast(Net, _decoder(net, serving_type(compute)))
    decoder = _decoder(net.dec, serving_type(compute))
    # What the memo names is not copied: the decoder is replaced, the posterior encoder plays no part in inference
    # (a net that was loaded for inference has none).
    training_only = getattr(net, "enc_q", None)
    made = copy.deepcopy(net, {id(net.dec): decoder, id(training_only): training_only}).eval()
    for part in made.children():
        if part is not training_only and part is not decoder:
            arrange(part, compute, exact=part is made.f0_decoder)
    return made


def arrange(net: nn.Module, compute: Compute, *, exact: bool = False) -> None:
    """Arrange the layers of a net of another kind for inference, in place: same calls, float32 in and out.

    Args:
        exact: products stay float32 whatever ``compute.precision`` says.
    """
    fold_weight_norm(net)
    fold_batch_norm(net)
    if compute.kind == "cpu":
        channels_last(net)
        pack_layers(net, torch.float32 if exact else serving_type(compute))


def serving_type(compute: Compute) -> torch.dtype:
    """The type products are computed in: bfloat16 on a processor only if it multiplies bfloat16 itself."""
    if compute.kind == "cpu" and (compute.dtype != torch.bfloat16 or not has_fast_bfloat16()):
        return torch.float32
    return compute.dtype


def _decoder(net: HifiGan, kind: torch.dtype) -> ServedDecoder:
    device = net.conv_post.bias.device.type
    if device == "cpu" and not net.config.snake:
        return ServingDecoder(net, kind)
    # Half precision does not pay for the snake on a CPU, which is mostly element-wise; its sines miss the gate in it.
    plain = PlainDecoder(net, torch.float32 if net.config.snake else kind)
    return GraphedDecoder(plain) if device == "cuda" else plain
