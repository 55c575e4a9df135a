"""Strict configuration: closed, typed, with messages that say what to do."""

from __future__ import annotations

import pytest

from sovits.core.errors import OptionError, PathError
from sovits.core.strict import read_mapping
from sovits.options.convert import ConvertOptions


def test_unknown_key_is_refused_with_the_nearest_name():
    with pytest.raises(OptionError, match="unknown key 'timber', did you mean 'timbre'"):
        ConvertOptions.build({"timber": 0.5})


def test_every_problem_is_told_at_once():
    with pytest.raises(OptionError) as caught:
        ConvertOptions.build({"timbre": 3, "window": "long"}, where="voice.yaml")
    assert "voice.yaml: " in str(caught.value)
    assert "timbre" in str(caught.value)
    assert "window" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "held"), [("3", 3.0), (-2, -2.0), ("auto", "auto"), ("range", "range"), ("-4.5", -4.5)]
)
def test_transpose_takes_numbers_and_modes(given, held):
    assert ConvertOptions.build({"transpose": given}).transpose == held


@pytest.mark.parametrize("given", ["high", 61, "-99", "nan"])
def test_transpose_refuses_the_rest(given):
    with pytest.raises(OptionError, match="transpose"):
        ConvertOptions.build({"transpose": given})


def test_pitch_range_must_be_ordered():
    with pytest.raises(OptionError, match="must lie below"):
        ConvertOptions.build({"pitch": {"f0_min": 500, "f0_max": 400}})


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"timbre": 0.5}'), ("a.yaml", "timbre: 0.5\n"), ("a.toml", "timbre = 0.5\n")],
)
def test_three_file_formats(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert ConvertOptions.from_file(path).timbre == 0.5


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "not valid json"),
        ("a.yaml", "a: [", "not valid yaml"),
        ("a.toml", "a =", "not valid toml"),
        ("a.yaml", "- 1\n", "expected a mapping"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "not valid yaml"),
    ],
)
def test_broken_files(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(OptionError, match=said):
        read_mapping(path)


def test_missing_file_lists_what_is_there(tmp_path):
    (tmp_path / "there.yaml").write_text("a: 1")
    with pytest.raises(PathError, match=r"there\.yaml"):
        read_mapping(tmp_path / "absent.yaml")
