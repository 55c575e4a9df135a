"""Which files a batch works on, and where each result goes: settled before any work starts."""

from __future__ import annotations

import glob
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from sovits.core.errors import OptionError, PathError
from sovits.zoo.voice import CLIP_SUFFIXES

#: Suffixes that count as recordings when a folder is given; a file that is named outright may have any suffix.
SOUND_SUFFIXES = CLIP_SUFFIXES | frozenset(
    {
        ".aifc",
        ".caf",
        ".au",
        ".w64",
        ".oga",
        ".mka",
        ".wv",
        ".ape",
        ".ac3",
        ".amr",
        ".mp4",
        ".mkv",
        ".mov",
        ".webm",
        ".avi",
    }
)


@dataclass(frozen=True)
class Found:
    """An input file.

    Attributes:
        path: where it is.
        below: its path within the folder that was given (its name if it was given itself), kept in the output folder.
    """

    path: Path
    below: Path


@dataclass(frozen=True)
class Task:
    """One file to make from another."""

    source: Path
    output: Path


def expand(patterns: list[str], *, without: Path | None = None) -> list[Found]:
    """The files behind names of files, folders (searched whole) and glob patterns (``**`` crosses folders).

    Args:
        patterns: as the user gave them; a name that exists is never taken as a pattern.
        without: an output folder; where it lies below a folder that is searched, the results in it are left out.

    Raises:
        PathError: a missing file, a pattern without a match, a folder without recordings.
    """
    found: dict[Path, Found] = {}
    for pattern in patterns:
        for item in _expand_one(pattern, without):
            found.setdefault(_same(item.path), item)
    return list(found.values())


def _expand_one(pattern: str, without: Path | None) -> list[Found]:
    path = Path(pattern)
    if _exists(path):
        return _folder(path, without) if path.is_dir() else [Found(path, Path(path.name))]
    if not glob.has_magic(pattern):
        raise PathError(f"no such file: {pattern}", hint=_beside(path))
    # Files of several folders keep what tells them apart: the part of the path from the first wildcard on.
    fixed = next(index for index, step in enumerate(path.parts) if glob.has_magic(step))
    without = _strictly_inside(without, Path(*path.parts[:fixed]))
    matches = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 - absolute patterns
    files = [match for match in matches if match.is_file() and not _inside(match, without)]
    if not files:
        raise PathError(f"no file matches the pattern: {pattern}", hint="check the pattern and its folder")
    return [Found(file, Path(*file.parts[fixed:]) if len(file.parts) > fixed else Path(file.name)) for file in files]


def _folder(folder: Path, without: Path | None) -> list[Found]:
    without = _strictly_inside(without, folder)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SOUND_SUFFIXES
        and not any(step.startswith(".") for step in path.relative_to(folder).parts)
        and path.is_file()
        and not _inside(path, without)
    )
    if not files:
        raise PathError(
            f"the folder {folder} holds no audio files", hint="give a folder of recordings, or name the files"
        )
    return [Found(path, path.relative_to(folder)) for path in files]


def is_folder_output(out: str, patterns: list[str], formats: frozenset[str]) -> bool:
    """Whether the output names a folder: it is one, ends like one, or has to hold several results.

    Args:
        formats: suffixes of files that can be written, with the dot.

    Raises:
        OptionError: several inputs for one output file, or an output file of an unknown format.
    """
    path = Path(out)
    if path.is_dir() or out.endswith(("/", "\\")):
        return True
    only = Path(patterns[0])
    is_pattern = not _exists(only) and any(letter in patterns[0] for letter in "*?[")
    many = len(patterns) > 1 or only.is_dir() or is_pattern
    suffix = path.suffix.lower()
    if many:
        if suffix in formats:
            raise OptionError(
                f"several inputs cannot go into one file: {out}",
                hint=f"name a folder, for example {path.with_suffix('')}/",
            )
        return True
    if suffix and suffix not in formats:
        raise OptionError(
            f"unknown output format '{suffix}': {out}",
            hint=f"use one of {', '.join(sorted(formats))}; end a folder with /",
        )
    return not suffix


def plan(found: list[Found], folder: Path, suffix: str) -> list[Task]:
    """Where each result goes below ``folder``.

    ``a.wav`` becomes ``a.<suffix>``. Where two inputs would share an output (``a.wav`` and ``a.mp3``), both keep their
    own suffix in the name (``a.wav.flac``, ``a.mp3.flac``), whatever the order they were given in.

    Raises:
        OptionError: two inputs still share an output.
    """
    wanted: dict[str, list[Found]] = defaultdict(list)
    for item in found:
        wanted[_folded(item.below.with_suffix(f".{suffix}"))].append(item)
    tasks = []
    for item in found:
        shared = len(wanted[_folded(item.below.with_suffix(f".{suffix}"))]) > 1
        name = f"{item.below.name}.{suffix}" if shared else f"{item.below.stem}.{suffix}"
        tasks.append(Task(item.path, folder / item.below.with_name(name)))
    check(tasks)
    return tasks


def check(tasks: list[Task], keep: tuple[Path, ...] = ()) -> None:
    """Refuse outputs that would overwrite an input, a file of ``keep`` (reference clips) or one another.

    Raises:
        OptionError: naming both files.
    """
    taken = {_same(task.source): task.source for task in tasks} | {_same(path): path for path in keep}
    made: dict[str, Task] = {}
    for task in tasks:
        victim = taken.get(_same(task.output))
        if victim is not None:
            raise OptionError(
                f"the output {task.output} would overwrite the input {victim}", hint="choose another output"
            )
        other = made.setdefault(_folded(_same(task.output)), task)
        if other is not task:
            raise OptionError(
                f"{other.source} and {task.source} would both become {task.output}",
                hint="convert them into different folders, or rename one",
            )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a null
        return False


def _inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and _same(path).is_relative_to(_same(folder))


def _strictly_inside(inner: Path | None, outer: Path) -> Path | None:
    """``inner`` if it lies below ``outer``, else ``None``."""
    if inner is None or _same(inner) == _same(outer) or not _inside(inner, outer):
        return None
    return inner


def _same(path: Path) -> Path:
    """One spelling for one file."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()


def _folded(path: Path) -> str:
    """One spelling for names that some file systems hold to be one: case and Unicode composition."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _beside(path: Path) -> str:
    try:
        names = sorted(item.name for item in path.parent.iterdir() if not item.name.startswith("."))
    except OSError:
        return f"there is no folder {path.parent}"
    return f"{path.parent} holds: {', '.join(names[:8]) or 'nothing'}{', …' if len(names) > 8 else ''}"
