"""Voices out of voices: the weighted sum of trained models as a voice of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sovits.core.errors import OptionError, VoiceError, WrongModelError
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.core.strict import read_mapping
from sovits.zoo.cards import Consent
from sovits.zoo.voice import Voice, find

if TYPE_CHECKING:
    from sovits.export.official import MixMode

_MODEL, _CONFIG = "model.pth", "config.json"


def blend_voices(
    parts: Sequence[tuple[str, float]],
    name: str,
    voices_folder: Path,
    *,
    mode: MixMode = "convex",
    replace_existing: bool = False,
    progress: Progress = SILENT,
    cancel: Cancel | None = None,
) -> Voice:
    """Blend the generators of voices into a new voice; speakers, rate and the rest are those of the first.

    Args:
        parts: names (or folders) of voices and their percents.
        name: of the new voice.
        mode: as :func:`sovits.export.official.shares`.

    Raises:
        OptionError: fewer than two voices.
        VoiceError: no such voice, one without a model, or ``name`` is taken.
        WrongModelError: models of different sizes.
    """
    from sovits.export.official import blend
    from sovits.zoo.importing import Statement, add
    from sovits.zoo.library import folder_of

    if len(parts) < 2:
        raise OptionError("a blend needs at least two voices", hint="for example: first=60 second=40")
    if folder_of(name, voices_folder).exists() and not replace_existing:
        raise VoiceError(f"there is a voice '{name}' already", hint="choose another --name, or add --replace")
    voices = [find(part, voices_folder) for part, _ in parts]
    models = [(_generator(voice), percent) for voice, (_, percent) in zip(voices, parts, strict=True)]
    _require_same_sizes([config for (_, config), _ in models])
    recipe = ", ".join(f"{voice.name} {percent:g} %" for voice, (_, percent) in zip(voices, parts, strict=True))
    with tempfile.TemporaryDirectory(prefix="sovits-blend-") as scratch:
        made = Path(scratch)
        with progress.stage("blending"):
            blend([(weights, percent) for (weights, _), percent in models], made / _MODEL, mode=mode)
            shutil.copyfile(models[0][0][1], made / _CONFIG)
        return add(
            [made],
            voices_folder,
            name=name,
            statement=Statement(
                licence=_licence(voices),
                source=f"a {mode} blend of {recipe}",
                consent=_consent(voices),
                speaker=voices[0].speaker,
            ),
            replace_existing=replace_existing,
            progress=progress,
            cancel=cancel,
        )


def _generator(voice: Voice) -> tuple[Path, Path]:
    """The weights and the config of a voice."""
    if voice.model is None:
        raise VoiceError(
            f"the voice '{voice.name}' has recordings only, so there is nothing to blend",
            hint="voices with a trained model can be blended: sovits voices list",
        )
    return voice.model.weights, voice.model.config


def _require_same_sizes(configs: Sequence[Path]) -> None:
    first, *others = [(path, read_mapping(path).get("model", {})) for path in configs]
    for path, model in others:
        differing = sorted(key for key in {*first[1], *model} if first[1].get(key) != model.get(key))
        if differing:
            raise WrongModelError(
                f"{first[0]} and {path} differ in their 'model' sections: {', '.join(differing[:6])}",
                hint="only models with the same 'model' section can be blended",
            )


def _licence(voices: Sequence[Voice]) -> str:
    """What is stated for all of them; where one states nothing, nothing can be said about the blend."""
    stated = [voice.card.licence if voice.card else "" for voice in voices]
    return " and ".join(dict.fromkeys(stated)) if all(stated) else ""


def _consent(voices: Sequence[Voice]) -> Consent | None:
    """The consents of all owners together; ``None`` where one is missing."""
    given = [(voice.name, voice.card.consent) for voice in voices if voice.card and voice.card.consent]
    if len(given) < len(voices):
        return None
    return Consent(
        text="; ".join(f"{name}: {consent.text}" for name, consent in given),
        by=", ".join(dict.fromkeys(consent.by for _, consent in given if consent.by)),
        date=max(consent.date for _, consent in given),
    )
