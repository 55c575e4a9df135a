"""``--reference`` takes several clips where that cannot be mistaken."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from sovits.cli import convert
from sovits.cli.session import Session
from sovits.cli.voices import ReferenceCommand, chosen
from sovits.core.errors import OptionError, VoiceError


@pytest.mark.parametrize(
    ("given", "paths", "clips"),
    [
        ("in out --reference a b c", ["in", "out"], ["a", "b", "c"]),
        ("in out --reference a b --jobs 2 --reference c", ["in", "out"], ["a", "b", "c"]),
        ("--reference a in out", ["in", "out"], ["a"]),
        ("--reference a --reference b in out", ["in", "out"], ["a", "b"]),
        ("in --reference a out", ["in", "out"], ["a"]),
        ("in out --reference=a", ["in", "out"], ["a"]),
        ("in out --jobs 2 --reference a b", ["in", "out"], ["a", "b"]),
        ("--jobs 2 in --force --reference a out", ["in", "out"], ["a"]),
        ("--reference a -- -in out", ["-in", "out"], ["a"]),
        ("in out --reference a b -- -c", ["in", "out", "-c"], ["a", "b"]),
    ],
)
def test_what_belongs_to_reference(given: str, paths: list[str], clips: list[str]) -> None:
    command = typer.main.get_command(convert.app)
    assert isinstance(command, ReferenceCommand)
    context = command.make_context("convert", given.split())
    assert (context.params["paths"], context.params["reference"]) == (paths, clips)


def test_exactly_one_way_to_name_a_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVITS_HOME", str(tmp_path))
    clip = tmp_path / "voices" / "anna" / "clip.wav"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"x")
    session = Session()
    assert chosen(session, "anna", None).references == (clip,)
    assert chosen(session, str(clip.parent), []).references == (clip,)
    assert chosen(session, None, [str(clip)]).references == (clip,)
    with pytest.raises(OptionError, match="both"):
        chosen(session, "anna", [str(clip)])
    with pytest.raises(OptionError, match="no target voice"):
        chosen(session, None, None)
    with pytest.raises(VoiceError, match="no voice 'otto'"):
        chosen(session, "otto", None)
