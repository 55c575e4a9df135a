"""The files of so-vits-svc's own commands: what they read, and what the results are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sovits.core.errors import OptionError, PathError
from sovits.core.strict import read_mapping
from sovits.options.svc import SvcOptions
from sovits.pipelines.files import Task
from sovits.zoo.svc_files import SvcFiles

RAW, RESULTS, PRETRAIN = Path("raw"), Path("results"), Path("pretrain")
CLUSTERS, INDEX = Path("logs/44k/kmeans_10000.pt"), Path("logs/44k/feature_and_index.pkl")
#: Files that may hold speaker tracks, and the name they have in the Python one.
TRACKS = (Path("spkmix.json"), Path("spkmix.yaml"), Path("spkmix.py"))
_TRACKS_NAME = "spk_mix_map"
#: What stands for the speaker in the name of a blend.
BLEND = "spk_mix"


@dataclass(frozen=True)
class Request:
    """One call of the official inference command.

    Attributes:
        options: what holds for all results; speaker and transposition are set for each.
        names: recordings in the folder raw. ``transposes``: semitones for them, filled up with the first.
        speakers: empty for the model's first.
        model, config, diffusion, diffusion_config: files, read where the options need them.
        cluster: k-means centres or retrieval index; ``None`` takes the usual place.
        mix_tracks: whether speakers are blended by the tracks of the folder.
        suffix: format of the results. ``device``: where nets run.
    """

    options: SvcOptions
    names: tuple[str, ...]
    transposes: tuple[float, ...] = (0.0,)
    speakers: tuple[str, ...] = ()
    model: Path = Path()
    config: Path = Path()
    diffusion: Path = Path()
    diffusion_config: Path = Path()
    cluster: Path | None = None
    mix_tracks: bool = False
    suffix: str = "flac"
    device: str = "auto"

    @property
    def voice_name(self) -> str:
        """What the voice is called in messages: the file that was named."""
        return (self.diffusion if self.options.diffusion == "alone" else self.model).name

    @property
    def files(self) -> SvcFiles:
        """The files that the options ask for.

        Raises:
            PathError: one of them does not exist; says which flag names it.
        """
        kind = self.options.diffusion
        generator, refined = kind != "alone", kind != "off"
        indexed = self.options.retrieval == "index"
        pulled = self.options.retrieval_ratio > 0
        cluster = self.cluster or (INDEX if indexed else CLUSTERS)
        return SvcFiles(
            model=required(self.model, "-m", generator),
            config=required(self.config, "-c", generator),
            diffusion=required(self.diffusion, "-dm", refined),
            diffusion_config=required(self.diffusion_config, "-dc", refined),
            clusters=required(cluster, "-cm", pulled and not indexed),
            index=required(cluster, "-cm", pulled and indexed),
        )


@dataclass(frozen=True)
class Item:
    """One result: from where to where, and how."""

    task: Task
    options: SvcOptions


def items(request: Request, speakers: Mapping[str, int]) -> Iterator[Item]:
    """All results of a request: every recording in every speaker's voice.

    Args:
        speakers: those of the model, name to number.

    Raises:
        PathError: a recording that is not there.
        OptionError: a name that leads out of the folder raw; tracks that cannot be used.
    """
    options = request.options
    wanted: tuple[str | None, ...] = request.speakers or (first_speaker(speakers),)
    if request.mix_tracks:
        file, tracks = read_tracks()
        # One speaker alone leaves nothing to blend.
        if len(tracks) > 1:
            options = SvcOptions.build({**options.model_dump(), "speaker_tracks": tracks}, where=str(file))
            wanted = (BLEND,)
    first, *_ = request.transposes
    keys = [*request.transposes, *[first] * len(request.names)]
    for name, semitones in zip(request.names, keys, strict=False):
        source = recording(name)
        for speaker in wanted:
            own: dict[str, Any] = {"transpose": semitones}
            if wanted != (BLEND,) or options.speaker_tracks is None:
                own["speaker"] = speaker
            made = options.model_copy(update=own)
            label = result_name(name, made, speaker or "0", request.suffix)
            yield Item(Task(source, RESULTS / label), made)


def first_speaker(speakers: Mapping[str, int]) -> str | None:
    """The name of the speaker with the lowest number."""
    return min(speakers, key=lambda name: speakers[name], default=None)


def result_name(name: str, options: SvcOptions, speaker: str, suffix: str) -> str:
    """``song_0key_alto_0.5_sovits_pm.flac``: what the original calls its result."""
    key = "auto" if options.automatic_f0 else f"{options.semitones:g}key"
    ratio = f"_{options.retrieval_ratio}" if options.retrieval_ratio else ""
    kind = {"off": "sovits", "shallow": "sovdiff", "alone": "diff"}[options.diffusion]
    return f"{name}_{key}_{_harmless(speaker)}{ratio}_{kind}_{options.pitch.method}.{suffix}"


def _harmless(text: str) -> str:
    """A speaker's name as part of a file name: it comes out of a config that somebody else wrote."""
    return "".join(sign if sign.isprintable() and sign not in '/\\:*?"<>|' else "_" for sign in text)[:100]


