"""Official configs of the HuBERT family -> :class:`~sovits.features.content.hubert.HubertConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sovits.features.content.hubert import HubertConfig, LayerWidths
from sovits.features.content.keys import parse_convolutions

#: HuBERT-Soft has one size, and its file carries no config.
SOFT = HubertConfig(projection=256)
SOFT_PADDING = 40


def from_fairseq(model: Mapping[str, Any]) -> HubertConfig:
    """The ``cfg["model"]`` of a fairseq HuBERT file (ContentVec, Chinese HuBERT); its task's ``normalize`` is not used."""
    heads, width = int(model["encoder_attention_heads"]), int(model["encoder_embed_dim"])
    layer = LayerWidths(heads, width // heads, int(model["encoder_ffn_embed_dim"]))
    return HubertConfig(
        convolutions=parse_convolutions(model["conv_feature_layers"]),
        conv_bias=bool(model.get("conv_bias", False)),
        width=width,
        layers=(layer,) * int(model["encoder_layers"]),
        position_kernel=int(model["conv_pos"]),
        position_groups=int(model["conv_pos_groups"]),
        extractor_norms="all" if model["extractor_mode"] == "layer_norm" else "first",
        pre_norm=bool(model["layer_norm_first"]),
        projection=int(model.get("final_dim") or 0),
    )


def from_wavlm(model: Mapping[str, Any]) -> HubertConfig:
    """The ``cfg`` of a WavLM file."""
    base = from_fairseq({**model, "final_dim": 0})
    relative = bool(model.get("relative_position_embedding"))
    return HubertConfig(
        **{
            **vars(base),
            "buckets": int(model["num_buckets"]) if relative else 0,
            "max_distance": int(model["max_distance"]) if relative else 800,
            "normalise": bool(model.get("normalize")),
        }
    )


def from_dphubert(model: Mapping[str, Any]) -> HubertConfig:
    """The ``config`` of a DPHuBERT file: widths per layer, removed blocks."""
    rows = zip(
        model["encoder_num_heads"],
        model["encoder_use_attention"],
        model["encoder_ff_interm_features"],
        model["encoder_use_feed_forward"],
        strict=True,
    )
    head_width = int(model["encoder_head_dim"])
    return HubertConfig(
        convolutions=parse_convolutions(model["extractor_conv_layer_config"]),
        conv_bias=bool(model["extractor_conv_bias"]),
        width=int(model["encoder_embed_dim"]),
        layers=tuple(
            LayerWidths(int(heads) if attends else 0, head_width, int(inner) if feeds else 0)
            for heads, attends, inner, feeds in rows
        ),
        position_kernel=int(model["encoder_pos_conv_kernel"]),
        position_groups=int(model["encoder_pos_conv_groups"]),
        extractor_norms="all" if model["extractor_mode"] == "layer_norm" else "first",
        pre_norm=bool(model["encoder_layer_norm_first"]),
        normalise=bool(model.get("normalize_waveform")),
        scaled_features=True,
    )
