"""How a result stands in a page's table: the value and its 95 % interval."""

from __future__ import annotations

from anymic.evaluation.report.rows import Row


def percent(item: Row, *, digits: int = 1, interval_digits: int | None = None) -> str:
    """Return a share in per cent: 80.6 [75.0, 85.2]."""
    ends = digits if interval_digits is None else interval_digits
    return _cell(100 * item.value, _scaled(item, 100), f".{digits}f", f".{ends}f")


def points(item: Row) -> str:
    """Return a difference of shares in points, with its sign: +2.1 [-0.4, +4.0]."""
    return _cell(100 * item.value, _scaled(item, 100), "+.1f", "+.1f")


def plain(item: Row, *, signed: bool = False) -> str:
    """Return a number of its own scale: 0.812 [0.745, 0.880]."""
    form = "+.3f" if signed else ".3f"
    return _cell(item.value, _scaled(item, 1), form, form)


def _scaled(item: Row, scale: float) -> tuple[float, float] | None:
    if item.low is None or item.high is None:
        return None
    return scale * item.low, scale * item.high


def _cell(value: float, ends: tuple[float, float] | None, form: str, end_form: str) -> str:
    text = format(value, form)
    return text if ends is None else f"{text} [{ends[0]:{end_form}}, {ends[1]:{end_form}}]"


def counted(number: int, name: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{number} {name}" + ("s" if number != 1 else "")
