"""``--voice`` and ``--reference``: how every command names the target voice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer.core

from sovits.cli.session import Session
from sovits.core.errors import OptionError
from sovits.pipelines.engines import named
from sovits.zoo.voice import Voice, from_references

REFERENCE_HELP = "recordings of the target voice: files or folders"
VOICE_HELP = "a voice by name (from the voices folder) or the path of its folder; tiny: random weights, for tests"


def chosen(session: Session, name_or_folder: str | None, references: list[str] | None) -> Voice:
    """The voice that the user named one way or the other.

    Raises:
        OptionError: neither or both ways.
        PathError, VoiceError: no such voice or clip.
    """
    if name_or_folder and references:
        raise OptionError("--voice and --reference were both given", hint="choose one of them")
    if name_or_folder:
        return named(name_or_folder, session.settings.voices)
    if references:
        return from_references([Path(clip) for clip in references])
    raise OptionError("no target voice was given", hint="add --reference CLIP... or --voice NAME_OR_FOLDER")


class ReferenceCommand(typer.core.TyperCommand):
    """A command whose ``--reference`` takes several clips, so that ``--reference clips/*.wav`` works as it looks.

    Where input and output stand before it, ``--reference`` takes everything up to the next flag. Before them it takes
    one clip (and may be repeated), because nothing would tell a clip from an input.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line."""
        return ["[OPTIONS]", "IN... OUT", "--reference CLIP..."]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Turn ``--reference A B C`` into ``--reference A --reference B --reference C``."""
        return super().parse_args(ctx, self._spread(args))

    def _spread(self, args: list[str]) -> list[str]:
        takes_value = {
            name for item in self.params if not getattr(item, "is_flag", False) for name in item.opts if name[0] == "-"
        }
        spread: list[str] = []
        places = 0
        rest = iter(args)
        taking = False
        for argument in rest:
            if argument == "--":
                return [*spread, argument, *rest]
            if argument.startswith("-") and argument != "-":
                taking = argument == "--reference" and places >= 2
                spread.append(argument)
                if argument in takes_value:
                    spread.extend([value] if (value := next(rest, None)) is not None else [])
            elif taking:
                spread += ["--reference", argument]
            else:
                places += 1
                spread.append(argument)
        return spread
