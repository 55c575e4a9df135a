"""``add``: make a voice out of a model folder of so-vits-svc, an archive of one, or recordings.

The voice is put together in a hidden folder beside the others and renamed when it is complete: it is there whole or
not at all. Weights become safetensors; the files they came from are kept on request only.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sovits.core import checkpoint
from sovits.core.atomic import output_error
from sovits.core.errors import OptionError, PathError, SovitsError, VoiceError
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.zoo import cards, layout, workshop
from sovits.zoo.archives import is_archive, unpack
from sovits.zoo.cards import Card, CardFile, Consent
from sovits.zoo.layout import CLIP_SUFFIXES, WEIGHT_SUFFIXES
from sovits.zoo.library import folder_of
from sovits.zoo.scanning import Scan, Shown, scan
from sovits.zoo.voice import Voice, clips_of, from_references, open_folder

#: What is taken out of an archive; everything else (programs, pictures, read-me files) stays inside.
_WANTED = WEIGHT_SUFFIXES | CLIP_SUFFIXES | {".json", ".yaml", ".yml", ".pkl", ".index"}
_CLIPS, _ORIGINALS = "clips", "original"
_BLOCK = 4 << 20


@dataclass(frozen=True)
class Statement:
    """What the person who adds a voice says about it; empty means unstated.

    Attributes:
        licence, source: of the model or the recordings.
        consent: of the owner of the voice.
        speaker: whom to sing as where the model has several speakers.
    """

    licence: str = ""
    source: str = ""
    consent: Consent | None = None
    speaker: str = ""


def add(
    paths: Sequence[Path],
    voices_folder: Path,
    *,
    name: str = "",
    statement: Statement | None = None,
    keep_original: bool = False,
    replace_existing: bool = False,
    store_as: str | None = None,
    now: datetime | None = None,
    progress: Progress = SILENT,
    cancel: Cancel | None = None,
) -> Voice:
    """Import a voice.

    Args:
        paths: one model folder, one generator file (its folder is searched for the rest), one archive of either, or
            recordings (files and folders of files).
        voices_folder: where the voice's folder is made.
        name: of the voice; that of the first path if empty.
        statement: licence, source and consent; a card that comes with the model fills what is not stated.
        keep_original: whether the files that were converted are kept beside the result.
        replace_existing: whether a voice of this name is replaced; else that is an error.
        store_as: number format for the weights, for example ``float16``; ``None``: as they are stored.
        now: the time on the card.

    Raises:
        VoiceError: the name is taken; parts are missing or there are several of a kind.
        PathError: no such path.
        CheckpointError: weights that are broken, unsafe, of another kind, or do not fit their config.
        UnsafeFileError, LimitExceededError: an archive that is not harmless.
        OutputError: the voices folder cannot be written.
    """
    cancel = cancel or Cancel()
    if not paths:
        raise OptionError("nothing to add", hint="give a model folder, an archive, or recordings")
    for path in paths:
        if not path.exists():
            raise PathError(f"no such file or folder: {path}", hint="check the spelling of the path")
    name = name or _default_name(paths[0])
    target = folder_of(name, voices_folder)
    if target.exists() and not replace_existing:
        raise VoiceError(
            f"there is a voice '{name}' already, in {target}", hint="choose another --name, or add --replace"
        )
    with _building(voices_folder, target) as folder:
        with _source(paths, folder, progress, cancel) as (source, shown):
            made = _Builder(folder, progress, cancel, keep_original, store_as, shown)
            card = made.model(source) if source is not None else made.clips(paths)
            card = _stated(card, statement or Statement(), name, now or datetime.now(UTC))
        cards.write_card(folder, card)
    return open_folder(target)


@contextlib.contextmanager
def _building(voices_folder: Path, target: Path) -> Iterator[Path]:
    """A hidden folder that becomes ``target``; on any failure it goes away and ``target`` stays as it was."""
    folder, aside = workshop.beside(voices_folder), workshop.aside(target)
    workshop.tidy(voices_folder)
    try:
        voices_folder.mkdir(parents=True, exist_ok=True)
        with workshop.working_in(voices_folder):
            try:
                folder.mkdir()
                yield folder
                _exchange(folder, target, aside)
            finally:
                workshop.discard(folder)
                if target.exists():
                    workshop.discard(aside)
    except SovitsError:
        raise
    except OSError as error:
        raise output_error(target, error) from error


def _exchange(folder: Path, target: Path, aside: Path) -> None:
    if target.exists():
        target.rename(aside)
    try:
        folder.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise


@contextlib.contextmanager
def _source(
    paths: Sequence[Path], folder: Path, progress: Progress, cancel: Cancel
) -> Iterator[tuple[Path | None, Shown]]:
    """Where the model lies, and how its files are called in messages; ``None`` where there are recordings only."""
    if len(paths) > 1:
        _require_clips_alone(paths)
        yield None, str
        return
    path = paths[0]
    if is_archive(path):
        unpacked = folder / ".unpacked"
        unpacked.mkdir()
        with progress.stage(f"unpacking {path.name}"):
            names = unpack(path, unpacked, wanted=frozenset(_WANTED), cancel=cancel)

        def shown(file: Path) -> str:
            return f"{path} ({names[file]})" if file in names else str(path)

        yield unpacked, shown
        shutil.rmtree(unpacked)
    elif _has_clips_alone(path):
        yield None, str
    else:
        yield path, str


def _require_clips_alone(paths: Sequence[Path]) -> None:
    """Several paths can only be recordings: a model among them would be passed over.

    Raises:
        VoiceError: a folder of another kind; other files are refused when they are copied.
    """
    for path in paths:
        if path.is_dir() and not _has_clips_alone(path):
            raise VoiceError(
                f"{path} is no folder of recordings, and it was given together with other paths",
                hint="add a model alone: sovits voices add FOLDER",
            )


def _has_clips_alone(path: Path) -> bool:
    if path.is_dir():
        return not layout.has_weights(path) and bool(clips_of(path))
    return path.suffix.lower() in CLIP_SUFFIXES


def _default_name(path: Path) -> str:
    stem = path.resolve().name if path.is_dir() else path.name
    for suffix in (".tar.gz", ".tar.bz2", ".tar.xz"):
        stem = stem.removesuffix(suffix)
    return stem if path.is_dir() else Path(stem).stem


def _stated(card: Card, statement: Statement, name: str, now: datetime) -> Card:
    speaker = statement.speaker or card.speaker
    if speaker and speaker not in card.speakers:
        raise VoiceError(
            f"the model has no speaker '{speaker}'", hint=f"it has: {', '.join(card.speakers) or 'none with a name'}"
        )
    return card.model_copy(
        update={
            "name": name,
            "licence": statement.licence or card.licence,
            "source": statement.source or card.source,
            "consent": statement.consent or card.consent,
            "speaker": speaker,
            "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "content": cards.content_hash(card.files),
        }
    )


@dataclass
class _Builder:
    """Puts the files of one voice into ``folder``."""

    folder: Path
    progress: Progress
    cancel: Cancel
    keep_original: bool
    store_as: str | None
    shown: Callable[[Path], str]

    def model(self, source: Path) -> Card:
        """A trained model; recordings in an unpacked archive without one make a voice of clips."""
        if _has_clips_alone(source):
            return self.clips([source])
        found = scan(source, shown=self.shown)
        parts = found.files
        entries: list[CardFile] = []
        with self.progress.stage("importing", None):
            entries.append(self._weights(parts.weights, layout.MODEL, found.settings))
            entries.append(self._copy(parts.config, layout.CONFIG))
            if parts.diffusion and parts.diffusion_config:
                entries.append(self._weights(parts.diffusion, layout.DIFFUSION, None))
                entries.append(self._copy(parts.diffusion_config, layout.DIFFUSION_CONFIG))
            if parts.clusters:
                entries.append(self._weights(parts.clusters, layout.CLUSTERS, None, keep_formats=True))
            if parts.index:
                # Copied as it is: the door checked it byte by byte, and faiss indexes have no other format.
                lone = parts.index.suffix.lower() == ".index"
                entries.append(self._copy(parts.index, layout.INDEXES[1] if lone else layout.INDEXES[0]))
        return _card_of(found, tuple(entries), _card_beside(parts.weights))

    def clips(self, paths: Sequence[Path]) -> Card:
        """Recordings, numbered in the order they were given, so that equal names do not meet."""
        clips = from_references(list(paths)).references
        entries = []
        for number, clip in enumerate(clips, 1):
            if clip.suffix.lower() not in CLIP_SUFFIXES:
                raise VoiceError(
                    f"{self.shown(clip)} is neither a recording nor a model",
                    hint="give recordings, or one model folder, or one archive",
                )
            _require_audio(clip, self.shown(clip))
            entries.append(self._copy(clip, f"{_CLIPS}/{number:03d}-{_plain(clip.stem)}{clip.suffix.lower()}"))
        return Card(name="new", kind="clips", files=tuple(entries))

    def _weights(
        self, source: Path, name: str, settings: Mapping[str, Any] | None, *, keep_formats: bool = False
    ) -> CardFile:
        self.cancel.check()
        found = checkpoint.read(source, config=settings)
        target = self.folder / name
        metadata = {"kind": found.kind.value, "version": found.version}
        for key in ("iteration", "learning_rate", "global_step"):
            if isinstance(found.fields.get(key), (int, float)):
                metadata[key] = str(found.fields[key])
        checkpoint.write(target, found.tensors, metadata=metadata, store_as=None if keep_formats else self.store_as)
        self._keep(source)
        return cards.described(target, name, source, _plain(source.name))

    def _copy(self, source: Path, name: str) -> CardFile:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with _reading(source, self.shown) as reading, target.open("xb") as writing:
            while block := reading.read(_BLOCK):
                self.cancel.check()
                writing.write(block)
        entry = cards.described(target, name)
        original = _plain(source.name)
        return entry if original == name else entry.model_copy(update={"original": original})

    def _keep(self, source: Path) -> None:
        if not self.keep_original:
            return
        kept = self.folder / _ORIGINALS / source.name
        kept.parent.mkdir(exist_ok=True)
        if kept.exists():
            kept = kept.with_name(f"{secrets.token_hex(3)}-{source.name}")
        shutil.copyfile(source, kept)


def _card_of(found: Scan, entries: tuple[CardFile, ...], beside: Card | None) -> Card:
    card = Card(
        name="new",
        kind="so-vits-svc",
        version=found.generator.version,
        encoder=found.encoder,
        sample_rate=found.sample_rate,
        speakers=found.speakers,
        files=entries,
    )
    if beside is None:
        return card
    kept = {"licence": beside.licence, "source": beside.source, "consent": beside.consent}
    return card.model_copy(update={**kept, "speaker": beside.speaker if beside.speaker in card.speakers else ""})


def _card_beside(weights: Path) -> Card | None:
    """The card that an exported voice carries; one that cannot be read is no obstacle."""
    with contextlib.suppress(SovitsError):
        return cards.read_card(weights.parent)
    return None


def _reading(source: Path, shown: Shown) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise PathError(f"cannot read {shown(source)}: {error.strerror}") from error


def _require_audio(clip: Path, shown: str) -> None:
    from sovits.audio.io import probe
    from sovits.core.errors import AudioError

    try:
        probe(clip)
    except AudioError as error:
        raise AudioError(error.message.replace(str(clip), shown), hint=error.hint) from error


def _plain(text: str) -> str:
    """A file name without signs that steer terminals or split paths."""
    clean = "".join(sign if sign.isprintable() and sign not in '/\\:*?"<>|' else "_" for sign in text)
    return clean.encode("utf-8", "replace")[:150].decode("utf-8", "ignore") or "file"
