"""``sovits svc``: so-vits-svc's own commands, under the flags that people have in their fingers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from sovits.cli.failures import printable
from sovits.cli.session import Session
from sovits.core.errors import OptionError

app = typer.Typer(rich_markup_mode=None, add_completion=False)

MODE_HELP = "convex: weights are the softmax of percent/100 and sum to one; linear: percent/100 as they are"


@app.callback()
def svc() -> None:
    """so-vits-svc's own commands, with their flags."""


class OfficialCommand(typer.core.TyperCommand):
    """A command that leaves its arguments to a parser of its own, help included."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep all arguments for the command."""
        ctx.args = list(args)
        return list(args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help of the own parser."""
        from sovits.cli.svc_flags import parser

        formatter.write(parser(ctx.command_path).format_help())


@app.command("infer", cls=OfficialCommand)
def infer(context: typer.Context) -> None:
    """Sing with a so-vits-svc model: recordings from raw/ into results/, all flags of 4.1."""
    from sovits.audio.io import probe
    from sovits.cli.svc_flags import IDLE, parse
    from sovits.core.device import choose
    from sovits.pipelines import svc_files
    from sovits.pipelines.convert import convert_file
    from sovits.pipelines.engines import svc_engine
    from sovits.zoo.voice import Voice

    session: Session = context.obj
    request, idle = parse(context.args, context.command_path)
    if idle:
        session.note(f"sovits: {IDLE[0]} is no flag of so-vits-svc 4.1 and has no effect")
    _require_format(request.suffix)
    # What is cheap to check comes before the model is read.
    for name in request.names:
        probe(svc_files.recording(name))
    files = request.files
    models = svc_files.official_models(session.settings.models)
    engine = svc_engine(files, models, choose(request.device, "float32"), name=request.voice_name)
    singer = Voice(engine.loaded.name)
    wanted = list(svc_files.items(request, engine.loaded.speakers))
    for item in wanted:
        engine.loaded.speaker_id(item.options.speaker)
    for item in wanted:
        source, output = item.task.source, item.task.output
        seconds = convert_file(
            source, output, engine, singer, item.options, progress=session.progress, cancel=session.cancel
        )
        session.note(f"{printable(str(source))} -> {printable(str(output))} ({seconds:.1f} s)")


def _require_format(suffix: str) -> None:
    from sovits.cli.formats import chosen

    chosen(suffix, None, None, None)


@app.command("mix")
def mix(
    context: typer.Context,
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL=PERCENT", help="two or more G_*.pth files and their percents")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="where the blend goes")],
    mode: Annotated[str, typer.Option(metavar="convex|linear", help=MODE_HELP)] = "convex",
) -> None:
    """Blend models of one kind into one: a weighted sum of their tensors."""
    from sovits.export import official

    session: Session = context.obj
    parts = [(Path(name), percent) for name, percent in shared(models)]
    _spare(output, [path for path, _ in parts])
    with session.progress.stage("blending"):
        official.blend(parts, output, mode=mix_mode(mode))
    session.note(f"{len(parts)} models -> {printable(str(output))}")


@app.command("compress")
def compress(
    context: typer.Context,
    model: Annotated[Path, typer.Option("-i", "--input", metavar="FILE", help="the model, G_*.pth")],
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="its config.json")] = Path(
        "configs/config.json"
    ),
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="[default: INPUT_release.pth, INPUT_release_half.pth]"),
    ] = None,
    half: Annotated[bool, typer.Option("-hf", "--half", help="write half precision")] = False,
) -> None:
    """Make a model smaller for release: without what only training needs, on request in half precision."""
    from sovits.core.strict import read_mapping
    from sovits.export import official
    from sovits.pipelines.svc_files import release_name, required

    session: Session = context.obj
    target = output or release_name(model, half)
    _spare(target, [model, config])
    required(model, "-i")
    required(config, "-c")
    settings = read_mapping(config)
    with session.progress.stage("compressing"), needing_torch("compressing models"):
        official.compress(model, settings, target, half=half, source=str(config))
    session.note(f"{printable(str(model))} -> {printable(str(target))}")


@app.command("export-onnx")
def export_onnx(
    context: typer.Context,
    name: Annotated[str, typer.Option("-n", "--name", metavar="NAME", help="a folder below checkpoints")],
    diffusion: Annotated[
        Path | None, typer.Option("-dm", metavar="FILE", help="a diffusion model to export as well")
    ] = None,
    diffusion_config: Annotated[Path | None, typer.Option("-dc", metavar="FILE", help="its config")] = None,
) -> None:
    """Write ONNX graphs in the layout of MoeVoiceStudio.

    Reads checkpoints/NAME/model.pth and config.json; writes checkpoints/NAME/NAME_SoVits.onnx and checkpoints/NAME.json,
    and the four graphs of a diffusion model beside the former.
    """
    from sovits.pipelines.svc_export import export

    session: Session = context.obj
    with session.progress.stage("exporting"), needing_torch("exporting ONNX graphs"):
        made = export(name, diffusion, diffusion_config)
    for path in made:
        session.note(f"wrote {printable(str(path))}")


@contextlib.contextmanager
def needing_torch(feature: str) -> Iterator[None]:
    """Say which package ``feature`` needs where torch is not installed."""
    from sovits.core.registry import missing

    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("torch", "onnx"):
            raise
        raise missing("torch", feature, "neural") from error


def shared(items: Sequence[str]) -> list[tuple[str, float]]:
    """``NAME=PERCENT`` arguments as pairs.

    Raises:
        OptionError: an argument without a percent, or one that is no number.
    """
    pairs: list[tuple[str, float]] = []
    for item in items:
        name, sign, percent = item.rpartition("=")
        try:
            value = float(percent)
        except ValueError:
            value = float("nan")
        if not sign or not name or not 0 <= value < float("inf"):
            raise OptionError(f"'{item}' is no NAME=PERCENT", hint="for example: first=60 second=40")
        pairs.append((name, value))
    return pairs


def mix_mode(mode: str) -> Any:
    """A checked mode of blending."""
    if mode not in ("convex", "linear"):
        raise OptionError(f"unknown mode '{mode}'", hint="choose convex or linear")
    return mode


def _spare(output: Path, inputs: Sequence[Path]) -> None:
    """Refuse an output that would overwrite an input, or whose name says that it is something else."""
    from sovits.zoo.layout import WEIGHT_SUFFIXES

    torch_suffixes = sorted(WEIGHT_SUFFIXES - {".safetensors"})
    if output.suffix.lower() not in torch_suffixes:
        raise OptionError(f"{output} is no name for a so-vits-svc model", hint=f"end it in {', '.join(torch_suffixes)}")
    for path in inputs:
        if output.resolve() == path.resolve():
            raise OptionError(f"the output would overwrite {path}", hint="choose another -o")
