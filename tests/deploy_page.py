"""The programs that docs/deploy.md shows."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/deploy.md"
JAVASCRIPT = 0  # the block of JavaScript that classifies


def blocks(language: str) -> list[str]:
    """Return the page's blocks of a language, in order."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
