"""Parsers of label files, written from the documentation of the programs that read them."""

from __future__ import annotations

import re
from pathlib import Path

Label = tuple[float, float, str]


def read_audacity(path: Path) -> list[Label]:
    r"""Audacity manual, "Importing and Exporting Labels": start, tab, end, tab, label; UTF-8.

    A line that begins with a backslash has the frequencies of the label before it.
    """
    found = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        if line.startswith("\\"):
            continue
        start_s, end_s, label = line.split("\t")
        found.append((float(start_s), float(end_s), label))
    return found


def read_raven(path: Path) -> list[dict[str, str]]:
    """Raven Pro User's Manual, "Selection Tables": tabs, and a header with these measurements."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    names = header.split("\t")
    assert names[:7] == [
        *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"),
        *("Low Freq (Hz)", "High Freq (Hz)"),
    ]
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines]
    for number, row in enumerate(rows, start=1):
        assert row["Selection"] == str(number)
        assert row["View"] == "Spectrogram 1"
        assert row["Channel"] == "1"
        assert float(row["Low Freq (Hz)"]) < float(row["High Freq (Hz)"])
        assert float(row["Begin Time (s)"]) < float(row["End Time (s)"])
    return rows


def read_textgrid(path: Path) -> tuple[float, float, dict[str, list[Label]]]:
    """Praat manual, "TextGrid file formats": free-standing numbers, texts in quotes, and flags.

    Everything else is a comment. A quote in a text is doubled. The intervals of a tier follow each
    other without gaps, from its beginning to its end.
    """
    text = path.read_text(encoding="utf-8")
    pattern = r'(?<!\S)(?:"(?:[^"]|"")*"|<\w+>|-?\d+(?:\.\d+)?)(?!\S)'
    tokens = iter(re.findall(pattern, text))

    def string() -> str:
        token: str = next(tokens)
        assert token[0] == token[-1] == '"', token
        return token[1:-1].replace('""', '"')

    assert string() == "ooTextFile"
    assert string() == "TextGrid"
    begin_s, end_s = float(next(tokens)), float(next(tokens))
    assert next(tokens) == "<exists>"
    tiers: dict[str, list[Label]] = {}
    for _ in range(int(next(tokens))):
        assert string() == "IntervalTier"
        name = string()
        assert (float(next(tokens)), float(next(tokens))) == (begin_s, end_s)
        now_s = begin_s
        tiers[name] = []
        for _ in range(int(next(tokens))):
            interval = (float(next(tokens)), float(next(tokens)), string())
            assert interval[0] == now_s < interval[1]
            now_s = interval[1]
            tiers[name].append(interval)
        assert now_s == end_s
    assert next(tokens, None) is None
    return begin_s, end_s, tiers
