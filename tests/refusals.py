"""What every refusal of a file is."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Check that a refusal is one line of a readable length that can be printed."""
    assert text.isprintable()
    assert len(text) < 2000
    assert "Expected" in text
    return text
