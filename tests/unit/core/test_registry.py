"""Names to lazy factories: nothing imported early, friendly failures."""

from __future__ import annotations

import sys

import pytest

from sovits.core.errors import MissingDependencyError, OptionError
from sovits.core.registry import Entry, Registry


def registry() -> Registry[object]:
    return Registry(
        "thing",
        {
            "fraction": Entry("fractions:Fraction", {"exact": True}),
            "wave": Entry("this_module_is_absent:Wave", extra="neural"),
        },
        group="sovits.test_things",
    )


def test_factory_is_imported_on_use():
    assert registry().factory("fraction")(1, 2) == 0.5
    assert registry().facts("fraction") == {"exact": True}
    assert "this_module_is_absent" not in sys.modules


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'fraction'"):
        registry().factory("fractoin")


def test_missing_package_names_the_command_that_mends_it():
    with pytest.raises(MissingDependencyError, match=r'pip install "sovits\[neural\]"'):
        registry().factory("wave")


def test_entry_points_add_names_but_replace_none(tmp_path, monkeypatch):
    info = tmp_path / "plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sovits.test_things]\nmine = decimal:Decimal\nfraction = decimal:Decimal\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    things = registry()
    assert things.names() == ["fraction", "wave", "mine"]
    assert str(things.factory("mine")("1.5")) == "1.5"
    assert things.factory("fraction").__name__ == "Fraction"
