"""``Voice``: what a user converts to. Reference clips alone, a folder with clips, or a folder with a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sovits.core.errors import PathError, VoiceError
from sovits.zoo import layout
from sovits.zoo.layout import CLIP_SUFFIXES, ModelFiles

if TYPE_CHECKING:
    from sovits.zoo.cards import Card

__all__ = ["CLIP_SUFFIXES", "ModelFiles", "Voice", "clips_of", "find", "folders_in", "from_references", "open_folder"]


@dataclass(frozen=True)
class Voice:
    """A target voice.

    Attributes:
        name: what it is called in messages and file names.
        references: recordings of the target, at least one for the built-in converter.
        folder: the voice's folder if it has one.
        model: its trained model; ``None`` for a voice of recordings alone.
        speaker: the speaker of the model to sing as; empty means the first.
        card: what is known about it; ``None`` for a folder that was never imported.
    """

    name: str
    references: tuple[Path, ...] = ()
    folder: Path | None = None
    model: ModelFiles | None = None
    speaker: str = ""
    card: Card | None = None


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
    """A voice by the path of its folder or model file, or by name below ``voices_folder``.

    A folder of so-vits-svc that was never imported does as well.

    Raises:
        VoiceError: no such voice, or a folder without clips and model.
        CheckpointError: a model file that cannot be used.
    """
    path = Path(name_or_folder)
    if path.suffix.lower() in layout.WEIGHT_SUFFIXES and path.is_file():
        return _of_upstream(path, ())
    for folder in (path, voices_folder / name_or_folder):
        if folder.is_dir():
            return open_folder(folder)
    known = sorted(item.name for item in folders_in(voices_folder))
    raise VoiceError(
        f"no voice '{name_or_folder}'",
        hint=f"known in {voices_folder}: {', '.join(known) or 'none'}; or give --reference CLIP",
    )


def open_folder(folder: Path) -> Voice:
    """The voice in a folder: an imported one, one of so-vits-svc as it is, or recordings.

    Raises:
        VoiceError: neither clips nor a model; or an imported voice without its model.
        CheckpointError: a model file that cannot be used.
        OptionError: a card that cannot be read.
    """
    from sovits.zoo.cards import CARD_NAME

    clips = tuple(clips_of(folder))
    if (folder / CARD_NAME).is_file():
        return _of_card(folder, clips)
    if layout.has_weights(folder):
        return _of_upstream(folder, clips)
    if not clips:
        raise VoiceError(
            f"the voice folder {folder} holds no recordings and no model",
            hint="put some audio clips of the target, or a model file and its config.json, in it",
        )
    return Voice(_name(folder), clips, folder)


def _of_card(folder: Path, clips: tuple[Path, ...]) -> Voice:
    from sovits.zoo.cards import read_card

    card = read_card(folder)

    def part(*names: str) -> Path | None:
        return next((folder / name for name in names if (folder / name).is_file()), None)

    if card.kind == "clips":
        if not clips:
            raise VoiceError(f"the voice folder {folder} holds no recordings", hint=f"add '{card.name}' again")
        return Voice(_name(folder), clips, folder, card=card)
    weights, config = part(layout.MODEL), part(layout.CONFIG)
    if weights is None or config is None:
        missing = layout.MODEL if weights is None else layout.CONFIG
        raise VoiceError(f"the voice folder {folder} lacks its {missing}", hint=f"add '{card.name}' again")
    diffusion, settings = part(layout.DIFFUSION), part(layout.DIFFUSION_CONFIG)
    model = ModelFiles(
        weights,
        config,
        diffusion if settings else None,
        settings if diffusion else None,
        part(layout.CLUSTERS),
        part(*layout.INDEXES),
    )
    return Voice(_name(folder), clips, folder, model, card.speaker, card)


def _of_upstream(path: Path, clips: tuple[Path, ...]) -> Voice:
    from sovits.zoo.scanning import scan

    found = scan(path)
    folder = path if path.is_dir() else path.parent
    return Voice(_name(path), clips, folder, found.files)


def _name(path: Path) -> str:
    # `--voice .` has no name of its own.
    return path.stem if path.is_file() else path.name or path.resolve().name


def folders_in(voices_folder: Path) -> list[Path]:
    """The folders of the voices, hidden ones (work in progress) left out."""
    if not voices_folder.is_dir():
        return []
    return sorted(item for item in voices_folder.iterdir() if item.is_dir() and not item.name.startswith("."))


def clips_of(folder: Path) -> list[Path]:
    """The audio files of a folder and its sub-folders, sorted; hidden ones are left out."""
    return [path for path in layout.files_below(folder) if path.suffix.lower() in CLIP_SUFFIXES]
