"""``write``: our own files, safetensors for the numbers and a JSON file beside it for the settings, both atomic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sovits.core.atomic import replacing
from sovits.core.checkpoint.safetensors import write_safetensors
from sovits.core.checkpoint.tensors import Array
from sovits.core.errors import OptionError


def write(
    path: Path,
    tensors: Mapping[str, Array],
    *,
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
    store_as: Mapping[str, str] | str | None = None,
) -> None:
    """Write ``path`` (``.safetensors``) and, if there are settings, ``config.json`` beside it.

    Each file appears complete or not at all; the settings are written first, so a complete weight file has them.

    Args:
        tensors: name to array; those of a checkpoint that was read keep their stored format (also bfloat16).
        config: plain values that JSON can hold.
        metadata: short texts for the header of the weight file (kind, version, licence ...).
        store_as: number format for all floating-point tensors, or one per name, for example ``"float16"``.

    Raises:
        OptionError: another suffix, settings that JSON cannot hold, or a format that safetensors has not.
        OutputError: the files cannot be written.
    """
    if path.suffix != ".safetensors":
        raise OptionError(f"weights are written as .safetensors, not as '{path.name}'", hint="change the suffix")
    if config is not None:
        try:
            text = json.dumps(config, ensure_ascii=False, indent=2, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise OptionError(f"the settings for {path} hold something that JSON cannot: {error}") from error
        with replacing(path.with_name("config.json")) as beside:
            beside.write_text(text + "\n", encoding="utf-8")
    write_safetensors(path, tensors, metadata, store_as=store_as)
