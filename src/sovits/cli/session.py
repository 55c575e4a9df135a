"""What every command shares: verbosity, progress, cancellation and settings, built once by the root command."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sovits.cli.failures import printable
from sovits.cli.progress import ConsoleProgress
from sovits.core.progress import Cancel
from sovits.settings import Settings


@dataclass
class Session:
    """One run of the command line.

    Attributes:
        cancel: raised by the signal handlers.
        verbosity: -1 quiet, 0 normal, 1 and 2 more.
        show_progress: whether bars may be drawn (on a terminal, work longer than two seconds).
    """

    cancel: Cancel = field(default_factory=Cancel)
    verbosity: int = 0
    show_progress: bool = True

    @cached_property
    def settings(self) -> Settings:
        """Read on first use, so that a broken configuration file does not stop ``--help``."""
        return Settings.load()

    @cached_property
    def progress(self) -> ConsoleProgress:
        """The progress bars of this run."""
        return ConsoleProgress(self.show_progress and self.verbosity >= 0 and sys.stderr.isatty())

    def note(self, text: str, *, verbosity: int = 0) -> None:
        """A line for the person in front of the terminal: standard error, from ``verbosity`` on.

        Paths in it have to go through :func:`~sovits.cli.failures.printable`.
        """
        if self.verbosity >= verbosity:
            sys.stderr.write(f"{text}\n")


def say(text: str) -> None:
    """A line of the result: standard output, control characters escaped."""
    sys.stdout.write(f"{printable(text)}\n")


def say_json(value: Any) -> None:
    """A result for programs: ASCII JSON on standard output, whatever the encoding of the terminal."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")
