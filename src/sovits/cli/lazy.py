"""A command group whose members are imported when they are called, so that ``sovits --help`` stays light."""

from __future__ import annotations

import importlib
from typing import Any

import typer
import typer.core
import typer.main

#: Name of a command -> (module with a ``typer.Typer`` named ``app``, one line for the overview).
COMMANDS = {
    "convert": ("sovits.cli.convert", "Convert recordings into another voice."),
    "f0": ("sovits.cli.f0", "Track the fundamental frequency of a recording: CSV and PNG."),
    "slice": ("sovits.cli.slice", "Cut a recording into pieces at its silences."),
    "info": ("sovits.cli.info", "Show format, length, loudness and F0 range of audio files."),
    "voices": ("sovits.cli.library", "Add, list, show, remove, export and blend voices."),
    "models": ("sovits.cli.models", "Fetch official files and look into weight files."),
    "svc": ("sovits.cli.svc", "so-vits-svc's own commands with their flags: infer, mix, compress, export-onnx."),
    "demo": ("sovits.cli.demo", "Convert the recording that is shipped with sovits and draw what happened."),
    "doctor": ("sovits.cli.doctor", "Check this installation and say what mends it."),
}


class LazyGroup(typer.core.TyperGroup):
    """Reads :data:`COMMANDS` instead of holding command objects."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Names only: "did you mean" reads the keys, get_command() never the values.
        self.commands: Any = dict.fromkeys(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the module of a command and build it."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The overview, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
