"""What a folder of so-vits-svc holds: which file is the generator, which the config, and what comes with them.

Every file is judged by its content, so renamed files and flat folders are found as well. Nothing is guessed: where two
files would do, both are named and the user chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sovits.core import checkpoint
from sovits.core.checkpoint import Checkpoint, Kind
from sovits.core.errors import CheckpointError, OptionError, PathError, VoiceError, WrongModelError
from sovits.core.strict import read_mapping
from sovits.zoo.layout import INDEX_SUFFIXES, WEIGHT_SUFFIXES, ModelFiles, files_below

_SETTINGS = frozenset({".json", ".yaml", ".yml"})
_FILES = 5000
_LISTED = 10
#: A config is some kilobytes of text; one with a list of all training files may reach megabytes.
_SETTINGS_BYTES = 16 << 20

Shown = Callable[[Path], str]


@dataclass(frozen=True)
class Scan:
    """The result.

    Attributes:
        files: what belongs to the voice.
        generator: the opened weight file (nothing of its numbers is read yet).
        settings: the parsed ``config.json``.
        encoder: the content encoder that the model needs.
        left: files that play no part, with the reason.
    """

    files: ModelFiles
    generator: Checkpoint
    settings: Mapping[str, Any]
    encoder: str
    left: Mapping[Path, str] = field(default_factory=dict)

    @property
    def speakers(self) -> dict[str, int]:
        """Speaker name to id, as the config has it."""
        found = self.settings.get("spk", {})
        return {str(name): int(number) for name, number in found.items()}

    @property
    def sample_rate(self) -> int:
        """Of the model's audio, Hz."""
        return int(self.settings["data"].get("sampling_rate", 44100))


def scan(path: Path, *, shown: Shown = str) -> Scan:
    """Find the parts of a voice.

    Args:
        path: a folder (sub-folders are searched), or the generator's file; its folder is searched for the rest then.
        shown: how a file is called in messages (files of an archive lie elsewhere for a moment).

    Raises:
        PathError: no such path.
        VoiceError: no generator or no config, or several of a kind; all are listed.
        WrongModelError: weight files of other kinds only; a config of another model; widths that clash.
        CheckpointError: a file that is broken or unsafe.
    """
    if not path.exists():
        raise PathError(f"no such file or folder: {path}", hint="check the spelling of the path")
    files = _files(path if path.is_dir() else path.parent)
    opened, left = _opened(files, path if path.is_file() else None, shown)
    where = shown(path)
    weights = _generator(path, opened, left, where, shown)
    config, settings = _config(weights, files, where, shown)
    generator = checkpoint.read(weights, config=settings)
    encoder = _require_fit(generator, settings, shown(config), shown(weights))
    width = generator.facts.get("content_width")
    diffusion = _one(opened, Kind.SVC_DIFFUSION, where, shown)
    diffusion_config = _diffusion_config(diffusion, opened, files, config, width, shown) if diffusion else None
    clusters = _one(opened, Kind.KMEANS, where, shown)
    index = _one(opened, Kind.RETRIEVAL, where, shown)
    for part in (clusters, index):
        if part is not None:
            _require_width(opened[part], width, shown(part), "the content of the model")
    used = {weights, diffusion, clusters, index}
    left |= {file: found.kind.label for file, found in opened.items() if file not in used}
    return Scan(
        ModelFiles(weights, config, diffusion, diffusion_config, clusters, index), generator, settings, encoder, left
    )


def _files(folder: Path) -> list[Path]:
    files = list(islice(files_below(folder), _FILES + 1))
    if len(files) > _FILES:
        raise VoiceError(
            f"{folder} holds more than {_FILES} files", hint="give the folder of one model, or its G_*.pth"
        )
    return files


