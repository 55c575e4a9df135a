"""The so-vits-svc net: ``forward`` for training, ``infer`` for use, one class (spec sections 3, 9 and 13)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sovits.core.rng import Noise
from sovits.nets.attention import CausalEncoder
from sovits.nets.convolution import WN, length_mask
from sovits.nets.flows import CouplingFlow
from sovits.nets.posterior import PosteriorEncoder
from sovits.nets.svc.config import SvcConfig
from sovits.nets.svc.pitch import PitchDecoder, coarse_bins, hz, log_f0, normalise_log_f0
from sovits.nets.svc.prior import PriorEncoder
from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig

RESIDUAL_COUPLINGS = 4
#: The ``model`` section of a config carries no rate, so every official model computes its sines for this one.
SOURCE_RATE = 44100


@dataclass(frozen=True)
class TrainingOutput:
    """What the losses need of one forward pass; audio [B, 1, samples], the rest [B, C, T]."""

    audio: Tensor
    starts: Tensor
    mask: Tensor
    z: Tensor
    z_p: Tensor
    mean_p: Tensor
    log_scale_p: Tensor
    mean_q: Tensor
    log_scale_q: Tensor
    predicted_lf0: Tensor | None
    normalised_lf0: Tensor | None
    lf0: Tensor | None


class Synthesizer(nn.Module):
    """Content, pitch, speaker and volume -> audio. Parameter names are those of official ``G_*.pth`` files."""

    def __init__(self, config: SvcConfig) -> None:
        super().__init__()
        self.config = config
        hidden, gin = config.hidden_channels, config.gin_channels
        self.emb_g = nn.Embedding(config.n_speakers, gin)
        self.emb_vol = nn.Linear(1, hidden) if config.vol_embedding else None
        self.pre = nn.Conv1d(config.ssl_dim, hidden, 5, padding=2)
        self.enc_p = PriorEncoder(
            config.inter_channels,
            hidden,
            config.filter_channels,
            config.n_heads,
            config.n_layers,
            config.kernel_size,
            config.p_dropout,
        )
        self.dec = HifiGan(
            HifiGanConfig(
                inputs=config.inter_channels,
                channels=config.upsample_initial_channel,
                rates=config.upsample_rates,
                kernels=config.upsample_kernel_sizes,
                resblock=config.resblock,
                resblock_kernels=config.resblock_kernel_sizes,
                resblock_dilations=config.resblock_dilation_sizes,
                conditioning=gin,
                sample_rate=SOURCE_RATE,
                snake=config.vocoder_name == "nsf-snake-hifigan",
            )
        )
        self.enc_q = PosteriorEncoder(
            config.bins, config.inter_channels, hidden, gin, depthwise=config.use_depthwise_conv
        )
        self.flow = CouplingFlow(config.inter_channels, hidden, _flow_encoders(config))
        self.f0_decoder = None
        if config.use_automatic_f0_prediction:
            self.f0_decoder = PitchDecoder(
                hidden,
                config.filter_channels,
                config.n_heads,
                config.n_layers,
                config.kernel_size,
                config.p_dropout,
                gin,
            )
        self.emb_uv = nn.Embedding(2, hidden)

    def speaker(self, speaker: Tensor) -> Tensor:
        """Speaker ids int64 [B, 1] -> [B, gin, 1]; or mix weights float [T, speakers] -> [1, gin, T]."""
        if speaker.is_floating_point():
            mixed: Tensor = (speaker @ self.emb_g.weight[: speaker.shape[1]]).T.unsqueeze(0)
            return mixed
        out: Tensor = self.emb_g(speaker.view(-1, 1)).transpose(1, 2)
        return out

    def front(self, content: Tensor, mask: Tensor, voiced: Tensor, volume: Tensor | None) -> Tensor:
        """Content [B, ssl, T], voiced [B, T], volume [B, T] -> hidden [B, H, T], before pitch is added."""
        x: Tensor = self.pre(content) * mask + self.emb_uv(voiced.long()).transpose(1, 2)
        if self.emb_vol is not None and volume is not None:
            x = x + self.emb_vol(volume.unsqueeze(2)).transpose(1, 2)
        return x

    def forward(
        self,
        content: Tensor,
        f0: Tensor,
        voiced: Tensor,
        spec: Tensor,
        speaker: Tensor,
        content_lengths: Tensor,
        spec_lengths: Tensor,
        noise: Noise,
        volume: Tensor | None = None,
    ) -> TrainingOutput:
        """One training pass: the latent of the recording is decoded for a random crop of ``segment_frames``."""
        g = self.speaker(speaker)
        mask = length_mask(content_lengths, content.shape[2]).to(content)
        x = self.front(content, mask, voiced, volume)
        lf0 = norm = predicted = None
        if self.f0_decoder is not None:
            lf0 = log_f0(f0.unsqueeze(1))
            norm = normalise_log_f0(lf0, mask, voiced.unsqueeze(1).to(lf0), noise)
            predicted = self.f0_decoder(x, norm, mask, g)
        _, mean_p, log_scale_p = self.enc_p(x, mask, coarse_bins(f0), noise)
        spec_mask = length_mask(spec_lengths, spec.shape[2]).to(spec)
        z, mean_q, log_scale_q = self.enc_q(spec, spec_mask, g, noise)
        z_p = self.flow(z, spec_mask, g)
        starts = crop_starts(spec_lengths, self.config.segment_frames, noise)
        crop = take_crops(z, starts, self.config.segment_frames)
        f0_crop = take_crops(f0.unsqueeze(1), starts, self.config.segment_frames).squeeze(1)
        audio = self.dec(crop, f0_crop, noise, g)
        return TrainingOutput(
            audio, starts, spec_mask, z, z_p, mean_p, log_scale_p, mean_q, log_scale_q, predicted, norm, lf0
        )

    @torch.no_grad()
    def infer(
        self,
        content: Tensor,
        f0: Tensor,
        voiced: Tensor,
        speaker: Tensor,
        noise: Noise,
        *,
        noise_scale: float = 0.35,
        predict_f0: bool = False,
        volume: Tensor | None = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Convert.

        Args:
            content: [B, ssl, T]. ``f0`` in Hz and ``voiced``: [B, T]. ``volume``: [B, T] where the model has it.
            speaker: ids int64 [B, 1], or mix weights float [T, speakers].
            noise_scale: scale of the prior's draw. ``predict_f0``: let the net write its own F0.
            start: phases of the source at the first sample, see :class:`~sovits.nets.source.HarmonicSource`.

        Returns:
            audio [B, 1, T * hop] and the F0 that was used [B, T].
        """
        g = self.speaker(speaker)
        mask = torch.ones_like(content[:, :1])
        x = self.front(content, mask, voiced, volume)
        if predict_f0 and self.f0_decoder is not None:
            norm = normalise_log_f0(log_f0(f0.unsqueeze(1)), mask, voiced.unsqueeze(1).to(f0))
            # In half precision its steps would be cents wide, and the sines of the source would drift apart.
            with torch.autocast(x.device.type, enabled=False):
                f0 = hz(self.f0_decoder(x, norm, mask, g.to(x))).squeeze(1)
        z_p, _, _ = self.enc_p(x, mask, coarse_bins(f0), noise, noise_scale)
        z = self.flow.inverse(z_p, mask, g)
        audio: Tensor = self.dec(z * mask, f0, noise, g, start)
        return audio, f0


