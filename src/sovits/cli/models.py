"""``sovits models``: fetch official files by the catalogue, and look into weight files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sovits.cli.failures import OK, SOME_FAILED, describe, exit_code, printable
from sovits.cli.session import Session, say, say_json
from sovits.core.errors import CancelledError, OptionError, SovitsError

if TYPE_CHECKING:
    from sovits.zoo.hub import Hub

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.callback()
def models() -> None:
    """Fetch official files and look into weight files."""


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


@app.command("list")
def list_files(
    context: typer.Context,
    needed_for: Annotated[
        str, typer.Option("--for", metavar="WORDS", help="only what is needed for this, for example vec768l12")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List the official files that can be fetched: name, size, whether it is here, licence, what needs it.

    A field that nobody stated is empty.
    """
    session: Session = context.obj
    hub = _hub(session)
    files = hub.catalog.search(needed_for)
    if not files:
        raise OptionError(f"nothing in the catalogue is for '{needed_for}'", hint="see all: sovits models list")
    if as_json:
        say_json(
            [{**dataclasses.asdict(file), "place": str(hub.place(file)), "here": hub.here(file)} for file in files]
        )
        return
    width, wide = (max(map(len, texts)) for texts in zip(*((file.name, file.licence) for file in files), strict=True))
    for file in files:
        size = f"{file.bytes / 1e6:.0f} MB" if file.bytes else ""
        state = "here" if hub.here(file) else ""
        say(f"{file.name:<{width}}  {size:>8}  {state:<4}  {file.licence:<{wide}}  {file.needed_for}".rstrip())


@app.command("pull")
def pull(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="names from: sovits models list")],
    offline: Annotated[
        bool, typer.Option("--offline", help="fetch nothing, say which file goes where (also SOVITS_OFFLINE=1)")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace another file that lies in the same place")] = False,
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="a folder to fill instead of the models folder")
    ] = None,
) -> int:
    """Fetch official files into the models folder, check them, and put them where they are looked for.

    An interrupted download goes on where it stopped. Where no SHA-256 is published, that of the first download is shown
    and recorded. Mirrors: HF_ENDPOINT, SOVITS_MODELSCOPE, SOVITS_GITHUB.
    """
    session: Session = context.obj
    hub = _hub(session, offline, into)
    for name in names:
        hub.catalog.find(name)
    failed: list[SovitsError] = []
    for name in names:
        try:
            found = hub.pull(name, replace=force, progress=session.progress, cancel=session.cancel)
        except CancelledError:
            raise
        except SovitsError as error:
            if len(names) == 1:
                raise
            failed.append(error)
            first, *rest = describe(error)
            session.note("\n".join([f"sovits: {first}", *rest]), verbosity=-1)
            continue
        say(str(found.path))
        size, what = f"{found.bytes:,} bytes", "fetched" if found.fetched else "was here already"
        session.note(f"{printable(name)}: {what}, {size}, SHA-256 {found.sha256}")
        if found.first_seen:
            kept = "recorded, later downloads are held to it" if found.fetched else "not recorded"
            session.note(f"{printable(name)}: nobody publishes a hash of this file; the one above is {kept}")
        licence = hub.catalog.find(name).licence
        session.note(f"{printable(name)}: licence {printable(licence or 'unstated')}")
    if failed and len(failed) == len(names):
        return exit_code(failed[0])
    return SOME_FAILED if failed else OK


def _hub(session: Session, offline: bool = False, models: Path | None = None) -> Hub:
    from sovits.zoo.hub import Hub

    settings = session.settings
    return Hub(models or settings.models, hubs=settings.hubs, offline=offline or settings.offline)
