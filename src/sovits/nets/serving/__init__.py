"""The nets as they serve: the same calls and the same weights as the loaded nets, arranged for speed.

``serving(net, compute)`` is the one door. What it gives is a net of its own; the loaded one is not changed.
"""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch

from sovits.core.device import Compute
from sovits.nets.convolution import fold_weight_norm
from sovits.nets.serving.decoder import PlainDecoder, ServingDecoder
from sovits.nets.svc.synthesizer import Synthesizer
from sovits.nets.vocoders.hifigan import HifiGan

__all__ = ["has_fast_bfloat16", "serving", "serving_type"]

Net = TypeVar("Net", Synthesizer, HifiGan)


def serving(net: Net, compute: Compute) -> Net:
    """A net for inference, made from a loaded one, with the same ``infer`` (Synthesizer) or call (HifiGan).

    It is thread-safe and keeps nothing of a call. Inputs and outputs are float32. The excitation is always computed
    in float32, and so is everything before the decoder.

    Args:
        net: loaded weights; its decoder decides the form, its device stays.
        compute: ``precision`` is what the decoder is to compute in, see :func:`serving_type`.
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
        if part is not training_only:
            fold_weight_norm(part)
    return made


def serving_type(compute: Compute) -> torch.dtype:
    """The type the decoder computes in: bfloat16 on a processor only if it multiplies bfloat16 itself.

    ``auto`` is float16 on CUDA, bfloat16 on a processor that has it, and float32 elsewhere.
    """
    on_cpu = compute.device.partition(":")[0] == "cpu"
    precision = compute.precision
    if precision == "auto":
        precision = "bfloat16" if on_cpu else "float16" if compute.device.startswith("cuda") else "float32"
    if on_cpu and (precision != "bfloat16" or not has_fast_bfloat16()):
        return torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 (AVX512-BF16 or AMX) and torch uses it."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported"):
        return False
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    own = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return own and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _decoder(net: HifiGan, kind: torch.dtype) -> ServingDecoder | PlainDecoder:
    on_cpu = net.conv_post.bias.device.type == "cpu"
    if on_cpu and not net.config.snake:
        return ServingDecoder(net, kind)
    # bfloat16 does not pay for the snake, which is mostly element-wise
    return PlainDecoder(net, torch.float32 if on_cpu else kind)
