"""Where sovits keeps its things, on every platform."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sovits.core.errors import OptionError
from sovits.settings import Settings, bound_kernel_cache


def test_the_environment_decides(tmp_path: Path) -> None:
    home = Settings.load({"SOVITS_HOME": str(tmp_path)})
    assert home == Settings(tmp_path, tmp_path / "models", tmp_path / "voices")
    both = Settings.load({"SOVITS_HOME": str(tmp_path), "SOVITS_MODELS": "/m", "SOVITS_VOICES": "/v"})
    assert (both.models, both.voices) == (Path("/m"), Path("/v"))


@pytest.mark.parametrize(
    ("platform", "environ", "home"),
    [
        ("linux", {}, "{user}/.local/share/sovits"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/sovits"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "{user}/.local/share/sovits"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "{user}/Library/Application Support/sovits"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/sovits"),
        ("win32", {}, "{user}/AppData/Local/sovits"),
    ],
)
def test_platform_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, environ: dict[str, str], home: str
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert Settings.load(environ, platform=platform).home == Path(home.format(user=tmp_path))


def test_the_configuration_file_comes_after_the_environment(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('models = "/big/disk"\nvoices = "mine"\n')
    stored = Settings.load({"SOVITS_HOME": str(tmp_path)})
    assert (stored.models, stored.voices) == (Path("/big/disk"), tmp_path / "mine")
    assert Settings.load({"SOVITS_HOME": str(tmp_path), "SOVITS_MODELS": "/m"}).models == Path("/m")


@pytest.mark.parametrize("text", ['model = "/x"\n', "models = 3\n", "models = \n", 'models = ""\n'])
def test_a_wrong_configuration_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(OptionError, match=r"config\.toml"):
        Settings.load({"SOVITS_HOME": str(tmp_path)})


def test_mirrors_and_offline() -> None:
    plain = Settings.load({"SOVITS_HOME": "/h"})
    assert (plain.offline, plain.hubs) == (False, {})
    environ = {"HF_ENDPOINT": "https://hf-mirror.com/, https://b", "SOVITS_GITHUB": "https://c", "SOVITS_OFFLINE": "1"}
    found = Settings.load({"SOVITS_HOME": "/h", **environ})
    assert found.offline
    assert found.hubs == {"huggingface": ("https://hf-mirror.com", "https://b"), "github": ("https://c",)}
    assert not Settings.load({"SOVITS_OFFLINE": "No"}).offline
    with pytest.raises(OptionError, match="HF_ENDPOINT"):
        Settings.load({"HF_ENDPOINT": "hf-mirror.com"})


def test_nothing_is_made(tmp_path: Path) -> None:
    settings = Settings.load({"SOVITS_HOME": str(tmp_path / "home")})
    assert not settings.home.exists()


@pytest.mark.parametrize("name", ["ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY"])
def test_the_kernel_cache_is_bounded_unless_the_user_says_how(name: str) -> None:
    environ: dict[str, str] = {}
    bound_kernel_cache(environ)
    assert environ == {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}
    said = {name: "1024"}
    bound_kernel_cache(said)
    assert said == {name: "1024"}


def test_the_environment_of_the_process_is_settled_and_one_that_is_given_is_only_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOVITS_HOME", str(tmp_path))
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    Settings.load({})
    assert "ONEDNN_PRIMITIVE_CACHE_CAPACITY" not in os.environ
    Settings.load()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "256"
