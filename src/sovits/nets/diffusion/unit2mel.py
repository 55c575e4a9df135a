"""Unit2Mel: content, pitch, volume and speaker condition a diffusion over mel frames (spec section 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sovits.core.errors import OptionError
from sovits.core.rng import Noise
from sovits.nets.diffusion.config import SPEC_MAX, SPEC_MIN, DiffusionConfig
from sovits.nets.diffusion.samplers import Sampler, Tick
from sovits.nets.diffusion.schedule import TABLES, tables
from sovits.nets.diffusion.wavenet import Denoiser


class GaussianDiffusion(nn.Module):
    """The denoiser with its tables; mel [B, T, bins] outside, normalised [B, bins, T] inside."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        for name, table in tables(config.timesteps).items():
            self.register_buffer(name, table)
        self.register_buffer("spec_min", torch.full((1, 1, 1), SPEC_MIN))
        self.register_buffer("spec_max", torch.full((1, 1, 1), SPEC_MAX))
        self.denoise_fn = Denoiser(config.bins, config.layers, config.channels, config.hidden)

    @property
    def tables(self) -> dict[str, Tensor]:
        """The discrete tables under their names."""
        return {name: getattr(self, name) for name in TABLES}

    def normalise(self, mel: Tensor) -> Tensor:
        """Natural-log mel -> [-1, 1]."""
        return (mel - SPEC_MIN) / (SPEC_MAX - SPEC_MIN) * 2 - 1

    def denormalise(self, x: Tensor) -> Tensor:
        """Inverse of :meth:`normalise`."""
        return (x + 1) / 2 * (SPEC_MAX - SPEC_MIN) + SPEC_MIN

    def noised(self, x: Tensor, step: Tensor, drawn: Tensor) -> Tensor:
        """x [B, bins, T] brought to ``step`` int64 [B] with the draw ``drawn``."""
        keep = self.tables["sqrt_alphas_cumprod"][step].view(-1, 1, 1)
        spread = self.tables["sqrt_one_minus_alphas_cumprod"][step].view(-1, 1, 1)
        noised: Tensor = keep * x + spread * drawn
        return noised

    def loss(self, condition: Tensor, mel: Tensor, noise: Noise) -> Tensor:
        """Mean squared error of the predicted noise at random steps below ``k_step_max``."""
        x = self.normalise(mel).transpose(1, 2)
        step = torch.from_numpy(noise.integers("step", (len(x),), 0, self.config.k_step_max)).to(x.device)
        drawn = draw(noise, "diffusion", x)
        return nn.functional.mse_loss(
            self.denoise_fn(self.noised(x, step, drawn), step, condition.transpose(1, 2)), drawn
        )


def draw(noise: Noise, name: str, like: Tensor) -> Tensor:
    """A normal draw like x [B, bins, T], asked for as [B, 1, bins, T] (part of the recorded rule)."""
    return torch.from_numpy(noise.normal(name, (like.shape[0], 1, *like.shape[1:]))[:, 0]).to(like)


class Unit2Mel(nn.Module):
    """Parameter names are those of official ``model_*.pt`` files."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.unit_embed = nn.Linear(config.units, config.hidden)
        self.f0_embed = nn.Linear(1, config.hidden)
        self.volume_embed = nn.Linear(1, config.hidden)
        self.aug_shift_embed = nn.Linear(1, config.hidden, bias=False) if config.pitch_shift_input else None
        self.spk_embed = nn.Embedding(config.speakers, config.hidden) if config.speakers > 1 else None
        self.decoder = GaussianDiffusion(config)

    def condition(
        self, units: Tensor, f0: Tensor, volume: Tensor, speaker: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """Condition of every frame.

        Args:
            units: [B, T, units]. ``f0`` in Hz and ``volume``: [B, T, 1].
            speaker: ids int64 [B, 1], or mix weights float [speakers] or [T, speakers].
            shift: semitones of pitch augmentation [B, 1, 1].

        Returns:
            [B, T, hidden].
        """
        x: Tensor = self.unit_embed(units) + self.f0_embed(torch.log(1 + f0 / 700)) + self.volume_embed(volume)
        if self.spk_embed is not None and speaker is not None:
            if speaker.is_floating_point():
                x = x + (speaker @ self.spk_embed.weight[: speaker.shape[-1]]).view(1, -1, x.shape[2])
            else:
                x = x + self.spk_embed(speaker.view(-1, 1))
        if self.aug_shift_embed is not None and shift is not None:
            x = x + self.aug_shift_embed(shift / 5)
        return x

    def forward(
        self,
        units: Tensor,
        f0: Tensor,
        volume: Tensor,
        speaker: Tensor | None,
        mel: Tensor,
        noise: Noise,
        shift: Tensor | None = None,
    ) -> Tensor:
        """Training loss; mel [B, T, bins] in natural log, the rest as in :meth:`condition`."""
        return self.decoder.loss(self.condition(units, f0, volume, speaker, shift), mel, noise)

    @torch.no_grad()
    def infer(
        self,
        condition: Tensor,
        noise: Noise,
        sampler: Sampler,
        *,
        speedup: int = 10,
        mel: Tensor | None = None,
        k_step: int | None = None,
        tick: Tick = lambda: None,
    ) -> Tensor:
        """Sample a mel.

        Args:
            condition: [B, T, hidden] of :meth:`condition`.
            mel: start of shallow diffusion [B, T, bins]; ``None`` starts from noise.
            k_step: steps of shallow diffusion.

        Returns:
            [B, T, bins], natural log.

        Raises:
            OptionError: steps beyond the trained range.
        """
        limit, inner = self.config.k_step_max, self.decoder
        shape = (condition.shape[0], self.config.bins, condition.shape[1])
        # The net may compute in half precision; what the steps add up to may not.
        kind = torch.promote_types(condition.dtype, torch.float32)
        x = draw(noise, "start", condition.new_empty(shape, dtype=kind))
        if mel is None:
            if limit != self.config.timesteps:
                raise OptionError(
                    f"this diffusion model was trained for {limit} of {self.config.timesteps} steps only",
                    hint="use it for shallow diffusion, not alone",
                )
            steps = limit
        else:
            steps = k_step or limit
            if steps > limit:
                raise OptionError(f"k_step {steps} is beyond the trained range", hint=f"choose at most {limit}")
            start = torch.full((shape[0],), steps - 1, device=condition.device)
            x = inner.noised(inner.normalise(mel).transpose(1, 2), start, x)
        bound = condition.transpose(1, 2)
        x = sampler(lambda y, step: inner.denoise_fn(y, step, bound), x, inner.tables, steps, speedup, noise, tick)
        return inner.denormalise(x.transpose(1, 2))
