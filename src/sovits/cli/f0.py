"""``sovits f0``: the pitch contour of a recording as CSV and picture."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sovits.cli.flags import takes
from sovits.cli.session import Session
from sovits.options.pitch import PitchOptions

if TYPE_CHECKING:
    from sovits.audio.audio import Audio
    from sovits.features.pitch.contour import Contour

app = typer.Typer(rich_markup_mode=None, add_completion=False)

#: Seconds between two values where ``--hop`` is not given.
_HOP_SECONDS = 0.01


@app.command()
@takes(PitchOptions)
def f0(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="IN", help="an audio or video file")],
    options: PitchOptions,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="write the table here, not to standard output")
    ] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="draw the contour into a picture")] = None,
    hop: Annotated[
        int | None,
        typer.Option(min=1, metavar="SAMPLES", show_default=False, help="samples between values [default: 10 ms]"),
    ] = None,
) -> None:
    """Track the fundamental frequency (F0) of a recording.

    The table has the columns time_s, f0_hz (0 where unvoiced), voiced (0 or 1) and, where the tracker gives one,
    confidence.
    """
    session: Session = context.obj
    audio, contour = tracked(session, source, options, hop)
    if png is not None:
        from sovits.pipelines.pictures import contour_picture

        contour_picture(png, audio, contour, source.name)
    if csv_file is not None:
        from sovits.core.atomic import replacing

        with replacing(csv_file) as part:
            part.write_text(table(contour), encoding="ascii", newline="")
    elif png is None:
        sys.stdout.write(table(contour))


def tracked(session: Session, source: Path, options: PitchOptions, hop: int | None) -> tuple[Audio, Contour]:
    """The mono sound of a file and its contour.

    Raises:
        PathError, AudioError: the file cannot be used.
        MissingWeightsError, MissingDependencyError: the tracker cannot run here.
    """
    from sovits.audio.io import read
    from sovits.core.device import choose
    from sovits.core.errors import AudioError
    from sovits.zoo.tables import pitch_predictor

    # First the tracker, then the file: a missing package is known before an hour of audio is decoded.
    tracker = pitch_predictor(options, models=session.settings.models, compute=choose("cpu"))
    with session.progress.stage(f"F0 of {source.name}"):
        audio = read(source, mono=True)
        if audio.length == 0:
            raise AudioError(f"{source} holds no sound", hint="give a recording that is not empty")
        step = hop or max(1, round(_HOP_SECONDS * audio.sample_rate))
        return audio, tracker.track(audio.mono(), audio.sample_rate, step)


def table(contour: Contour) -> str:
    """A contour as CSV with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    with_confidence = contour.confidence is not None
    writer.writerow(["time_s", "f0_hz", "voiced", *(["confidence"] if with_confidence else [])])
    for index, (time, hz, voiced) in enumerate(zip(contour.times, contour.hz, contour.voiced, strict=True)):
        row = [f"{time:.6f}", f"{hz:.4f}", int(voiced)]
        if contour.confidence is not None:
            row.append(f"{contour.confidence[index]:.4f}")
        writer.writerow(row)
    return text.getvalue()
