"""Work in progress in the voices folder: hidden folders, and what is done about those that a killed process left."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from pathlib import Path

from sovits.core.locks import alone_in, working_in

__all__ = ["aside", "beside", "discard", "tidy", "working_in"]

_NEW, _OLD, _GONE = ".adding-", ".replaced-", ".removed-"


def beside(voices_folder: Path) -> Path:
    """A new name for a voice that is being put together."""
    return voices_folder / f"{_NEW}{secrets.token_hex(6)}"


def aside(folder: Path, *, deleted: bool = False) -> Path:
    """A new name for a voice that makes room for another one, or is deleted."""
    # The name of the voice comes last, so that it can be put back.
    return folder.with_name(f"{_GONE if deleted else _OLD}{secrets.token_hex(6)}-{folder.name}")


def tidy(voices_folder: Path) -> None:
    """Take away what killed processes left behind; a voice that was about to be replaced is put back.

    Does nothing while any process works in the folder (:func:`~sovits.core.locks.working_in`), and never fails.
    """
    with contextlib.suppress(OSError):
        if not any(item.name.startswith((_NEW, _OLD, _GONE)) for item in voices_folder.iterdir()):
            return
        with alone_in(voices_folder) as alone:
            if not alone:
                return
            for item in sorted(voices_folder.iterdir()):
                if item.name.startswith(_OLD) and not (whole := _belongs(item)).exists():
                    item.rename(whole)
                elif item.name.startswith((_NEW, _OLD, _GONE)):
                    discard(item)


def discard(item: Path) -> None:
    """Delete a folder as far as it can be deleted; of a link the link alone."""
    if item.is_symlink():
        item.unlink()
    else:
        shutil.rmtree(item, ignore_errors=True)


def _belongs(item: Path) -> Path:
    return item.with_name(item.name.removeprefix(_OLD).partition("-")[2] or item.name)
