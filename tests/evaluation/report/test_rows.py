from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymic.evaluation.report.rows import ReportError, Row, read_json, select, write_json

ROWS = [
    Row({"device": "A"}, "accuracy", 0.75, 0.7, 0.8, 320),
    Row({}, "parameters", 70954, None, None, 1),
]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = write_json(ROWS, tmp_path / "deep" / "report.json", seed=3, labels=["bus", "métro"])
    assert read_json(path) == (ROWS, {"seed": 3, "labels": ["bus", "métro"]})
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]


def test_the_file_has_the_published_form(tmp_path: Path) -> None:
    content = json.loads(write_json(ROWS, tmp_path / "report.json", seed=3).read_text())
    assert content["format"] == "anymic-report"
    assert content["version"] == 1
    assert content["rows"][0] == {
        "condition": {"device": "A"},
        "metric": "accuracy",
        "value": 0.75,
        "low": 0.7,
        "high": 0.8,
        "n": 320,
    }


def test_select_takes_conditions_with_exactly_the_keys() -> None:
    rows = [ROWS[0].under(correction="none"), ROWS[0]]
    assert select(rows, "accuracy", "device") == [ROWS[0]]
    assert select(rows, "accuracy", "device", "correction") == [rows[0]]


@pytest.mark.parametrize(
    ("value", "low", "high", "n"),
    [
        (float("nan"), None, None, 3),
        (0.5, float("-inf"), 0.6, 3),
        (0.5, 0.4, None, 3),
        (0.5, 0.4, 0.6, 0),
    ],
)
def test_a_row_is_finite_and_of_some_clips(
    value: float, low: float | None, high: float | None, n: int
) -> None:
    with pytest.raises(ReportError, match="finite numbers from at least one clip"):
        Row({}, "accuracy", value, low, high, n)


def test_a_header_that_json_cannot_hold_leaves_the_old_report(tmp_path: Path) -> None:
    path = write_json(ROWS, tmp_path / "report.json")
    before = path.read_bytes()
    with pytest.raises(ReportError, match="cannot be written as JSON"):
        write_json(ROWS, path, loss=float("nan"))
    with pytest.raises(ReportError, match="header keys version"):
        write_json(ROWS, path, version="2")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        (
            '{"format": "anymic-report", "version": 1, "rows": [], "x": NaN}',
            "the number nan, which is not finite",
        ),
        ("[]", "not a report of anymic"),
        ('{"format": "other"}', "not a report of anymic"),
        ('{"format": "anymic-report", "version": 2, "rows": []}', "Install the anymic"),
        (
            '{"format": "anymic-report", "version": 1, "rows": [{"metric": "x"}]}',
            "missing key",
        ),
        ('{"format": "anymic-report", "version": 1}', "The rows of .*no 'rows'"),
    ],
)
def test_foreign_files_are_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ReportError, match=said) as refused:
        read_json(path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cannot be read"):
        read_json(tmp_path / "nothing.json")
