"""``sovits slice``: a recording into pieces at its silences."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sovits.cli import formats
from sovits.cli.failures import printable
from sovits.cli.flags import takes
from sovits.cli.session import Session
from sovits.core.errors import OptionError
from sovits.options.slicing import SliceOptions

if TYPE_CHECKING:
    from sovits.pipelines.slices import Piece

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("slice")
@takes(SliceOptions)
def slice_recording(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="IN", help="an audio or video file")],
    folder: Annotated[Path, typer.Argument(metavar="OUT_FOLDER", help="where the pieces go")],
    options: SliceOptions,
    format: Annotated[str, typer.Option(metavar="FORMAT", help=formats.FORMAT_HELP)] = "wav",
    bits: Annotated[int | None, typer.Option(metavar="N", help=formats.BITS_HELP)] = None,
    kbps: Annotated[int | None, typer.Option(metavar="N", help=formats.KBPS_HELP)] = None,
    list_file: Annotated[
        Path | None, typer.Option("--list", metavar="FILE", help="write a list of the pieces: .csv or .json")
    ] = None,
) -> None:
    """Cut a recording into pieces at its silences.

    The pieces keep rate and channels; their names hold start and end in seconds.
    """
    if list_file is not None and list_file.suffix.lower() not in (".csv", ".json"):
        raise OptionError(f"the list {list_file} must end in .csv or .json", hint="for example --list pieces.csv")
    row = formats.chosen(format, None, bits, kbps)
    from sovits.pipelines.slices import slice_file

    session: Session = context.obj
    pieces = slice_file(
        source,
        folder,
        options,
        suffix=row.name,
        bits=bits,
        kbps=kbps,
        progress=session.progress,
        cancel=session.cancel,
    )
    if list_file is not None:
        from sovits.core.atomic import replacing

        text = as_json(pieces) if list_file.suffix.lower() == ".json" else as_csv(pieces)
        with replacing(list_file) as part:
            part.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    total = sum(piece.end - piece.start for piece in pieces)
    session.note(f"{len(pieces)} pieces, {total:.1f} s, in {printable(str(folder))}")


def as_csv(pieces: list[Piece]) -> str:
    """The list with a header line, times in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "start_s", "end_s"])
    writer.writerows([piece.path.name, f"{piece.start:.6f}", f"{piece.end:.6f}"] for piece in pieces)
    return text.getvalue()


def as_json(pieces: list[Piece]) -> str:
    """The list as JSON objects, times in seconds."""
    values = [{"file": piece.path.name, "start_s": piece.start, "end_s": piece.end} for piece in pieces]
    return json.dumps(values, indent=2) + "\n"
