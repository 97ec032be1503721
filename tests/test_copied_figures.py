"""Figures with an interval that the front pages repeat are those of the pages they come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
FIGURE = re.compile(r"([-+]?\d[\d.]*)(?: %| points)?\s+\[([-+]?[\d.]+, [-+]?[\d.]+)\]")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(results/([\w-]+\.md)\)")


def figures(text: str) -> set[str]:
    """Return the figures with an interval, without their units."""
    return {f"{value} [{interval}]" for value, interval in FIGURE.findall(text)}


def test_every_figure_of_the_overview_is_on_the_page_of_its_row() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "results.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| [")
    ]
    checked = 0
    for row in rows:
        pages = [RESULTS / name for name in LINK.findall(row)]
        there = figures("\n".join(page.read_text(encoding="utf-8") for page in pages))
        assert figures(row) <= there, row
        checked += len(figures(row))
    assert checked >= 10
    shown = {name for row in rows for name in LINK.findall(row)}
    assert shown == {page.name for page in RESULTS.glob("*.md")}


@pytest.mark.parametrize("name", ["README.md", "docs/index.md"])
def test_every_figure_of_a_front_page_is_on_another_page(name: str) -> None:
    page = ROOT / name
    pages = [one for one in (ROOT / "docs").rglob("*.md") if "generated" not in one.parts]
    there = figures("\n".join(one.read_text(encoding="utf-8") for one in pages if one != page))
    found = figures(CODE.sub("", page.read_text(encoding="utf-8")))
    assert len(found) >= 5
    assert found <= there, found - there