def _flow_encoders(config: SvcConfig) -> list[nn.Module]:
    def make() -> nn.Module:
        if config.use_transformer_flow:
            return CausalEncoder(
                config.hidden_channels,
                config.filter_channels,
                config.n_heads,
                config.n_layers_trans_flow,
                5,
                config.p_dropout,
                conditioning=config.gin_channels,
            )
        return WN(
            config.hidden_channels, 5, config.n_flow_layer, config.gin_channels, depthwise=config.use_depthwise_conv
        )

    # A kept quirk: "n_flow_layer" is the depth of the residual couplings, but the number of the transformer ones.
    count = config.n_flow_layer if config.use_transformer_flow else RESIDUAL_COUPLINGS
    if config.flow_share_parameter:
        return [make()] * count
    return [make() for _ in range(count)]


def crop_starts(lengths: Tensor, frames: int, noise: Noise) -> Tensor:
    """Start frames of the training crops, int64 [B], uniform over what fits."""
    draws = torch.from_numpy(noise.uniform("crop", (lengths.shape[0],))).to(lengths.device)
    return (draws * (lengths - frames + 1).clamp_min(1)).long()


def take_crops(x: Tensor, starts: Tensor, frames: int) -> Tensor:
    """[B, C, T] -> [B, C, frames], each row from its own start."""
    index = starts[:, None] + torch.arange(frames, device=x.device)
    return x.gather(2, index[:, None].expand(-1, x.shape[1], -1))
