"""Which files a batch takes, and where the results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from sovits.core.errors import OptionError, PathError
from sovits.pipelines.files import Found, Task, check, expand, is_folder_output, plan

FORMATS = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"})


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "in/a.wav",
        "in/b.mp3",
        "in/deep/a.wav",
        "in/notes.txt",
        "in/.hidden.wav",
        "in/.git/x.wav",
        "in/out/a.wav",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(found: list[Found]) -> list[str]:
    return [item.below.as_posix() for item in found]


def test_a_folder_is_searched_whole_without_hidden_and_other_files(tree: Path) -> None:
    assert names(expand(["in"])) == ["a.wav", "b.mp3", "deep/a.wav", "out/a.wav"]


def test_earlier_results_below_the_input_are_left_out(tree: Path) -> None:
    assert names(expand(["in"], without=Path("in/out"))) == ["a.wav", "b.mp3", "deep/a.wav"]
    # The input itself, or a folder around it, as output is no reason to find nothing.
    assert len(expand(["in"], without=Path("in"))) == 4
    assert len(expand(["in"], without=Path())) == 4


def test_patterns_are_expanded_and_keep_what_tells_their_files_apart(tree: Path) -> None:
    assert names(expand(["in/*.wav"])) == ["a.wav"]
    assert names(expand(["in/**/*.wav"], without=Path("in/out"))) == ["a.wav", "deep/a.wav"]
    assert names(expand([str(tree / "in" / "d*" / "*.wav")])) == ["deep/a.wav"]


def test_an_existing_name_is_no_pattern(tree: Path) -> None:
    Path("in/[a].wav").write_bytes(b"x")
    assert names(expand(["in/[a].wav"])) == ["[a].wav"]


def test_a_file_that_is_named_twice_is_taken_once(tree: Path) -> None:
    assert names(expand(["in/a.wav", str(tree / "in/a.wav"), "in/a.*"])) == ["a.wav"]


@pytest.mark.parametrize("pattern", ["in/none.wav", "nowhere/x.wav", "in/*.ogg", "empty", "x" * 5000])
def test_nothing_found_is_an_error_that_names_the_pattern(tree: Path, pattern: str) -> None:
    with pytest.raises(PathError) as caught:
        expand([pattern])
    assert pattern in caught.value.message
    assert caught.value.hint


def test_a_missing_file_names_what_lies_beside_it(tree: Path) -> None:
    with pytest.raises(PathError, match=r"a\.wav, b\.mp3"):
        expand(["in/c.wav"])


@pytest.mark.parametrize(
    ("out", "patterns", "folder"),
    [
        ("out.wav", ["in/a.wav"], False),
        ("out.MP3", ["in/a.wav"], False),
        ("out", ["in/a.wav"], True),
        ("out/", ["in/a.wav"], True),
        ("in", ["in/a.wav"], True),
        ("out.v2", ["in"], True),
        ("out", ["in/*.wav"], True),
        ("out.wav", ["in/absent.wav"], False),
        ("out", ["in/a.wav", "in/b.mp3"], True),
    ],
)
def test_what_kind_of_output(tree: Path, out: str, patterns: list[str], folder: bool) -> None:
    assert is_folder_output(out, patterns, FORMATS) is folder


@pytest.mark.parametrize(
    ("out", "patterns", "words"),
    [
        ("out.wav", ["in"], "several inputs"),
        ("out.wav", ["in/a.wav", "in/b.mp3"], "several inputs"),
        ("out.wav", ["in/*.wav"], "several inputs"),
        ("out.xyz", ["in/a.wav"], "unknown output format '.xyz'"),
    ],
)
def test_outputs_that_cannot_be(tree: Path, out: str, patterns: list[str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        is_folder_output(out, patterns, FORMATS)


def found(*paths: str) -> list[Found]:
    return [Found(Path("in") / path, Path(path)) for path in paths]


def test_outputs_keep_sub_folders() -> None:
    tasks = plan(found("a.wav", "deep/b.wav"), Path("out"), "mp3")
    assert [task.output.as_posix() for task in tasks] == ["out/a.mp3", "out/deep/b.mp3"]


def test_two_inputs_of_one_stem_get_distinct_names_in_any_order() -> None:
    for order in (["a.wav", "a.mp3"], ["a.mp3", "a.wav"]):
        tasks = plan(found(*order), Path("out"), "flac")
        assert {task.source.name: task.output.name for task in tasks} == {"a.wav": "a.wav.flac", "a.mp3": "a.mp3.flac"}


@pytest.mark.parametrize("second", ["a.wav", "A.wav"])
def test_two_inputs_that_still_share_an_output_are_refused(second: str) -> None:
    both = [Found(Path("x/a.wav"), Path("a.wav")), Found(Path("y") / second, Path(second))]
    with pytest.raises(OptionError, match="would both become"):
        plan(both, Path("out"), "wav")


def test_composed_and_decomposed_names_are_one() -> None:
    both = [Found(Path("x/\u00e9.wav"), Path("\u00e9.wav")), Found(Path("y/e\u0301.wav"), Path("e\u0301.wav"))]
    with pytest.raises(OptionError, match="would both become"):
        plan(both, Path("out"), "wav")


def test_inputs_and_references_are_never_overwritten(tree: Path) -> None:
    with pytest.raises(OptionError, match="would overwrite the input"):
        check([Task(Path("in/a.wav"), tree / "in" / "deep" / ".." / "a.wav")])
    with pytest.raises(OptionError, match="would overwrite the input"):
        check([Task(Path("in/a.wav"), Path("in/b.wav")), Task(Path("in/b.wav"), Path("c.wav"))])
    with pytest.raises(OptionError, match="would overwrite the input"):
        check([Task(Path("in/a.wav"), Path("clip.wav"))], keep=(Path("clip.wav"),))
    Path("link.wav").symlink_to("in/a.wav")
    with pytest.raises(OptionError, match="would overwrite the input"):
        check([Task(Path("in/a.wav"), Path("link.wav"))])
