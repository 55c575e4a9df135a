"""``sovits voices``: the voices folder from the command line."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sovits.cli.failures import printable
from sovits.cli.session import Session, say, say_json
from sovits.cli.svc_blend import blend
from sovits.core.errors import OptionError

if TYPE_CHECKING:
    from sovits.zoo.library import Listed

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="name of the voice, as in: sovits voices list")]


class ExportFormat(StrEnum):
    """Layouts that a voice can be exported to."""

    SO_VITS_SVC = "so-vits-svc"


@app.callback()
def voices() -> None:
    """Add, list, show, remove and export voices."""


@app.command("add")
def add_voice(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="a model folder, its G_*.pth, an archive (zip, tar), or recordings"),
    ],
    name: Annotated[str, typer.Option(help="name of the voice; that of the path if not given")] = "",
    licence: Annotated[str, typer.Option(help="licence of the model or the recordings")] = "",
    source: Annotated[str, typer.Option(help="where it comes from")] = "",
    consent: Annotated[str, typer.Option(metavar="TEXT", help="what the owner of the voice agreed to")] = "",
    consent_by: Annotated[str, typer.Option(metavar="WHO", help="who gave the consent")] = "",
    consent_date: Annotated[str, typer.Option(metavar="DAY", help="when, as 2026-11-21; today if not given")] = "",
    speaker: Annotated[str, typer.Option(help="whom to sing as where the model has several speakers")] = "",
    store_as: Annotated[
        str, typer.Option(metavar="FORMAT", help="float32, float16 or bfloat16 weights; as they are if not given")
    ] = "",
    keep_original: Annotated[bool, typer.Option("--keep-original", help="keep the converted files too")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="replace a voice of the same name")] = False,
) -> None:
    """Import a so-vits-svc model (weights become safetensors), or recordings for the built-in converter.

    The card of the voice keeps licence, source, consent and the hashes of all files.
    """
    from sovits.zoo.importing import Statement, add

    session: Session = context.obj
    if store_as not in ("", "float32", "float16", "bfloat16"):
        raise OptionError(f"--store-as is '{store_as}'", hint="choose float32, float16 or bfloat16")
    made = add(
        paths,
        session.settings.voices,
        name=name,
        statement=Statement(licence, source, _consent(consent, consent_by, consent_date), speaker),
        keep_original=keep_original,
        replace_existing=replace,
        store_as=store_as or None,
        progress=session.progress,
        cancel=session.cancel,
    )
    say(str(made.folder))
    if made.card is not None:
        if not made.card.licence:
            session.note("no licence is recorded; add one with --licence if you know it")
        if made.card.consent is None:
            session.note("no consent of the owner of the voice is recorded; add it with --consent")


def _consent(text: str, by: str, date: str) -> Any:
    from sovits.zoo.cards import Consent

    if not text:
        if by or date:
            raise OptionError("--consent-by or --consent-date without --consent", hint="add --consent TEXT")
        return None
    if date:
        try:
            day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError as error:
            raise OptionError(f"--consent-date '{date}' is no day", hint="write it as 2026-11-21") from error
    else:
        day = datetime.now(UTC)
    return Consent(text=text, by=by, date=day.strftime("%Y-%m-%d"))


@app.command("list")
def list_voices(
    context: typer.Context,
    licence: Annotated[
        str, typer.Option(metavar="WORDS", help="only voices whose licence contains this; 'unstated' for none")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List the voices in the voices folder: name, kind, licence, speakers."""
    from sovits.zoo.library import listing

    session: Session = context.obj
    rows = listing(session.settings.voices, licence=licence)
    if as_json:
        say_json([_as_json(row) for row in rows])
        return
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        say(f"{row.name:<{width}}  {_summary(row)}")
    if not rows:
        session.note(f"no voices in {printable(str(session.settings.voices))}; add one with: sovits voices add PATH")


def _summary(row: Listed) -> str:
    if row.problem:
        return f"broken card: {row.problem}"
    if row.card is None:
        return "clips (no card)  unstated"
    card = row.card
    kind = f"{card.kind} {card.version}".strip()
    return f"{kind:<16}  {card.licence or 'unstated'}  {', '.join(card.speakers)}".rstrip()


def _as_json(row: Listed) -> dict[str, Any]:
    card = row.card.model_dump(mode="json") if row.card else None
    return {"name": row.name, "folder": row.folder, "problem": row.problem, "card": card}


@app.command("show")
def show(
    context: typer.Context,
    name: _Name,
    check: Annotated[bool, typer.Option("--check", help="compare all files with the hashes on the card")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Show the card of a voice, and where its files lie."""
    from sovits.core.errors import VoiceError
    from sovits.zoo.library import damaged, existing
    from sovits.zoo.voice import open_folder

    session: Session = context.obj
    found = open_folder(existing(name, session.settings.voices))
    if check and found.card is not None and found.folder is not None:
        wrong = damaged(found.folder, found.card)
        if wrong:
            raise VoiceError(
                f"the voice '{name}' has files that are missing or changed: {', '.join(file.name for file in wrong)}",
                hint="add it again with --replace",
            )
    if as_json:
        card = found.card.model_dump(mode="json") if found.card else None
        say_json({"name": found.name, "folder": found.folder, "clips": list(found.references), "card": card})
        return
    for line in found.card.lines() if found.card else [f"{'name':<12} {found.name}", f"{'kind':<12} clips (no card)"]:
        say(line)
    if found.card is None:
        for clip in found.references:
            say(f"{'file':<12} {clip.name}")
    say(f"{'folder':<12} {found.folder}")
    if check:
        session.note("all files are as the card says" if found.card else "there is no card to compare with")


@app.command("remove")
def remove_voice(
    context: typer.Context,
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Delete a voice from the voices folder."""
    from sovits.zoo.library import existing, remove

    session: Session = context.obj
    folder = existing(name, session.settings.voices)
    if not yes:
        if not sys.stdin.isatty():
            raise OptionError(f"removing the voice '{name}' needs an answer, and nobody can be asked", hint="add --yes")
        if not typer.confirm(f"delete {printable(str(folder))}?", err=True):
            session.note("nothing was deleted")
            return
    say(str(remove(name, session.settings.voices)))


@app.command("export")
def export(
    context: typer.Context,
    name: _Name,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="a new folder")],
    layout: Annotated[ExportFormat, typer.Option("--format", help="the layout to write")] = ExportFormat.SO_VITS_SVC,
) -> None:
    """Write a voice as a model folder of so-vits-svc again: G_0.pth, config.json and what belongs to them."""
    from sovits.zoo.exporting import export_upstream
    from sovits.zoo.library import existing
    from sovits.zoo.voice import open_folder

    session: Session = context.obj
    found = open_folder(existing(name, session.settings.voices))
    for path in export_upstream(found, out, progress=session.progress, cancel=session.cancel):
        say(str(path))


app.command("blend")(blend)
