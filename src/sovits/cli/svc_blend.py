"""``sovits voices blend``: a new voice out of several."""

from __future__ import annotations

from typing import Annotated

import typer

from sovits.cli.session import Session, say
from sovits.cli.svc import MODE_HELP, mix_mode, shared


def blend(
    context: typer.Context,
    voices: Annotated[list[str], typer.Argument(metavar="VOICE=PERCENT", help="two or more voices and their percents")],
    name: Annotated[str, typer.Option(help="name of the new voice")],
    mode: Annotated[str, typer.Option(metavar="convex|linear", help=MODE_HELP)] = "convex",
    replace: Annotated[bool, typer.Option("--replace", help="replace a voice of the same name")] = False,
) -> None:
    """Blend trained voices of one kind into a new voice, for example A=60 B=40 --name C."""
    from sovits.pipelines.svc_blend import blend_voices

    session: Session = context.obj
    made = blend_voices(
        shared(voices),
        name,
        session.settings.voices,
        mode=mix_mode(mode),
        replace_existing=replace,
        progress=session.progress,
        cancel=session.cancel,
    )
    say(str(made.folder))
    if made.card is not None and (not made.card.licence or made.card.consent is None):
        session.note("not all of the voices state a licence and a consent, so the blend does not either")
