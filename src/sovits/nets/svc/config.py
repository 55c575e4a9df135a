"""Sizes and switches of the so-vits-svc net: read from an official ``config.json``; a version is a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sovits.core.errors import WrongModelError

#: What the code of 4.0 did and its configs do not say (spec section 1, "4.0-era models").
ERA_4_0 = {"speech_encoder": "vec256l9", "ssl_dim": 256, "gin_channels": 256}


@dataclass(frozen=True)
class SvcConfig:
    """The ``model`` section of a config, and what of ``data`` the net depends on; defaults as in the spec, section 1.

    Attributes:
        bins: bins of the linear spectrogram that the posterior encoder reads.
        segment_frames: frames per training crop.
        sample_rate: rate of the *audio*; the sine source of the net counts in 44100 Hz whatever it is (kept quirk).
    """

    inter_channels: int = 192
    hidden_channels: int = 192
    filter_channels: int = 768
    n_heads: int = 2
    n_layers: int = 6
    kernel_size: int = 3
    p_dropout: float = 0.1
    resblock: str = "1"
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2, 2)
    upsample_initial_channel: int = 512
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 4, 4, 4)
    n_layers_trans_flow: int = 3
    n_flow_layer: int = 4
    gin_channels: int = 768
    ssl_dim: int = 768
    n_speakers: int = 200
    vocoder_name: str = "nsf-hifigan"
    vol_embedding: bool = False
    use_depthwise_conv: bool = False
    flow_share_parameter: bool = False
    use_automatic_f0_prediction: bool = True
    use_transformer_flow: bool = False
    bins: int = 1025
    segment_frames: int = 20
    sample_rate: int = 44100

    @property
    def hop(self) -> int:
        """Samples per frame, as the decoder makes them."""
        product = 1
        for rate in self.upsample_rates:
            product *= rate
        return product

    @classmethod
    def from_official(cls, config: Mapping[str, Any], source: str = "config.json") -> SvcConfig:
        """From a parsed ``config.json``; unknown keys are ignored, as the original ignores them.

        Raises:
            WrongModelError: no ``model`` or ``data`` section.
        """
        model, data = config.get("model"), config.get("data")
        if not isinstance(model, Mapping) or not isinstance(data, Mapping):
            raise WrongModelError(
                f"{source} is not the config of a so-vits-svc model: it has no 'model' and 'data' sections",
                hint="give the config.json that belongs to the model",
            )
        known = {field.name for field in fields(cls)}
        values = {name: _tuples(value) for name, value in model.items() if name in known}
        hop = int(data.get("hop_length", 512))
        values["bins"] = int(data.get("filter_length", 2048)) // 2 + 1
        values["segment_frames"] = int(config.get("train", {}).get("segment_size", 10240)) // hop
        values["sample_rate"] = int(data.get("sampling_rate", 44100))
        return cls(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
