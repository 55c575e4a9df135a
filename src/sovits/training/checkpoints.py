"""Upkeep of the checkpoints of a run: which one is the latest, and which ones go (spec sections 2 and 9)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

#: Base models: never removed.
BASE = re.compile(r"_0\.pth$")


def latest(folder: Path, prefix: str, *, compat: Literal["fixed", "upstream"] = "fixed") -> Path | None:
    """The newest checkpoint ``<prefix>_<step>.pth`` of a folder, or ``None``.

    Args:
        compat: ``upstream`` compares the integer made of all digits of the whole path, as the original does, which
            goes wrong as soon as names have other digits; the default compares steps.
    """
    found = list(folder.glob(f"{prefix}_*.pth"))
    if compat == "upstream":
        return max(found, key=lambda path: int("".join(re.findall(r"\d", str(path)))), default=None)
    numbered = [(int(match[1]), path) for path in found if (match := re.search(r"_(\d+)\.pth$", path.name))]
    return max(numbered, default=(0, None))[1]


def surplus(folder: Path, keep: int, prefixes: Sequence[str] = ("G", "D")) -> list[Path]:
    """What goes when ``keep`` checkpoints of each kind stay: the oldest by modification time, base models aside.

    Args:
        keep: 0 keeps all.
    """
    if keep <= 0:
        return []
    gone: list[Path] = []
    for prefix in prefixes:
        found = [path for path in folder.glob(f"{prefix}_*.pth") if not BASE.search(path.name)]
        gone += sorted(found, key=lambda path: path.stat().st_mtime_ns)[:-keep]
    return gone
