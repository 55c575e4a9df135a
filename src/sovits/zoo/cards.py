"""The card of a voice: where it comes from, under which licence, with whose consent, and the hashes of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from sovits.core.atomic import replacing
from sovits.core.hashing import file_hash
from sovits.core.strict import Strict

#: The file name of a card inside the folder of a voice.
CARD_NAME = "card.json"
#: What an empty licence is called where a person reads it.
UNSTATED = "unstated"


class Consent(Strict):
    """What the owner of the voice agreed to.

    Attributes:
        text: the consent, in the words in which it was given.
        by: who gave it; empty if not stated.
        date: the day it was given or recorded, ISO 8601.
    """

    text: str = Field(min_length=1)
    by: str = ""
    date: str = ""


class CardFile(Strict):
    """One file of a voice.

    Attributes:
        name: its path inside the folder.
        bytes, sha256: of the file as it lies there.
        original, original_sha256: name and hash of the file it was made from; empty where it is the file itself.
    """

    name: str
    bytes: int = Field(ge=0)
    sha256: str
    original: str = ""
    original_sha256: str = ""


class Card(Strict):
    """A voice on one page.

    Attributes:
        format: version of this layout.
        name: what the voice is called.
        kind: ``so-vits-svc`` (a trained model) or ``clips`` (recordings for the built-in converter).
        version: of the model's kind, ``4.0`` or ``4.1``; empty for recordings.
        source, licence: as stated by whoever added it; empty means unstated.
        consent: of the owner of the voice; ``None`` if none was recorded.
        created: when it was added, UTC, ISO 8601.
        content: SHA-256 over the names and hashes of all files: the identity of the voice.
        encoder: the content encoder it needs; empty for recordings.
        sample_rate: of its audio in Hz; ``None`` for recordings.
        speaker: the speaker to sing as where there are several; empty means the first.
        speakers: speaker name to id.
        files: every file but the card and kept originals.
    """

    format: Literal[1] = 1
    name: str
    kind: Literal["so-vits-svc", "clips"]
    version: str = ""
    source: str = ""
    licence: str = ""
    consent: Consent | None = None
    created: str = ""
    content: str = ""
    encoder: str = ""
    sample_rate: int | None = None
    speaker: str = ""
    speakers: dict[str, int] = Field(default_factory=dict)
    files: tuple[CardFile, ...] = ()

    def lines(self) -> list[str]:
        """The card for a person, aligned."""
        consent = "none recorded"
        if self.consent is not None:
            who = ", ".join(word for word in (self.consent.by, self.consent.date) if word)
            consent = self.consent.text + (f" ({who})" if who else "")
        rows = [
            ("name", self.name),
            ("kind", f"{self.kind} {self.version}".strip()),
            ("licence", self.licence or UNSTATED),
            ("source", self.source or UNSTATED),
            ("consent", consent),
            ("added", self.created),
            ("encoder", self.encoder),
            ("sample rate", f"{self.sample_rate} Hz" if self.sample_rate else ""),
            ("speakers", ", ".join(f"{name} ({number})" for name, number in self.speakers.items())),
            ("sings as", self.speaker),
            ("content", f"SHA-256 {self.content}" if self.content else ""),
            *(("file", f"{file.name}, {file.bytes:,} bytes, SHA-256 {file.sha256}") for file in self.files),
        ]
        return [f"{name:<12} {value}" for name, value in rows if value]


def has_licence(card: Card | None, wanted: str) -> bool:
    """Whether the licence of a card contains ``wanted``, whatever the case; "unstated" finds those without one."""
    stated = (card.licence if card else "") or UNSTATED
    return wanted.casefold() in stated.casefold()


def read_card(folder: Path) -> Card:
    """The card of a voice folder.

    Raises:
        PathError: no card.
        OptionError: the card cannot be parsed, or holds unknown keys or wrong values.
    """
    return Card.from_file(folder / CARD_NAME)


def write_card(folder: Path, card: Card) -> None:
    """Put a card into a voice folder, atomically."""
    with replacing(folder / CARD_NAME) as beside:
        beside.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def described(file: Path, name: str, original: Path | None = None, original_name: str = "") -> CardFile:
    """The entry of a file; ``original`` is what it was made from, if that is another file."""
    return CardFile(
        name=name,
        bytes=file.stat().st_size,
        sha256=file_hash(file),
        original=original_name or (original.name if original else ""),
        original_sha256=file_hash(original) if original else "",
    )


def content_hash(files: Iterable[CardFile]) -> str:
    """SHA-256 over ``name`` and ``sha256`` of all files, in the order of the names."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda entry: entry.name):
        digest.update(f"{file.name}\0{file.sha256}\n".encode())
    return digest.hexdigest()
