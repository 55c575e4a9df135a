"""``sovits voices`` and ``sovits models list`` / ``pull``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sovits.zoo import hub
from sovits.zoo.downloads import Patience
from tests.contract import hub_server
from tests.contract.test_hub import CONTENT, PATH, SHA, catalog
from tests.unit.cli.conftest import Cli
from tests.unit.zoo import fakes


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    return tmp_path / "sovits-home" / "voices"


def test_add_list_show_export_remove(cli: Cli, tmp_path: Path, voices: Path) -> None:
    fakes.complete(tmp_path / "logs")
    words = ["--licence", "CC-BY-4.0", "--source", "a friend", "--consent", "yes", "--consent-by", "Ann"]
    code, out, err = cli("voices", "add", "logs", "--name", "ann", *words, "--consent-date", "2026-01-02")
    assert (code, out, err) == (0, f"{voices / 'ann'}\n", "")
    code, out, err = cli("voices", "list")
    assert (code, out, err) == (0, "ann  so-vits-svc 4.1   CC-BY-4.0  alpha, beta\n", "")
    assert cli("voices", "list", "--licence", "MIT").out == ""
    (row,) = json.loads(cli("voices", "list", "--json").out)
    assert row["card"]["consent"] == {"text": "yes", "by": "Ann", "date": "2026-01-02"}
    code, out, _ = cli("voices", "show", "ann", "--check")
    assert code == 0
    for word in ("CC-BY-4.0", "a friend", "yes (Ann, 2026-01-02)", "alpha (0), beta (1)", "vec256l9", str(voices)):
        assert word in out
    assert json.loads(cli("voices", "show", "ann", "--json").out)["card"]["speakers"] == {"alpha": 0, "beta": 1}
    code, out, _ = cli("voices", "export", "ann", "out", "--format", "so-vits-svc")
    assert code == 0
    assert [Path(line).name for line in out.splitlines()][:2] == ["G_0.pth", "config.json"]
    code, _, err = cli("voices", "remove", "ann")
    assert code == 2
    assert "--yes" in err
    assert cli("voices", "remove", "ann", "--yes") == (0, f"{voices / 'ann'}\n", "")
    assert not list(voices.iterdir())


def test_recordings_work_with_the_built_in_converter(cli: Cli, vowel: Path, target: Path) -> None:
    code, _, err = cli("voices", "add", target, "--name", "ann")
    assert code == 0
    assert "no licence is recorded" in err
    assert "no consent" in err
    assert cli("convert", vowel, "out.wav", "--voice", "ann").code == 0
    assert Path("out.wav").is_file()


def test_a_changed_file_is_seen(cli: Cli, tmp_path: Path, voices: Path) -> None:
    fakes.model(tmp_path / "m")
    assert cli("voices", "add", "m").code == 0
    (voices / "m" / "config.json").write_text("{}")
    code, _, err = cli("voices", "show", "m", "--check")
    assert code == 4
    assert "config.json" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["add", "nowhere"], 3, "no such file or folder: nowhere"),
        (["add", "rvc.pth"], 5, "rvc.pth is: RVC model"),
        (["add", "m", "--name", "../x"], 2, "cannot be the name"),
        (["add", "m", "--store-as", "int8"], 2, "--store-as"),
        (["add", "m", "--consent-by", "Ann"], 2, "without --consent"),
        (["add", "m", "--consent", "yes", "--consent-date", "soon"], 2, "2026-11-21"),
        (["add", "m", "--speaker", "otto"], 4, "no speaker 'otto'"),
        (["show", "nobody"], 4, "no voice 'nobody'"),
        (["show", "../m"], 2, "cannot be the name"),
        (["remove", "..", "--yes"], 2, "cannot be the name"),
        (["export", "nobody", "out"], 4, "no voice 'nobody'"),
    ],
)
def test_mistakes(cli: Cli, tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    fakes.model(tmp_path / "m")
    fakes.rvc(tmp_path / "rvc.pth")
    found = cli("voices", *arguments)
    assert (found.code, found.out) == (code, "")
    assert words in found.err


def test_the_list_of_official_files(cli: Cli) -> None:
    code, out, _ = cli("models", "list", "--for", "vec768l12")
    assert code == 0
    assert out.splitlines()[0].startswith("contentvec ")
    rows = {row["name"]: row for row in json.loads(cli("models", "list", "--json").out)}
    assert len(rows) == 340
    assert rows["hubertsoft"]["bytes"] is None  # nobody publishes it, so none is stated
    assert rows["rmvpe"]["here"] is False
    assert cli("models", "list", "--for", "nonsense").code == 2
    lines = cli("models", "list", "--for", "crepe").out.splitlines()
    assert len({line.index(rows[line.split()[0]]["needed_for"]) for line in lines}) == 1  # the columns line up


def test_pull(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "official", catalog)
    monkeypatch.setattr(hub, "Patience", lambda: Patience(attempts=2, wait=0.0, timeout=5.0))
    with hub_server.serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:1, {server.url}/")
        monkeypatch.setenv("SOVITS_MODELSCOPE", server.url)
        monkeypatch.setenv("SOVITS_GITHUB", server.url)
        server.files[PATH] = CONTENT
        server.files["/ann/voice/resolve/abc123/u.pt"] = CONTENT
        code, out, err = cli("models", "pull", "enc", "unknown")
        place = tmp_path / "sovits-home/models/pretrain"
        assert (code, out) == (0, f"{place / 'enc.pt'}\n{place / 'u.pt'}\n")
        assert f"enc: fetched, 300,000 bytes, SHA-256 {SHA}" in err
        assert "unknown: nobody publishes a hash of this file; the one above is recorded" in err
        assert "licence unstated" in err
        assert "was here already" in cli("models", "pull", "enc").err
        assert cli("models", "pull", "enc", "--into", "my models").out == "my models/pretrain/enc.pt\n"
        assert (tmp_path / "my models/pretrain/enc.pt").read_bytes() == CONTENT
        code, out, err = cli("models", "pull", "nowhere", "enc")
        assert (code, out) == (9, f"{place / 'enc.pt'}\n")
        assert "sovits: no address is known for 'nowhere'" in err
        server.files.clear()
        code, _, err = cli("models", "pull", "model")
        assert code == 5
        assert "404" in err
    code, _, err = cli("models", "pull", "--offline", "twin")
    assert code == 5
    assert "offline: the official file 'twin' is not in its place" in err
    monkeypatch.setenv("SOVITS_OFFLINE", "1")
    assert "offline" in cli("models", "pull", "twin").err
    code, _, err = cli("models", "pull", "twins")
    assert code == 2
    assert "did you mean: twin" in err
