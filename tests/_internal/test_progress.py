"""A bar changes nothing, and is drawn on a terminal only."""

from __future__ import annotations

import io
import sys

import pytest

from anymic._internal.progress import progress_bar, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("shown", [True, False])
def test_items_pass_unchanged(shown: bool) -> None:
    assert list(track(iter("abc"), 3, "reading", shown=shown)) == ["a", "b", "c"]


def test_nothing_is_drawn_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(2, "reading") as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("total", "shown", "drawn"), [(2, True, True), (2, False, False), (0, True, False)]
)
def test_a_terminal_shows_the_bar_where_wanted(
    monkeypatch: pytest.MonkeyPatch, total: int, shown: bool, drawn: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(total, "reading", shown=shown) as advance:
        advance(2)
    assert ("reading" in terminal.getvalue()) == drawn
    assert ("2/2" in terminal.getvalue()) == drawn
