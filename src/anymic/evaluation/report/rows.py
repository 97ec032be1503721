"""The one format of results: rows of a condition, a metric, a value and its interval.

`report.json` is ``{"format": "anymic-report", "version": 1, <header>, "rows": [...]}``, each row
``{"condition": {"device": "B"}, "metric": "accuracy", "value": 0.70, "low": 0.66, "high": 0.74,
"n": 540}``. It is strict JSON: numbers that are not finite are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from anymic._internal import reading
from anymic._internal.files import write_text
from anymic._internal.settings import from_mapping
from anymic.errors import AnymicError
from anymic.metrics import Interval

FORMAT = "anymic-report"
VERSION = 1
_WANTED = f'a report.json with "format": "{FORMAT}"'
_RESERVED = ("format", "version", "rows")


class ReportError(AnymicError):
    """A report that cannot be written or read."""


@dataclass(frozen=True)
class Row:
    """One result.

    Attributes
    ----------
    condition : dict
        The clips and settings of the value: {"device": "B", "correction": "none"}; {}: all clips.
    metric : str
        "accuracy", "macro_accuracy", "accuracy_difference", "log_loss", "brier_score",
        "expected_calibration_error", ...; a share is between 0 and 1.
    value : float
        The estimate.
    low, high : float or None
        The ends of its 95 % interval; None if there is none (for a single recording).
    n : int
        The number of clips.
    """

    condition: dict[str, str]
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int

    def __post_init__(self) -> None:
        numbers = [number for number in (self.value, self.low, self.high) if number is not None]
        paired = (self.low is None) == (self.high is None)
        if not paired or self.n < 1 or not all(math.isfinite(number) for number in numbers):
            interval = f"{self.value} [{self.low}, {self.high}]"
            raise ReportError(
                f"the metric {self.metric} is {interval} and n {self.n}",
                expected="finite numbers from at least one clip",
                fix="leave out values that could not be calculated",
            )

    def under(self, **condition: str) -> Row:
        """Return the row with more keys in its condition."""
        return replace(self, condition={**condition, **self.condition})


def row(metric: str, interval: Interval, **condition: str) -> Row:
    """Return an interval as a row; its ends are None where they are NaN."""
    low, high = (None if math.isnan(end) else end for end in (interval.low, interval.high))
    return Row(condition, metric, interval.value, low, high, interval.n)


def select(rows: Iterable[Row], metric: str, *keys: str) -> list[Row]:
    """Return the rows of a metric whose conditions name exactly these keys (in any order)."""
    return [row for row in rows if row.metric == metric and set(row.condition) == set(keys)]


def condition_name(row: Row, *, apart: str = "device") -> str:
    """Return a row's condition in words, without the class, baselines and the key `apart`."""
    return ", ".join(
        value
        for key, value in row.condition.items()
        if key not in (apart, "label") and not key.startswith("against_")
    )


def conditions(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows by condition in words, in order of appearance; "" is no condition."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(condition_name(row), []).append(row)
    return found


def write_json(rows: Iterable[Row], path: str | Path, **header: Any) -> Path:
    """Write rows and a header as `report.json`, complete or not at all.

    Raises
    ------
    ReportError
        If the header has a number that is not finite, a value that JSON does not have, or a key of
        the format.
    """
    path = Path(path)
    if taken := [key for key in _RESERVED if key in header]:
        raise ReportError(
            f"the header keys {', '.join(taken)} are reserved", expected="other names"
        )
    content = {"format": FORMAT, "version": VERSION, **header, "rows": [asdict(r) for r in rows]}
    try:
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ReportError(
            f"the header of the report cannot be written as JSON ({error})",
            expected="strings, finite numbers, lists and mappings",
            fix="convert the values first",
        ) from error
    write_text(path, text + "\n")
    return path


def read_json(path: str | Path) -> tuple[list[Row], dict[str, Any]]:
    """Read a file of `write_json`: (rows, header).

    Raises
    ------
    ReportError
        If the file is missing, is not JSON, is no report, or is of a newer version.
    """
    name = f"the file {path}"
    fix = "pass the report.json that `anymic evaluate` wrote"
    content = reading.read_json(Path(path), ReportError, expected=_WANTED, fix=fix)
    if content.get("format") != FORMAT:
        raise ReportError(f"{name} is not a report of anymic", expected=_WANTED, fix=fix)
    if content.get("version") != VERSION:
        raise ReportError(
            f"{name} has version {content.get('version')}",
            expected=f"version {VERSION}",
            fix="install the anymic that wrote it, or a newer one",
        )
    with reading.parsing(
        f"the rows of {path}", ReportError, expected="rows as anymic writes them", fix=fix
    ):
        rows = [from_mapping(Row, values) for values in content["rows"]]
    return rows, {key: value for key, value in content.items() if key not in _RESERVED}
