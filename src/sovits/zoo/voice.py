"""``Voice``: what a user converts to. Either reference clips alone, or a folder that holds a card and clips or models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sovits.core.errors import PathError, VoiceError

#: Suffixes that count as clips when a folder is given as a voice.
CLIP_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aiff", ".aif"})


@dataclass(frozen=True)
class Voice:
    """A target voice.

    Attributes:
        name: what it is called in messages and file names.
        references: recordings of the target, at least one for the built-in converter.
        folder: the voice's folder if it has one.
    """

    name: str
    references: tuple[Path, ...] = ()
    folder: Path | None = None


def from_references(clips: list[Path]) -> Voice:
    """A voice made of reference clips (files, or folders of files).

    Raises:
        PathError: a clip does not exist.
        VoiceError: no clip at all.
    """
    found: list[Path] = []
    for clip in clips:
        if clip.is_dir():
            found.extend(clips_of(clip))
        elif clip.exists():
            found.append(clip)
        else:
            raise PathError(f"no such reference clip: {clip}", hint="give an existing audio file or a folder of them")
    if not found:
        raise VoiceError("no reference clip found", hint="give at least one recording of the target with --reference")
    return Voice(found[0].stem, tuple(found))


def find(name_or_folder: str, voices_folder: Path) -> Voice:
    """A voice by the path of its folder, or by name below ``voices_folder``.

    Raises:
        VoiceError: no such voice, or a folder without clips.
    """
    for folder in (Path(name_or_folder), voices_folder / name_or_folder):
        if folder.is_dir():
            clips = clips_of(folder)
            if not clips:
                raise VoiceError(
                    f"the voice folder {folder} holds no recordings", hint="put some audio clips of the target in it"
                )
            return Voice(folder.name, tuple(clips), folder)
    known = sorted(item.name for item in voices_folder.iterdir() if item.is_dir()) if voices_folder.is_dir() else []
    raise VoiceError(
        f"no voice '{name_or_folder}'",
        hint=f"known in {voices_folder}: {', '.join(known) or 'none'}; or give --reference CLIP",
    )


def clips_of(folder: Path) -> list[Path]:
    """The audio files of a folder and its sub-folders, sorted; hidden files are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in CLIP_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
