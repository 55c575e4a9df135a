"""``sovits demo``: convert the recording that comes with sovits and draw what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sovits.cli.session import Session, say

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def demo(
    context: typer.Context,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="folder for the files")] = Path("demo-output"),
) -> None:
    """Convert the sung phrase that comes with sovits into another voice.

    Leaves the source, the reference, the result (WAV and MP3) and one picture with the F0 and the spectrograms of both.
    """
    from sovits.pipelines.demo import run_demo

    session: Session = context.obj
    result = run_demo(output, progress=session.progress, cancel=session.cancel)
    for line in result.lines():
        say(line)
