"""The Python blocks of docs/spectrum-correction.md run, in order, and correct what they claim."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "spectrum-correction.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(found) == 5
    program: dict[str, Any] = {"__name__": "page"}
    for number, text in enumerate(found, start=1):
        exec(compile(text, f"{PAGE.name}, block {number}", "exec"), program)
        for line in text.splitlines():
            if "print(" in line and "  # " in line:  # what the page says is printed
                assert line.split("  # ")[1] in capsys.readouterr().out
    assert program["without"] < 0.8 < program["corrected"]