def recording(name: str) -> Path:
    """A recording in the folder raw; ``.wav`` where the name has no suffix.

    Raises:
        OptionError: the name leads out of that folder.
        PathError: there is none.
    """
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise OptionError(
            f"-n takes names in the folder {RAW}, got: {name}",
            hint="put the recording there, or use: sovits convert IN OUT --voice FOLDER",
        )
    named, completed = RAW / path, RAW / path.with_name(f"{path.name}.wav")
    # What looks like a suffix may be a dot in a title: `02.song` is `02.song.wav` where there is one.
    source = named if path.suffix and (named.is_file() or not completed.is_file()) else completed
    if not source.is_file():
        held = sorted(item.name for item in RAW.glob("*")) if RAW.is_dir() else []
        raise PathError(
            f"no such recording: {source}", hint=f"the folder {RAW} holds: {', '.join(held[:8]) or 'nothing'}"
        )
    return source


def read_tracks() -> tuple[Path, dict[str, Any]]:
    """The speaker tracks of the working folder and their file: speaker id or name to ``[[start, end, from, to], ...]``.

    The Python file is read as text: what stands there has to be plain numbers, and nothing of it runs.

    Raises:
        PathError: no such file.
        OptionError: it holds no tracks.
    """
    file = next((path for path in TRACKS if path.is_file()), None)
    if file is None:
        raise PathError(
            f"no speaker tracks: none of {', '.join(map(str, TRACKS))} is in this folder",
            hint='write spkmix.json, for example {"0": [[0, 1, 1, 0]], "1": [[0, 1, 0, 1]]}',
        )
    found = _literal(file) if file.suffix == ".py" else read_mapping(file)
    table = found.get(_TRACKS_NAME, found) if isinstance(found, dict) else found
    if not isinstance(table, dict) or not table:
        raise OptionError(
            f"{file} holds no table of speakers and their tracks", hint="speaker: [[start, end, from, to]]"
        )
    return file, {str(speaker): track for speaker, track in table.items()}


def _literal(file: Path) -> Any:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for line in tree.body:
            if isinstance(line, ast.Assign) and any(getattr(to, "id", "") == _TRACKS_NAME for to in line.targets):
                return ast.literal_eval(line.value)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise OptionError(
            f"{file} cannot be read: {error}", hint=f"{_TRACKS_NAME} has to be written out in numbers"
        ) from error
    return {}


def official_models(settings_models: Path) -> Path:
    """Where official files are looked for: this folder if its ``pretrain`` holds one, else the models folder."""
    from sovits.zoo.weights import OFFICIAL

    # Below a fresh copy of so-vits-svc lies a pretrain without weights.
    places = (Path(place) for file in OFFICIAL.values() for place in file.places)
    return Path() if any(PRETRAIN in place.parents and place.is_file() for place in places) else settings_models


@dataclass(frozen=True)
class Named:
    """The files behind a model's name in the folder of so-vits-svc models."""

    model: Path
    config: Path


def named_model(folder: Path, name: str, config: str | None = None) -> Named:
    """``<name>.pth`` and ``<config or name>.json`` in ``folder``.

    Raises:
        OptionError: a name that leads out of the folder.
        PathError: a file that is not there; lists the models that are.
    """
    for given in (name, config):
        if given is not None and (not given or Path(given).name != given or "\\" in given or given in (".", "..")):
            raise OptionError(f"a model's name is no path: '{given}'", hint=f"give the name of a model in {folder}")
    found = Named(folder / f"{name}.pth", folder / f"{name if config is None else config}.json")
    if not found.model.is_file():
        known = sorted(item.stem for item in folder.glob("*.pth")) if folder.is_dir() else []
        raise PathError(f"no such model: {found.model}", hint=f"{folder} holds: {', '.join(known) or 'no model'}")
    if not found.config.is_file():
        raise PathError(f"no such config: {found.config}", hint=f"put the config of '{name}' there, or name another")
    return found


def release_name(model: Path, half: bool) -> Path:
    """``G_8000.pth`` -> ``G_8000_release.pth``, with half precision ``G_8000_release_half.pth``."""
    return model.with_name(f"{model.stem}_release{'_half' if half else ''}.pth")


def required(path: Path, flag: str, wanted: bool = True) -> Path | None:
    """``path`` if it is wanted.

    Raises:
        PathError: there is no such file; says what there is, and which flag names another.
    """
    if not wanted:
        return None
    if not path.is_file():
        beside = sorted(item.name for item in path.parent.iterdir()) if path.parent.is_dir() else []
        hint = f"{path.parent} holds: {', '.join(beside[:8]) or 'nothing'}" if beside else f"there is no {path.parent}"
        raise PathError(f"no such file: {path}", hint=f"name it with {flag}; {hint}")
    return path