def _opened(files: Iterable[Path], chosen: Path | None, shown: Shown) -> tuple[dict[Path, Checkpoint], dict[Path, str]]:
    """All weight files by kind; with a generator named by the user, other generators are not looked at."""
    opened: dict[Path, Checkpoint] = {}
    left: dict[Path, str] = {}
    for file in files:
        if file != chosen and file.suffix.lower() not in WEIGHT_SUFFIXES | INDEX_SUFFIXES:
            continue
        if chosen is not None and file != chosen and file.name.startswith(("G_", "D_")):
            left[file] = "another file was named"
            continue
        found = _read(file, shown)
        if chosen is not None and file != chosen and found.kind is Kind.SVC:
            left[file] = "another file was named"
            continue
        opened[file] = found
    return opened, left


def _read(file: Path, shown: Shown) -> Checkpoint:
    try:
        return checkpoint.read(file)
    except CheckpointError as error:
        raise type(error)(error.message.replace(str(file), shown(file)), hint=error.hint) from error


def _generator(
    path: Path, opened: Mapping[Path, Checkpoint], left: Mapping[Path, str], where: str, shown: Shown
) -> Path:
    if path.is_file():
        if opened[path].kind is not Kind.SVC:
            raise _wrong_kind(where, {path: opened[path]}, shown)
        return path
    found = _one(opened, Kind.SVC, where, shown)
    if found is not None:
        return found
    if opened:
        raise _wrong_kind(where, opened, shown)
    raise VoiceError(
        f"{where} holds no model file", hint="a voice of so-vits-svc is one G_*.pth and its config.json, side by side"
    )


def _wrong_kind(where: str, opened: Mapping[Path, Checkpoint], shown: Shown) -> WrongModelError:
    seen = [
        f"{shown(file)} is: {found.kind.label}{f' {found.version}' if found.version else ''}"
        for file, found in opened.items()
    ]
    if any(found.kind is Kind.RVC for found in opened.values()):
        hint = "RVC voices are another project's; give a so-vits-svc G_*.pth with its config.json"
    elif any(found.kind.value.startswith("gsv") for found in opened.values()):
        hint = "GPT-SoVITS models speak; singing needs a so-vits-svc G_*.pth with its config.json"
    else:
        hint = "give the G_*.pth of the voice with its config.json"
    return WrongModelError(f"no so-vits-svc model in {where}: {_listing(seen)}", hint=hint)


def _one(opened: Mapping[Path, Checkpoint], kind: Kind, where: str, shown: Shown) -> Path | None:
    found = [file for file, held in opened.items() if held.kind is kind]
    if len(found) > 1:
        hint = "move all but one away"
        if kind is Kind.SVC:
            hint = "name one of them: sovits voices add FILE"
        names = _listing([shown(file) for file in found])
        raise VoiceError(f"{where} holds {len(found)} files of the kind '{kind.label}': {names}", hint=hint)
    return found[0] if found else None


def _config(weights: Path, files: Iterable[Path], where: str, shown: Shown) -> tuple[Path, dict[str, Any]]:
    """The config of the generator: ``config.json`` or the name of the model, else the only one that looks like it."""
    tried = [file for file in files if file.suffix.lower() == ".json" and file.name != "card.json"]
    if not tried:
        raise VoiceError(
            f"{where} holds no config.json", hint="put the config.json that belongs to the model beside it"
        )
    parsed: dict[Path, dict[str, Any]] = {}
    problems: list[str] = []
    for file in tried:
        try:
            values = read_settings(file, shown)
        except (OptionError, PathError) as error:
            problems.append(error.message)
            continue
        if isinstance(values.get("model"), Mapping) and isinstance(values.get("data"), Mapping):
            parsed[file] = values
        else:
            problems.append(f"{shown(file)} has no 'model' and 'data' sections")
    if not parsed:
        raise WrongModelError(
            f"no config of a so-vits-svc model in {where}: {_listing(problems)}",
            hint="put the config.json that belongs to the model beside it",
        )
    best = [file for file in parsed if file.stem == weights.stem] or [
        file for file in parsed if file.name == "config.json"
    ]
    if len(parsed) > 1 and len(best) != 1:
        raise VoiceError(
            f"{where} holds {len(parsed)} configs: {_listing([shown(file) for file in parsed])}",
            hint="move all but one away, or name the right one config.json",
        )
    config = best[0] if best else next(iter(parsed))
    return config, parsed[config]


