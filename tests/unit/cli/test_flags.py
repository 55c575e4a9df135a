"""Flags follow from option types, with nothing said twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sovits.cli.flags import Flag, flags_of, gather
from sovits.core.errors import OptionError, PathError
from sovits.core.strict import Strict
from sovits.options.convert import ConvertOptions
from sovits.options.knobs import knob
from sovits.options.pitch import PitchOptions
from sovits.options.slicing import SliceOptions


class Inner(Strict):
    depth: int = knob(3, "how deep", low=1, high=9)


class Sample(Strict):
    """All kinds of fields."""

    amount: float = knob(0.5, "how much", unit="dB", above=0.0)
    loud: bool = knob(False, "whether")
    names: list[str] = knob([], "which")
    limit: float | None = knob(2.0, "at most", high=10.0)
    inner: Inner = Inner()


def flags(kind: type[Strict]) -> dict[str, Flag]:
    return {flag.name: flag for flag in flags_of(kind)}


def leaves(kind: type[Strict]) -> int:
    return sum(
        leaves(field.annotation) if isinstance(field.annotation, type) and issubclass(field.annotation, Strict) else 1
        for field in kind.model_fields.values()
    )


@pytest.mark.parametrize("kind", [ConvertOptions, PitchOptions, SliceOptions, Sample])
def test_every_field_is_a_flag_of_its_own_with_a_text(kind: type[Strict]) -> None:
    found = list(flags_of(kind))
    assert len({flag.name for flag in found}) == len(found) == leaves(kind)
    assert all(flag.field.description for flag in found)


def test_names_of_nested_fields() -> None:
    assert {"f0-method", "f0-min", "f0-max", "f0-threshold"} <= set(flags(ConvertOptions))
    assert {"method", "f0-min", "threshold"} <= set(flags(PitchOptions))
    assert flags(Sample)["inner-depth"].path == ("inner", "depth")


def test_help_states_default_range_and_unit() -> None:
    found = flags(Sample)
    assert found["amount"].help == "how much [default: 0.5; above 0; dB]"
    assert found["inner-depth"].help == "how deep [default: 3; 1 to 9]"
    assert found["loud"].help == "whether [default: off]"
    assert found["limit"].help == "at most [default: 2; up to 10]"
    assert found["limit"].metavar == "NUMBER|none"
    assert flags(ConvertOptions)["transpose"].metavar == "NUMBER|range|auto"


def test_defaults_hold_where_nothing_is_given() -> None:
    assert gather(ConvertOptions, dict.fromkeys(("transpose", "f0_min")), None) == ConvertOptions()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"transpose": "-3.5"}, {"transpose": -3.5}),
        ({"transpose": "auto", "seed": "7"}, {"transpose": "auto", "seed": 7}),
        ({"f0_min": "80", "f0_method": "pm"}, {"pitch": {"f0_min": 80.0, "method": "pm"}}),
    ],
)
def test_flags_become_options(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert gather(ConvertOptions, given, None) == ConvertOptions.build(expected)


def test_kinds_of_values() -> None:
    made = gather(Sample, {"loud": True, "names": ["a", "b"], "limit": "none", "inner_depth": "4"}, None)
    assert (made.loud, made.names, made.limit, made.inner.depth) == (True, ["a", "b"], None, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"timbre": "2"}, "timbre"),
        ({"transpose": "high"}, "transpose"),
        ({"transpose": "nan"}, "transpose"),
        ({"seed": "1.5"}, "seed"),
        ({"f0_min": "900", "f0_max": "200"}, "f0_min"),
        ({"window": "0"}, "window"),
    ],
)
def test_wrong_values_name_the_option(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        gather(ConvertOptions, given, None)
    assert "command line" in caught.value.message


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".toml"])
def test_flags_win_over_a_configuration_file(tmp_path: Path, suffix: str) -> None:
    config = tmp_path / f"options{suffix}"
    texts = {
        ".json": json.dumps({"timbre": 0.5, "pitch": {"method": "pm", "f0_min": 70}}),
        ".yaml": "timbre: 0.5\npitch:\n  method: pm\n  f0_min: 70\n",
        ".toml": 'timbre = 0.5\n[pitch]\nmethod = "pm"\nf0_min = 70\n',
    }
    config.write_text(texts[suffix])
    made = gather(ConvertOptions, {"f0_method": "dio"}, config)
    assert (made.timbre, made.pitch.method, made.pitch.f0_min) == (0.5, "dio", 70.0)


def test_a_wrong_configuration_file(tmp_path: Path) -> None:
    config = tmp_path / "options.yaml"
    with pytest.raises(PathError, match="no such file"):
        gather(ConvertOptions, {}, config)
    config.write_text("timbr: 1\n")
    with pytest.raises(OptionError, match="did you mean 'timbre'"):
        gather(ConvertOptions, {}, config)
    config.write_text("- a list\n")
    with pytest.raises(OptionError, match="mapping"):
        gather(ConvertOptions, {}, config)
