"""Voices that sing and speak. The public names are resolved on first use, so that ``import sovits`` stays light."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sovits.api import LoadedVoice as LoadedVoice
    from sovits.api import load_voice as load_voice
    from sovits.audio.audio import Audio as Audio
    from sovits.core.errors import SovitsError as SovitsError

__version__ = "0.1.0"

_HOMES = {
    "load_voice": "sovits.api",
    "LoadedVoice": "sovits.api",
    "Audio": "sovits.audio.audio",
    "SovitsError": "sovits.core.errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sovits' has no attribute '{name}'")
    return getattr(importlib.import_module(home), name)