def read_settings(file: Path, shown: Shown = str) -> dict[str, Any]:
    """A parsed JSON or YAML file of bounded size.

    Raises:
        OptionError: too large, or not parseable.
        PathError: not readable.
    """
    if file.stat().st_size > _SETTINGS_BYTES:
        raise OptionError(f"{shown(file)} is too large for a config")
    try:
        return read_mapping(file)
    except OptionError as error:
        raise OptionError(error.message.replace(str(file), shown(file)), hint=error.hint) from error


def _require_fit(generator: Checkpoint, settings: Mapping[str, Any], config: str, weights: str) -> str:
    """The name of the encoder that model and config agree on.

    Raises:
        WrongModelError: they contradict each other.
    """
    from sovits.zoo.building import generator_config

    try:
        generator_config(generator, settings, config)
    except WrongModelError as error:
        raise WrongModelError(error.message.replace(str(generator.path), weights), hint=error.hint) from error
    except (TypeError, ValueError) as error:
        raise WrongModelError(f"{config}: a value has the wrong type: {error}") from error
    speakers = settings.get("spk", {})
    rows = generator.facts.get("speaker_rows") or 0
    if not isinstance(speakers, Mapping) or not all(
        type(number) is int and 0 <= number < max(rows, 1) for number in speakers.values()
    ):
        raise WrongModelError(
            f"{config} does not belong to {weights}: 'spk' must give each speaker a number below {rows}, the speakers "
            f"in the model",
            hint="give the config.json that was written when this model was trained",
        )
    fitting = generator.facts.get("speech_encoders") or []
    stated = settings["model"].get("speech_encoder")
    if stated is None:
        return str(fitting[0]) if fitting else ""
    if (
        fitting
        and str(stated).removesuffix("-onnx").replace("vec256l12", "vec256l9").replace("vec768l9", "vec768l12")
        not in fitting
    ):
        raise WrongModelError(
            f"{config} does not belong to {weights}: speech_encoder is '{stated}', the model reads content of width "
            f"{generator.facts.get('content_width')}",
            hint=f"encoders of that width: {', '.join(fitting)}",
        )
    return str(stated)


def _diffusion_config(
    diffusion: Path,
    opened: Mapping[Path, Checkpoint],
    files: Iterable[Path],
    config: Path,
    width: int | None,
    shown: Shown,
) -> Path:
    found: dict[Path, dict[str, Any]] = {}
    for file in files:
        if file.suffix.lower() in _SETTINGS and file != config:
            try:
                values = read_settings(file, shown)
            except (OptionError, PathError):
                continue
            data = values.get("data")
            if (
                isinstance(data, Mapping)
                and "encoder_out_channels" in data
                and isinstance(values.get("model"), Mapping)
            ):
                found[file] = values
    beside = [file for file in found if file.parent == diffusion.parent]
    best = list(found) if len(found) == 1 else beside
    name = shown(diffusion)
    if len(best) != 1:
        seen = f"found {_listing([shown(file) for file in found])}" if found else "none was found"
        raise VoiceError(
            f"the diffusion model {name} needs its config (diffusion.yaml or config.yaml): {seen}",
            hint="put the one that belongs to it beside it, or move the diffusion model away",
        )
    stated = found[best[0]]["data"]["encoder_out_channels"]
    held = opened[diffusion].facts.get("content_width")
    if held is not None and stated != held:
        raise WrongModelError(
            f"{shown(best[0])} does not belong to {name}: encoder_out_channels is {stated} in the config and {held} in "
            f"the model",
            hint="give the diffusion config that was written when this model was trained",
        )
    _require_width(opened[diffusion], width, name, "the generator")
    return best[0]


def _require_width(part: Checkpoint, width: int | None, name: str, other: str) -> None:
    held = part.facts.get("content_width")
    if held is not None and width is not None and held != width:
        raise WrongModelError(
            f"{name} ({part.kind.label}) has width {held}, {other} has {width}",
            hint="it was made for another model; give the one that belongs to this voice, or move it away",
        )


def _listing(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
