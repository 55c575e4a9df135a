"""docs/commands.md names every command and every exit code, and no others."""

from __future__ import annotations

import re

import pytest

from sovits.cli import failures
from sovits.cli.lazy import COMMANDS


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "commands.md").read_text(encoding="utf-8")


def test_every_command_has_its_section_in_the_order_of_help(page):
    assert re.findall(r"^## sovits (\S+)$", page, re.MULTILINE) == list(COMMANDS)


def test_every_command_has_an_example_that_the_docs_test_runs(page):
    for name in COMMANDS:
        section = re.search(rf"^## sovits {name}$(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
        assert section is not None
        assert re.search(rf"^```sh\n(?:.*\n)*?sovits {name}\b", section[1], re.MULTILINE), name


def test_exit_codes_are_those_of_the_program(page):
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE))
    said = re.findall(r"^(\d+) +(.+)$", failures.__doc__ or "", re.MULTILINE)
    assert len(said) == len(rows)
    assert rows == {code: meaning.replace("``", "`") for code, meaning in said}
