"""The site that `make docs` built, where it is at hand, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.browser import opened, served

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "build" / "site"
END = """() => {
  const paragraphs = [...document.querySelectorAll("article p")];
  const title = paragraphs.find((one) => one.textContent.trim() === "Known limitations");
  return title.nextElementSibling.getBoundingClientRect().bottom + window.scrollY;
}"""


def built(name: str) -> Path:
    """Return a page of the site; skip the test where there is none, or an older one."""
    page, source = SITE / f"{name}.html", ROOT / "docs" / f"{name}.md"
    if not page.is_file() or page.stat().st_mtime < source.stat().st_mtime:
        pytest.skip("no site of these pages in build/site: make docs")
    return page


def end_of_limitations(page: Page) -> float:
    return float(page.evaluate(END))


@pytest.mark.parametrize("width", [1280, 1440])
def test_the_first_screen_ends_with_the_known_limitations(browser: Browser, width: int) -> None:
    """What it is, for whom, lines that run, and what it does not do: in one screen."""
    place = built("index")
    size = {"width": width, "height": 800}
    with served(SITE) as address, opened(browser, viewport=size) as (page, errors):
        page.goto(f"{address}/{place.name}")
        assert end_of_limitations(page) <= 800
    assert errors == []


def test_nothing_is_wider_than_a_narrow_screen(browser: Browser) -> None:
    """Tables and code scroll by themselves; the page does not."""
    built("index")
    size = {"width": 390, "height": 800}
    with served(SITE) as address, opened(browser, viewport=size) as (page, _):
        for name in ("index", "devices", "api/use", "generated/installation"):
            page.goto(f"{address}/{name}.html")
            wide = page.evaluate("() => document.scrollingElement.scrollWidth")
            assert wide <= 390, name
