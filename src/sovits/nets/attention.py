"""Attention of the VITS family: windowed learned relative positions, causal blocks, and their feed-forward layers.

Scores are computed for blocks of queries, so that memory grows with the length of a piece, not with its square.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.nets.convolution import NormConv1d, gate

#: Score of a masked pair; finite, as in the original, so that a row without any valid key averages instead of failing.
MASKED = -1e4
#: Queries per block; 2 heads x 1024 queries x 8192 keys are 64 MiB in float32.
QUERY_BLOCK = 1024


def frame_numbers(x: Tensor) -> Tensor:
    """0 .. T-1 for x [B, C, T], int64 [T]; summed instead of counted, so that a traced graph follows any T."""
    return torch.ones_like(x[0, 0], dtype=torch.int64).cumsum(0) - 1


class ChannelNorm(nn.Module):
    """Layer norm over the channels of [B, C, T] (eps 1e-5), parameters named ``gamma`` and ``beta``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x.transpose(1, 2), self.gamma.shape, self.gamma, self.beta, 1e-5).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over [B, H, T]; spec section 13, M4.

    With ``window`` w, learned tables of 2w+1 relative positions (shared by the heads) add ``q_i . Ek[j-i+w]`` to the
    scores and ``p_ij Ev[j-i+w]`` to the output for |j-i| <= w. With ``causal``, frame i sees frames <= i only.
    """

    def __init__(self, channels: int, heads: int, *, window: int | None = None, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.width, self.window, self.causal = heads, channels // heads, window, causal
        #: Queries at once; ``None`` for all of them, which a traced graph of any length needs.
        self.query_block: int | None = QUERY_BLOCK
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        if window is not None:
            self.emb_rel_k = nn.Parameter(torch.zeros(1, 2 * window + 1, self.width))
            self.emb_rel_v = nn.Parameter(torch.zeros(1, 2 * window + 1, self.width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, H, T], mask [B, 1, T] of valid frames -> [B, H, T]."""
        query, key, value = (self._split(conv(x)) for conv in (self.conv_q, self.conv_k, self.conv_v))
        query = query * self.width**-0.5
        rows = frame_numbers(x)
        if self.query_block is None:
            joined = self._attend(query, key, value, mask, rows)
        else:
            parts = zip(query.split(self.query_block, 2), rows.split(self.query_block), strict=True)
            joined = torch.cat([self._attend(part, key, value, mask, at) for part, at in parts], dim=2)
        out: Tensor = self.conv_o(joined.transpose(2, 3).flatten(1, 2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """[B, H, T] -> [B, heads, T, width]."""
        split: Tensor = x.unflatten(1, (self.heads, self.width)).transpose(2, 3)
        return split

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
        """Queries [B, heads, Q, width] at the frames ``rows`` [Q] against all keys -> [B, heads, Q, width]."""
        scores = query @ key.transpose(2, 3)
        columns = frame_numbers(mask)
        if self.window is not None:
            offset = (columns[None] - rows[:, None] + self.window).clamp(-1, 2 * self.window + 1)
            inside = (offset >= 0) & (offset <= 2 * self.window)
            index = offset.clamp(0, 2 * self.window).expand(*query.shape[:2], -1, -1)
            position = (query @ self.emb_rel_k.transpose(1, 2)).gather(3, index)
            scores = scores + position * inside
        valid = mask[:, :, None, :].bool() & mask.index_select(2, rows)[..., None].bool()
        if self.causal:
            valid = valid & (columns[None] <= rows[:, None])
        weights = functional.softmax(scores.masked_fill(~valid, MASKED), dim=3)
        out = weights @ value
        if self.window is not None:
            out = out + self._banded(weights, rows, columns[-1]) @ self.emb_rel_v
        return out

    def _banded(self, weights: Tensor, rows: Tensor, last: Tensor) -> Tensor:
        """The weights of keys at relative positions -w..w: [B, heads, Q, T] -> [B, heads, Q, 2w+1]; 0 outside."""
        assert self.window is not None
        at = rows[:, None] + torch.arange(-self.window, self.window + 1, device=rows.device)
        inside = (at >= 0) & (at <= last)
        index = torch.minimum(at.clamp_min(0), last).expand(*weights.shape[:2], -1, -1)
        return weights.gather(3, index) * inside


class FeedForward(nn.Module):
    """Two convolutions with ReLU between them; "same" padding, or left padding only when ``causal``."""

    def __init__(self, channels: int, inner: int, kernel: int, *, causal: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.padding = (kernel - 1, 0) if causal else ((kernel - 1) // 2, kernel // 2)
        self.conv_1 = nn.Conv1d(channels, inner, kernel)
        self.conv_2 = nn.Conv1d(inner, channels, kernel)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, C, T], mask [B, 1, T] -> [B, C, T]."""
        x = self.drop(torch.relu(self.conv_1(functional.pad(x * mask, self.padding))))
        out: Tensor = self.conv_2(functional.pad(x * mask, self.padding))
        return out * mask


class RelativeEncoder(nn.Module):
    """Post-norm transformer with relative positions of window 4 (the prior encoder of VITS)."""

    def __init__(self, channels: int, inner: int, heads: int, layers: int, kernel: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.attn_layers = nn.ModuleList(Attention(channels, heads, window=4) for _ in range(layers))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, inner, kernel, dropout=dropout) for _ in range(layers))
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, C, T], mask [B, 1, T] -> [B, C, T]."""
        x = x * mask
        parts = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True)
        for attention, norm_1, feed, norm_2 in parts:
            x = norm_1(x + self.drop(attention(x, mask)))
            x = norm_2(x + self.drop(feed(x, mask)))
        return x * mask


class CausalEncoder(nn.Module):
    """Post-norm causal transformer without positions (``FFT`` in the spec); optionally gated by a condition.

    With ``conditioning`` channels, every layer first replaces x by the gated ``cond_pre(x) + cond_layer(g)[layer]``:
    the block of the transformer flow (spec section 13, M5).
    """

    def __init__(
        self,
        channels: int,
        inner: int,
        heads: int,
        layers: int,
        kernel: int,
        dropout: float = 0.0,
        conditioning: int | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.drop = nn.Dropout(dropout)
        self.cond_pre = self.cond_layer = None
        if conditioning is not None:
            self.cond_pre = nn.Conv1d(channels, 2 * channels, 1)
            self.cond_layer = NormConv1d(conditioning, 2 * channels * layers, 1)
        self.self_attn_layers = nn.ModuleList(Attention(channels, heads, causal=True) for _ in range(layers))
        self.norm_layers_0 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(
            FeedForward(channels, inner, kernel, causal=True, dropout=dropout) for _ in range(layers)
        )
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """x [B, C, T], mask [B, 1, T], g [B, conditioning, 1 or T] if conditioned -> [B, C, T]."""
        x = x * mask
        conditions: list[Tensor | None] = [None] * len(self.self_attn_layers)
        if self.cond_layer is not None:
            conditions = list(self.cond_layer(g).split(2 * self.channels, dim=1))
        parts = zip(
            conditions, self.self_attn_layers, self.norm_layers_0, self.ffn_layers, self.norm_layers_1, strict=True
        )
        for condition, attention, norm_0, feed, norm_1 in parts:
            if self.cond_pre is not None and condition is not None:
                x = gate(self.cond_pre(x) + condition)
            x = norm_0(x + self.drop(attention(x, mask)))
            x = norm_1(x + self.drop(feed(x, mask)))
        return x * mask
