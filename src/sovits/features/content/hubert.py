"""One net for the HuBERT family (Hsu et al. 2021): ContentVec, HuBERT-Soft, Chinese HuBERT large, WavLM and DPHuBERT.

What differs is a :class:`HubertConfig`: widths per layer (pruned models), pre- or post-norm, the extractor's norm,
gated relative positions (WavLM, Chen et al. 2022). Parameter names are fairseq's; the other name schemes are mapped onto them
in :mod:`sovits.features.content.keys`. Source of the details: spec/contentvec-names.md, spec section 11 and 13 (M12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: (channels, kernel, stride) of the seven convolutions of every base and large model.
BASE_CONVOLUTIONS = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)


@dataclass(frozen=True)
class LayerWidths:
    """Widths of one transformer layer; 0 where pruning removed the block."""

    heads: int
    head_width: int
    inner: int


@dataclass(frozen=True)
class HubertConfig:
    """Sizes and switches.

    Attributes:
        convolutions: (channels, kernel, stride) of the feature extractor; hop 320 at 16 kHz.
        width: of the transformer. ``layers``: widths of each layer.
        extractor_norms: "first" (group norm after the first convolution) or "all" (layer norm after each).
        pre_norm: layer norm before the blocks, and once after the last layer.
        projection: width of ``final_proj``, 0 for none.
        buckets, max_distance: of gated relative positions; 0 buckets for none.
        normalise: layer norm over the whole waveform first.
    """

    convolutions: tuple[tuple[int, int, int], ...] = BASE_CONVOLUTIONS
    conv_bias: bool = False
    width: int = 768
    layers: tuple[LayerWidths, ...] = (LayerWidths(12, 64, 3072),) * 12
    position_kernel: int = 128
    position_groups: int = 16
    extractor_norms: str = "first"
    pre_norm: bool = False
    projection: int = 0
    buckets: int = 0
    max_distance: int = 800
    normalise: bool = False
    scaled_features: bool = False


class _OverChannels(nn.Module):
    """Layer norm over the channels of [B, C, T]; child "1", as fairseq's transpose pair numbers it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_module("1", nn.LayerNorm(channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.get_submodule("1")(x.transpose(1, 2)).transpose(1, 2)
        return out


class ConvolutionLayer(nn.Module):
    """Child "0" the convolution, child "2" the norm if there is one, then GELU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, bias: bool, norm: nn.Module | None) -> None:
        super().__init__()
        self.add_module("0", nn.Conv1d(inputs, outputs, kernel, stride, bias=bias))
        if norm is not None:
            self.add_module("2", norm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T] -> [B, outputs, T']."""
        for layer in self.children():
            x = layer(x)
        return functional.gelu(x)


