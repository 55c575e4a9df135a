"""Thin wrappers with the inputs and outputs of exported graphs (spec section 10); the nets inside are those that serve."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.nets.diffusion.samplers.grid import transfer
from sovits.nets.diffusion.unit2mel import Unit2Mel
from sovits.nets.source import sine_for_export
from sovits.nets.svc.pitch import coarse_bins, hz, log_f0, normalise_log_f0
from sovits.nets.svc.synthesizer import SOURCE_RATE, Synthesizer


def gather_frames(content: Tensor, mel2ph: Tensor) -> Tensor:
    """Content [1, frames, C] stretched by 1-based frame numbers [1, T] (0: a zero frame) -> [1, T, C]."""
    padded = functional.pad(content, (0, 0, 1, 0))
    return padded.gather(1, mel2ph.unsqueeze(2).expand(-1, -1, padded.shape[2]))


class SvcGraph(nn.Module):
    """The generator in the layout of MoeVoiceStudio.

    Args:
        net: weight norm folded, attention unblocked.
        source_noise: draw the excitation's noise inside the graph; off for comparisons.
        predict_f0: let the graph write its own F0.
    """

    def __init__(self, net: Synthesizer, *, source_noise: bool = True, predict_f0: bool = False) -> None:
        super().__init__()
        self.net, self.source_noise, self.predict_f0 = net, source_noise, predict_f0

    def source(self, f0: Tensor) -> Tensor:
        """Excitation [1, 1, T * hop] of an F0 track [1, T]."""
        hop, module = self.net.dec.config.hop, self.net.dec.m_source
        sine = sine_for_export(f0.unsqueeze(2), hop, module.harmonics, SOURCE_RATE)
        samples = functional.interpolate(f0.unsqueeze(1), scale_factor=float(hop), mode="nearest").transpose(1, 2)
        random = torch.randn_like(sine) if self.source_noise else torch.zeros_like(sine)
        return module.mix(sine, samples, random)

    def forward(
        self,
        c: Tensor,
        f0: Tensor,
        mel2ph: Tensor,
        uv: Tensor,
        noise: Tensor,
        sid: Tensor,
        vol: Tensor | None = None,
    ) -> Tensor:
        """c [1, frames, ssl]; f0, uv, vol [1, T]; mel2ph int64 [1, T]; noise [1, inter, T]; sid [1] or [T, speakers]."""
        net = self.net
        g = net.speaker(sid)
        content = gather_frames(c, mel2ph).transpose(1, 2)
        mask = torch.ones_like(content[:, :1])
        x = net.front(content, mask, uv, vol)
        if self.predict_f0 and net.f0_decoder is not None:
            norm = normalise_log_f0(log_f0(f0.unsqueeze(1)), mask, uv.unsqueeze(1))
            f0 = hz(net.f0_decoder(x, norm, mask, g)).squeeze(1)
        mean, log_scale = net.enc_p.statistics(x, mask, coarse_bins(f0))
        z = net.flow.inverse(mean + noise * torch.exp(log_scale), mask, g)
        return net.dec.decode(z, self.source(f0), g)


class DiffusionEncoderGraph(nn.Module):
    """Content and conditions -> the condition of the denoiser [1, hidden, T]."""

    def __init__(self, net: Unit2Mel) -> None:
        super().__init__()
        self.net = net

    def forward(self, hubert: Tensor, mel2ph: Tensor, f0: Tensor, volume: Tensor, spk_mix: Tensor) -> Tensor:
        """hubert [1, frames, units]; mel2ph int64 [1, T]; f0, volume [1, T]; spk_mix [T, speakers]."""
        units = gather_frames(hubert, mel2ph)
        return self.net.condition(units, f0.unsqueeze(2), volume.unsqueeze(2), spk_mix).transpose(1, 2)


class DenoiseGraph(nn.Module):
    """Noisy mel [1, 1, bins, T], step int64 [1], condition [1, hidden, T] -> predicted noise, the mel's shape."""

    def __init__(self, net: Unit2Mel) -> None:
        super().__init__()
        self.net = net

    def forward(self, noise: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        out: Tensor = self.net.decoder.denoise_fn(noise.squeeze(1), time, condition)
        return out.unsqueeze(1)


class PredictGraph(nn.Module):
    """One deterministic step of PNDM between two discrete times."""

    def __init__(self, net: Unit2Mel) -> None:
        super().__init__()
        self.register_buffer("kept", net.decoder.tables["alphas_cumprod"].clone())

    def forward(self, noise: Tensor, noise_pred: Tensor, time: Tensor, time_prev: Tensor) -> Tensor:
        """noise, noise_pred [1, 1, bins, T]; time, time_prev int64 [1] -> [1, 1, bins, T]."""
        kept = self.get_buffer("kept")
        return transfer(noise, noise_pred, kept[time].view(-1, 1, 1, 1), kept[time_prev].view(-1, 1, 1, 1))


class AfterGraph(nn.Module):
    """Normalised mel [1, 1, bins, T] -> natural-log mel [1, bins, T]."""

    def __init__(self, net: Unit2Mel) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net.decoder.denormalise(x.squeeze(1))
