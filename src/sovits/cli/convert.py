"""``sovits convert``: a file, several, a folder or a pattern into another voice."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Annotated

import typer

from sovits.cli import failures, formats
from sovits.cli.failures import printable
from sovits.cli.flags import Given, takes_either
from sovits.cli.session import Session
from sovits.cli.voices import REFERENCE_HELP, VOICE_HELP, ReferenceCommand, chosen
from sovits.core.device import Compute, choose, usable_cores
from sovits.core.errors import OptionError
from sovits.options.convert import ConvertOptions
from sovits.options.svc import SvcOptions
from sovits.pipelines import convert as pipeline
from sovits.pipelines import engines, files
from sovits.pipelines.files import Task
from sovits.zoo.tiny import NOTICE
from sovits.zoo.voice import Voice

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=ReferenceCommand)
@takes_either(ConvertOptions, SvcOptions, "trained voice")
def convert(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="IN... OUT", help="recordings, folders or patterns; at last the output file or folder"),
    ],
    given: Given,
    reference: Annotated[list[str] | None, typer.Option(metavar="CLIP...", help=REFERENCE_HELP)] = None,
    voice: Annotated[str | None, typer.Option(metavar="NAME_OR_FOLDER", help=VOICE_HELP)] = None,
    format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help=f"{formats.FORMAT_HELP}, for an output folder [default: wav]"),
    ] = None,
    bits: Annotated[int | None, typer.Option(metavar="N", help=formats.BITS_HELP)] = None,
    kbps: Annotated[int | None, typer.Option(metavar="N", help=formats.KBPS_HELP)] = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            show_default=False,
            help="files at a time [default: 0, one per core; with a trained voice one]",
        ),
    ] = 0,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="where a trained voice runs: auto, cpu, cuda, cuda:N or mps")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="numbers of a trained voice: auto, float32, bfloat16 or float16")
    ] = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="convert again what an earlier run has already converted")
    ] = False,
) -> int:
    """Convert recordings into another voice.

    IN is an audio or video file, a folder (searched whole) or a glob pattern. With one input OUT may be a file, whose
    suffix chooses the format. In an output folder, results that are still valid (same input, voice and options) are
    skipped, so an interrupted batch can simply be started again.
    """
    session: Session = context.obj
    if len(paths) < 2:
        raise OptionError("an input and an output are needed", hint="sovits convert IN... OUT --reference CLIP")
    *patterns, out = paths
    target = chosen(session, voice, reference)
    options = _options(target, given)
    tasks, folder = _plan(patterns, out, format, bits, kbps, target.references)
    compute, workers = _shares(jobs, len(tasks), target, device, precision)
    if engines.is_tiny(target):
        session.note(f"voice '{target.name}': {NOTICE}")
    job = pipeline.Job(
        target,
        options,
        session.settings.models,
        compute,
        records=folder,
        voice_key="" if folder is None else pipeline.voice_hash(target),
        again=force,
        bits=bits,
        kbps=kbps,
    )
    results = []
    for result in pipeline.convert_files(tasks, job, jobs=workers, progress=session.progress, cancel=session.cancel):
        results.append(result)
        # A single file's error is reported as that of any other command.
        if result.error is None or len(tasks) > 1:
            _show(session, result)
    return _finish(session, results)


def _plan(
    patterns: list[str], out: str, name: str | None, bits: int | None, kbps: int | None, keep: tuple[Path, ...]
) -> tuple[list[Task], Path | None]:
    """The files to make, and the output folder if there is one; nothing of ``keep`` is overwritten."""
    if files.is_folder_output(out, patterns, formats.suffixes()):
        folder = Path(out)
        row = formats.chosen(name, None, bits, kbps)
        tasks = files.plan(files.expand(patterns, without=folder), folder, row.name)
    else:
        folder = None
        formats.chosen(name, Path(out), bits, kbps)
        tasks = [Task(found.path, Path(out)) for found in files.expand(patterns)]
    files.check(tasks, keep)
    return tasks, folder


def _options(target: Voice, given: Given) -> ConvertOptions:
    """The options of the engine that serves the voice."""
    kind = engines.options_type(target)
    use = f"the voice '{target.name}', which has {'a trained model' if kind is SvcOptions else 'recordings only'}"
    return engines.settled(target, given.build(kind, use))


def _shares(jobs: int, count: int, target: Voice, device: str, precision: str) -> tuple[Compute, int]:
    """Worker processes, and what each of them may use of the machine."""
    cores = usable_cores()
    if not engines.is_trained(target):
        workers = max(1, min(jobs or cores, count))
        return Compute(threads=max(1, cores // workers)), workers
    # Every process holds the nets once more, and one net keeps all cores busy.
    workers = max(1, min(jobs or 1, count))
    return choose(device, precision, max(1, cores // workers)), workers


def _show(session: Session, result: pipeline.Result) -> None:
    """One line per file, as it ends."""
    if result.error is not None:
        first, *rest = failures.describe(result.error)
        session.note("\n".join([f"failed: {printable(str(result.source))}: {first}", *rest]), verbosity=-1)
        if session.verbosity >= 2:
            traceback.print_exception(result.error)
    elif result.status == "skipped":
        session.note(f"up to date: {printable(str(result.output))}")
    else:
        speed = f"{result.seconds:.1f} s of sound in {result.elapsed:.1f} s"
        session.note(f"{printable(str(result.source))} -> {printable(str(result.output))} ({speed})")


def _finish(session: Session, results: list[pipeline.Result]) -> int:
    """The summary of a batch and its exit code; the error of a single file is raised."""
    failed = [result for result in results if result.error is not None]
    if len(results) == 1:
        if results[0].error is not None:
            raise results[0].error
        return failures.OK
    counts = {kind: sum(result.status == kind for result in results) for kind in ("converted", "skipped", "failed")}
    session.note(f"{counts['converted']} converted, {counts['skipped']} up to date, {counts['failed']} failed")
    return failures.SOME_FAILED if failed else failures.OK