class FeatureExtractor(nn.Module):
    """Waveform [B, samples] -> features [B, C, frames] at a fiftieth of a second."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList()
        inputs = 1
        for index, (channels, kernel, stride) in enumerate(config.convolutions):
            norm: nn.Module | None = None
            if config.extractor_norms == "all":
                norm = _OverChannels(channels)
            elif index == 0:
                norm = nn.GroupNorm(channels, channels)
            self.conv_layers.append(ConvolutionLayer(inputs, channels, kernel, stride, config.conv_bias, norm))
            inputs = channels
        self.dummy_weight = nn.Parameter(torch.ones(inputs)) if config.scaled_features else None

    def forward(self, samples: Tensor) -> Tensor:
        x = samples.unsqueeze(1)
        for layer in self.conv_layers:
            x = layer(x)
        return x if self.dummy_weight is None else x * self.dummy_weight[:, None]


class SelfAttention(nn.Module):
    """Multi-head self-attention over [B, T, width]; heads may be fewer than width / head_width after pruning."""

    def __init__(self, width: int, heads: int, head_width: int, gated: bool) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_width
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.q_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)
        if gated:
            self.grep_linear = nn.Linear(head_width, 8)
            self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x [B, T, width], bias [heads, T, T] of relative positions or ``None``."""
        query, key, value = (self._split(proj(x)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        mask = None if bias is None else self._gate(self._split(x)) * bias
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        result: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return result

    def _split(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return split

    def _gate(self, split: Tensor) -> Tensor:
        """WavLM's gate of the position bias: the attention's input in heads [B, heads, T, w] -> [B, heads, T, 1]."""
        a, b = torch.sigmoid(self.grep_linear(split).unflatten(3, (2, 4)).sum(4)).chunk(2, dim=3)
        return a * (b * self.grep_a - 1) + 2


class TransformerLayer(nn.Module):
    """Attention and feed-forward with residuals; a pruned block keeps its norm (spec section 11)."""

    def __init__(self, width: int, widths: LayerWidths, *, pre_norm: bool, gated: bool) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.self_attn = SelfAttention(width, widths.heads, widths.head_width, gated) if widths.heads else None
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, widths.inner) if widths.inner else None
        self.fc2 = nn.Linear(widths.inner, width) if widths.inner else None
        self.final_layer_norm = nn.LayerNorm(width)

    def _feed(self, x: Tensor) -> Tensor:
        if self.fc1 is None or self.fc2 is None:
            return torch.zeros_like(x)
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out

    def _attend(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.self_attn is None:
            return torch.zeros_like(x)
        out: Tensor = self.self_attn(x, bias)
        return out

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x [B, T, width] -> the same shape."""
        if self.pre_norm:
            x = x + self._attend(self.self_attn_layer_norm(x), bias)
            return x + self._feed(self.final_layer_norm(x))
        x = self.self_attn_layer_norm(x + self._attend(x, bias))
        out: Tensor = self.final_layer_norm(x + self._feed(x))
        return out


class Transformer(nn.Module):
    """Convolutional positions, layers, and the norm before (post-norm) or after (pre-norm) them."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.config = config
        kernel = config.position_kernel
        self.pos_conv = nn.ModuleList(
            [nn.Conv1d(config.width, config.width, kernel, padding=kernel // 2, groups=config.position_groups)]
        )
        self.layers = nn.ModuleList(
            TransformerLayer(config.width, widths, pre_norm=config.pre_norm, gated=config.buckets > 0)
            for widths in config.layers
        )
        self.layer_norm = nn.LayerNorm(config.width)
        heads = config.layers[0].heads
        self.relative_attention_bias = nn.Embedding(config.buckets, heads) if config.buckets else None

    def forward(self, x: Tensor, layer: int | None) -> Tensor:
        """x [B, T, width]; stop after ``layer`` (1-based) if given -> [B, T, width].

        An explicitly chosen layer of a pre-norm model comes without the final norm.
        """
        positions = self.pos_conv[0](x.transpose(1, 2))[:, :, : x.shape[1]]
        x = x + functional.gelu(positions).transpose(1, 2)
        if not self.config.pre_norm:
            x = self.layer_norm(x)
        bias = self._bias(x.shape[1], x.device)
        for block in self.layers[:layer]:
            x = block(x, bias)
        if self.config.pre_norm and layer is None:
            x = self.layer_norm(x)
        return x

    def _bias(self, frames: int, device: torch.device) -> Tensor | None:
        """Relative position bias [heads, T, T] from the bucket table."""
        if self.relative_attention_bias is None:
            return None
        places = torch.arange(frames, device=device)
        buckets = relative_buckets(places[None] - places[:, None], self.config.buckets, self.config.max_distance)
        table: Tensor = self.relative_attention_bias(buckets)
        return table.permute(2, 0, 1)


def relative_buckets(offset: Tensor, buckets: int, max_distance: int) -> Tensor:
    """Bucket of a key at ``offset`` frames after the query: exact when near, logarithmic when far, halves by sign."""
    half = buckets // 2
    exact = half // 2
    distance = offset.abs()
    scale = (half - exact) / math.log(max_distance / exact)
    far = exact + (torch.log(distance.clamp_min(1).float() / exact) * scale).long()
    return (offset > 0).long() * half + torch.where(distance < exact, distance, far.clamp_max(half - 1))


class Hubert(nn.Module):
    """16 kHz waveform -> units."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.convolutions[-1][0]
        self.feature_extractor = FeatureExtractor(config)
        self.layer_norm = nn.LayerNorm(channels)
        self.post_extract_proj = nn.Linear(channels, config.width)
        self.encoder = Transformer(config)
        self.final_proj = nn.Linear(config.width, config.projection) if config.projection else None

    @torch.inference_mode()
    def units(self, samples: Tensor, *, layer: int | None = None, project: bool = False) -> Tensor:
        """Encode.

        Args:
            samples: float32 [B, samples] at 16 kHz, raw (not normalised unless the config says so).
            layer: 1-based layer to take; ``None`` for the last, with the final norm of a pre-norm model.
            project: apply ``final_proj``.

        Returns:
            [B, width or projection, frames], frames = floor((samples - 400) / 320) + 1.
        """
        if self.config.normalise:
            samples = functional.layer_norm(samples, samples.shape[1:])
        features = self.feature_extractor(samples).transpose(1, 2)
        x: Tensor = self.encoder(self.post_extract_proj(self.layer_norm(features)), layer)
        if project and self.final_proj is not None:
            x = self.final_proj(x)
        return x.transpose(1, 2)
