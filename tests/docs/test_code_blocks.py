"""Every code block of the README and of docs/ runs, in order of the page, in a folder with the files it names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "src" / "sovits" / "demo_data"
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)

#: Lines that set up or test the checkout itself: `.ci/run` runs these very commands, so no test repeats them.
RUN_BY_CI = {
    "make demo",
    "make test",
    "make test-slow",
    "make check",
    "make soak",
    "make bench",
    "pip install",
    "git clone",
}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in FENCE.finditer(text)]


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in ("sh", "python")]


def prepare(folder: Path) -> None:
    """The files that the pages talk about: a song, a voice, a folder of takes, a weight file."""
    shutil.copy(DATA / "vocals.flac", folder / "song.flac")
    shutil.copy(DATA / "reference.flac", folder / "voice.flac")
    takes = folder / "takes"
    takes.mkdir()
    for name in ("one.flac", "two.flac"):
        shutil.copy(DATA / "reference.flac", takes / name)
    code = (
        "import numpy as np\nfrom pathlib import Path\nfrom sovits.core import checkpoint\n"
        "checkpoint.write(Path('model.safetensors'), {'weight': np.ones((2, 3), np.float32)}, config={'name': 'example'})\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=lambda page: page.name)
def test_blocks_run(page, tmp_path):
    prepare(tmp_path)
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "SOVITS_HOME": str(tmp_path / "home"),
        "COLUMNS": "120",
    }
    for block in runnable(page):
        if block.language == "python":
            command = [sys.executable, "-c", block.code]
        else:
            lines = [
                line for line in block.code.splitlines() if not any(line.strip().startswith(word) for word in RUN_BY_CI)
            ]
            command = ["bash", "-euo", "pipefail", "-c", "\n".join(lines)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{block}\n{block.code}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


def test_blocks_say_what_they_are():
    """A fence without a language is output or a drawing; one in a language that no test knows would go untested."""
    for page in PAGES:
        for block in blocks(page):
            assert block.language in ("sh", "python", "text", "json", "yaml", "toml", ""), str(block)


def test_commands_left_to_ci_are_run_by_ci():
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "make --no-print-directory demo" in script
    assert "for suite in test test-slow" in script


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"
