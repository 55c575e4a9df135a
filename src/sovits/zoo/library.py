"""The voices folder: names, listing and removal. Nothing outside the folder is ever touched."""

from __future__ import annotations

import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sovits.core.atomic import output_error
from sovits.core.errors import OptionError, SovitsError, VoiceError
from sovits.zoo import workshop
from sovits.zoo.cards import CARD_NAME, Card, CardFile, has_licence, read_card
from sovits.zoo.voice import folders_in

_LONGEST_NAME = 100
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)


@dataclass(frozen=True)
class Listed:
    """One row of the list.

    Attributes:
        name: of the folder, which is the name to give to ``--voice``.
        folder: where it lies.
        card: ``None`` for a folder of recordings that was never imported.
        problem: why the card cannot be read; empty if it can.
    """

    name: str
    folder: Path
    card: Card | None = None
    problem: str = ""


def folder_of(name: str, voices_folder: Path) -> Path:
    """The folder of a voice, existing or not.

    Raises:
        OptionError: a name that is empty, too long, hidden, reserved, or reaches into another folder.
    """
    name = unicodedata.normalize("NFC", name)
    bad = (
        not name.isprintable()
        or not name.strip()
        or name != name.strip()
        or name[0] in ".-"
        or name[-1] == "."
        or any(sign in '/\\:*?"<>|' for sign in name)
        or len(name.encode("utf-8")) > _LONGEST_NAME
        or name.split(".")[0].casefold() in _RESERVED
    )
    if bad:
        shown = name[:80].encode("unicode_escape").decode("ascii")
        raise OptionError(
            f"'{shown}' cannot be the name of a voice",
            hint="give a --name of letters, digits, spaces, '-' and '_' that does not begin with '.' or '-'",
        )
    return voices_folder / name


def existing(name: str, voices_folder: Path) -> Path:
    """The folder of a voice that is there.

    Raises:
        OptionError: a name that no voice can have.
        VoiceError: no such voice.
    """
    folder = folder_of(name, voices_folder)
    if not folder.is_dir():
        known = ", ".join(item.name for item in folders_in(voices_folder))
        raise VoiceError(f"no voice '{name}' in {voices_folder}", hint=f"known: {known or 'none'}")
    return folder


def listing(voices_folder: Path, *, licence: str = "") -> list[Listed]:
    """All voices by name; with ``licence``, those whose stated licence contains it ("unstated": those without one).

    What a killed process left of a voice is taken away on the way.
    """
    workshop.tidy(voices_folder)
    rows = [_listed(folder) for folder in folders_in(voices_folder)]
    return [row for row in rows if not licence or has_licence(row.card, licence)]


def _listed(folder: Path) -> Listed:
    if not (folder / CARD_NAME).is_file():
        return Listed(folder.name, folder)
    try:
        return Listed(folder.name, folder, read_card(folder))
    except SovitsError as error:
        return Listed(folder.name, folder, problem=error.message)


def damaged(folder: Path, card: Card) -> list[CardFile]:
    """The files that are missing or no longer have the hash on the card."""
    from sovits.core.hashing import file_hash

    return [
        file
        for file in card.files
        if not (folder / file.name).is_file() or file_hash(folder / file.name) != file.sha256
    ]


def remove(name: str, voices_folder: Path) -> Path:
    """Delete a voice.

    A link in the voices folder is taken away itself, what it leads to stays.

    Returns:
        Where it was.

    Raises:
        OptionError: a name that is no plain folder name (``..``, an absolute path).
        VoiceError: no such voice.
        OutputError: it cannot be deleted.
    """
    folder = existing(name, voices_folder)
    try:
        if folder.is_symlink():
            folder.unlink()
            return folder
        # Out of sight at once, then file by file; rmtree does not follow links inside.
        hidden = workshop.aside(folder, deleted=True)
        with workshop.working_in(voices_folder):
            folder.rename(hidden)
            shutil.rmtree(hidden)
    except OSError as error:
        raise output_error(folder, error) from error
    return folder
