"""How numbers are written: a value in its unit, and its 95 % interval."""

from __future__ import annotations

import math
from typing import TypeAlias

from anymic.evaluation.report.rows import Row
from anymic.metrics import Interval, metric_named

Estimate: TypeAlias = Row | Interval


def percent(
    found: Estimate, *, digits: int = 1, interval_digits: int | None = None, unit: str = ""
) -> str:
    """Return a share in per cent: 80.6 [75.0, 85.2]; the unit " %" goes behind the value."""
    ends = digits if interval_digits is None else interval_digits
    return _join(f"{100 * found.value:.{digits}f}{unit}", _ends(found, f".{ends}f", scale=100))


def points(found: Estimate) -> str:
    """Return a difference of shares in points, with its sign: +2.1 [-0.4, +4.0]."""
    return _join(f"{100 * found.value:+.1f}", _ends(found, "+.1f", scale=100))


def plain(found: Estimate, *, signed: bool = False) -> str:
    """Return a number on its own scale: 0.812 [0.745, 0.880]."""
    form = "+.3f" if signed else ".3f"
    return _join(format(found.value, form), _ends(found, form))


def estimate(row: Row) -> str:
    """Return the value in the unit of its metric: 83.3 %, -14.0 (points) or 0.712."""
    return _in_unit(row, row.value) + (" %" if metric_named(row.metric).unit == "share" else "")


def interval(row: Row) -> str:
    """Return the interval in the unit of its metric: [79.1, 86.8]; empty without one."""
    if row.low is None or row.high is None:
        return ""
    return f"[{_in_unit(row, row.low)}, {_in_unit(row, row.high)}]"


def full(row: Row) -> str:
    """Return the value and its interval: 83.3 % [79.1, 86.8]."""
    return _join(estimate(row), interval(row))


def describe(row: Row) -> str:
    """Return the row in one line: 83.3 % [79.1, 86.8] n=320; a difference is in points."""
    unit = "points" if metric_named(row.metric).unit == "difference" else ""
    return _join(full(row), unit, f"n={row.n}")


def _in_unit(row: Row, value: float) -> str:
    unit = metric_named(row.metric).unit
    if unit == "share":
        return f"{100 * value:.1f}"
    if unit == "difference":
        return f"{100 * value:+.1f}"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _ends(found: Estimate, form: str, *, scale: float = 1) -> str:
    """Return the interval; empty where its ends are None (of a row) or NaN."""
    if found.low is None or found.high is None or math.isnan(found.low):
        return ""
    return f"[{scale * found.low:{form}}, {scale * found.high:{form}}]"


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
