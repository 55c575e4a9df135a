"""``sovits models``: look into weight files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from sovits.cli.session import say, say_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.callback()
def models() -> None:
    """Look into weight files."""


@app.command("inspect")
def inspect_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a weight file of any supported kind")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say what a weight file is and what it holds, without running anything in it."""
    from sovits.core import checkpoint

    summary = checkpoint.inspect(file)
    if as_json:
        say_json(dataclasses.asdict(summary))
    else:
        for line in summary.text().splitlines():
            say(line)
