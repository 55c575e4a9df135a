"""Sizes of the Unit2Mel net and what of its yaml the net depends on (spec section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sovits.core.errors import WrongModelError

#: Mel range that is mapped to [-1, 1]; natural log.
SPEC_MIN, SPEC_MAX = -12.0, 2.0
MAX_BETA = 0.02


@dataclass(frozen=True)
class DiffusionConfig:
    """Sizes; defaults as in the official template.

    Attributes:
        units: width of the content features. ``bins``: mel bins.
        speakers: rows of the speaker table; 1 means no table.
        k_step_max: steps the model was trained for; equal to ``timesteps`` for a full model.
    """

    units: int = 768
    bins: int = 128
    layers: int = 20
    channels: int = 512
    hidden: int = 256
    pitch_shift_input: bool = True
    timesteps: int = 1000
    k_step_max: int = 1000
    speakers: int = 1

    @classmethod
    def from_official(
        cls, config: Mapping[str, Any], source: str = "diffusion.yaml", bins: int = 128
    ) -> DiffusionConfig:
        """From a parsed ``diffusion.yaml``.

        Raises:
            WrongModelError: no ``model`` or ``data`` section.
        """
        model, data = config.get("model"), config.get("data")
        if not isinstance(model, Mapping) or not isinstance(data, Mapping):
            raise WrongModelError(
                f"{source} is not the config of a diffusion model: it has no 'model' and 'data' sections",
                hint="give the diffusion.yaml that belongs to the model",
            )
        timesteps = int(model.get("timesteps") or 1000)
        k_step_max = int(model.get("k_step_max") or 0)
        return cls(
            units=int(data["encoder_out_channels"]),
            bins=bins,
            layers=int(model["n_layers"]),
            channels=int(model["n_chans"]),
            hidden=int(model["n_hidden"]),
            pitch_shift_input=bool(model.get("use_pitch_aug", True)),
            timesteps=timesteps,
            k_step_max=k_step_max if 0 < k_step_max < timesteps else timesteps,
            speakers=int(model.get("n_spk") or 1),
        )
