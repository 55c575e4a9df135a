"""Results are kept one by one, and the page is what they say."""

from __future__ import annotations

import math

import pytest
from benchmarks import report
from benchmarks.report import Bar, Section


def section(name: str, *bars: Bar, text: str = "") -> Section:
    return Section(name, bars, text, "2026-11-21 12:00", "0123456789ab", "a machine", "numpy 2", 0.5)


def test_the_page_is_made_of_the_kept_results(repository):
    """Whoever edits the page by hand, or keeps a result without it, is told here: python -m benchmarks rewrites it."""
    assert (repository / "docs" / "benchmarks.md").read_text(encoding="utf-8") == report.page(report.load())


def test_a_result_comes_back_as_it_was(tmp_path):
    kept = section("scale", Bar("memory", 1.25, "<=", 1.3), Bar("samples", 3, "<=", 0, ".0f"), text="| a |\n| --- |")
    report.save(kept, tmp_path)
    assert report.load(tmp_path) == {"scale": kept}


def test_a_new_result_changes_its_own_section_only(tmp_path):
    report.save(section("startup", Bar("import", 0.1, "<=", 0.15)), tmp_path)
    report.save(section("scale", Bar("memory", 1.1, "<=", 1.3)), tmp_path)
    before = report.page(report.load(tmp_path))
    report.save(section("scale", Bar("memory", 1.9, "<=", 1.3)), tmp_path)
    after = report.page(report.load(tmp_path))
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert changed == [("| memory | 1.100 | <= 1.3 | pass |", "| memory | 1.900 | <= 1.3 | **fail** |")]


def test_what_never_ran_shows_no_figure(tmp_path):
    page = report.page(report.load(tmp_path))
    assert page.count("Not measured yet") == len(report.SECTIONS)
    assert "| pass |" not in page


@pytest.mark.parametrize(
    ("value", "sign", "limit", "met"),
    [
        (1.3, "<=", 1.3, True),
        (1.31, "<=", 1.3, False),
        (0.99, ">=", 0.99, True),
        (0.98, ">=", 0.99, False),
        (math.nan, "<=", 1.0, False),
        (math.nan, ">=", 1.0, False),
    ],
)
def test_bars(value, sign, limit, met):
    bar = Bar("a", value, sign, limit)
    assert bar.met is met
    assert section("scale", Bar("b", 0, "<=", 1), bar).met is met


def test_surroundings_are_those_of_this_machine():
    found = report.surroundings()
    assert "Python 3." in str(found["machine"])
    assert "numpy " in str(found["versions"])
    assert str(found["commit"])
