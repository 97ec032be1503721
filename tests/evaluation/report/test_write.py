from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest

from anymic.data.manifest import Manifest
from anymic.errors import Failure
from anymic.evaluation.report import (
    ReportError,
    ReportFigure,
    Row,
    compare,
    evaluate,
    read_json,
    write_report,
)
from anymic.evaluation.report.evaluation import selective_rows
from anymic.evaluation.report.figures import accuracy_by_device
from anymic.evaluation.report.scored import ScoredClips
from anymic.evaluation.result import Evaluation

Attributes: TypeAlias = list[tuple[str, str | None]]
Written: TypeAlias = tuple[list[Row], dict[str, Path], Path]
LINKS = ("src", "href", "xlink:href")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects what a page holds, and fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in LINKS]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.links += [value or "" for name, value in attrs if name in LINKS]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    random = np.random.default_rng(0)
    t = np.tile(random.integers(3, size=60), 2)
    p = random.dirichlet(np.ones(3), size=120) * 0.6 + 0.4 * np.eye(3)[t]
    folder = tmp_path_factory.mktemp("report")
    labels = ("bus", "<b>park</b>", "tram & metro")
    columns: dict[str, Any] = {
        "path": [f"{clip}.wav" for clip in range(120)],
        "label": [labels[number] for number in t],
        "device": np.repeat(["A", "<i>B</i>"], 60),
        "group": [f"recording {clip // 2}" for clip in range(60)] * 2,
    }
    scored = ScoredClips.of(p, t, columns["device"], columns["group"])
    rows = evaluate(p, t, labels=labels, devices=scored.devices, groups=scored.recordings)
    rows += selective_rows(scored)
    evaluation = Evaluation(
        rows=tuple(rows),
        labels=labels,
        probabilities=p,
        targets=t,
        clips=Manifest.from_table(pd.DataFrame(columns), folder),
        failures=(Failure("<u>broken</u>.wav", "The file has 0 bytes. Expected audio."),),
        device_policies="",
        facts={"data": "sha256 ab"},
        title="An <em>evaluation</em>",
        profile=None,
    )
    return rows, evaluation.write(folder, command="anymic evaluate 'my run' --data a.csv"), folder


def test_everything_lies_where_the_answer_says(written: Written) -> None:
    rows, paths, folder = written
    assert paths["json"] == folder / "report.json"
    assert paths["html"] == folder / "report.html"
    names = {"accuracy_by_device", "accuracy_by_class", "confusion"}
    names |= {"reliability", "accuracy_over_coverage"}
    assert set(paths) == {"json", "html"} | names
    for name in names:
        assert paths[name].read_bytes().startswith(b"\x89PNG")
    assert read_json(paths["json"])[0] == rows


def test_the_json_says_what_was_run_and_what_failed(written: Written) -> None:
    header = read_json(written[1]["json"])[1]
    assert header["command"] == "anymic evaluate 'my run' --data a.csv"
    assert header["clips"] == 120
    assert header["recordings"] == 30
    assert header["versions"]["numpy"] == np.__version__
    assert header["failures"] == [
        {"path": "<u>broken</u>.wav", "reason": "The file has 0 bytes. Expected audio."}
    ]
    assert np.sum(header["confusion"]["counts"]) == 120


def test_the_page_is_whole_and_stands_alone(written: Written) -> None:
    page = Page(written[1]["html"].read_text())
    assert page.tags.count("svg") == 5
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(link.startswith(("#", "data:")) for link in page.links)
    text = written[1]["html"].read_text()
    assert "://" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_names_cannot_become_markup(written: Written) -> None:
    page = Page(written[1]["html"].read_text())
    assert not {"b", "i", "u", "em"} & set(page.tags)
    for name in ("<b>park</b>", "<i>B</i>", "<u>broken</u>.wav", "An <em>evaluation</em>"):
        assert name in page.text


def test_the_page_shows_the_finding_the_numbers_and_the_run(written: Written) -> None:
    rows, paths, _ = written
    page = Page(paths["html"].read_text())
    summary = json.loads(paths["json"].read_text())["summary"]
    assert summary.split(".")[0] in page.text.replace("\u00a0", " ").replace("\u2212", "-")
    for part in (
        "1 file could not be used",
        "anymic evaluate 'my run' --data a.csv",
        "sha256 ab",
        "30",
        "1000 resamples, seed 0",
        "Wilson",
        "15 bins",
        "Accuracy when so many clips are answered",
    ):
        assert part in page.text
    (overall,) = [row for row in rows if row.metric == "log_loss" and not row.condition]
    assert f"{overall.value:.3f}" in page.text


def test_what_was_run_is_a_table_without_what_is_not_set(tmp_path: Path) -> None:
    settings = {"network": "basic1", "loss_weights": None, "standardize": True, "sizes": [1, 2]}
    many = {f"setting_{number}": number for number in range(12)}
    header = {"command": "x", "fold": None, "training": {**settings, "optimizer": many}}
    paths = write_report(tmp_path, [], title="t", header={**header, "clips": {"A": 3, "B": 4}})
    table = re.search(r'<table class="facts">(.*?)</table>', paths["html"].read_text(), re.DOTALL)
    assert table is not None
    cells = re.findall(r"padding-left:([\d.]+)rem\">(.*?)</th><td>(.*?)</td>", table[1])
    assert cells[:5] == [
        ("0.0", "training", ""),
        ("1.25", "network", "basic1"),
        ("1.25", "standardize", "yes"),
        ("1.25", "sizes", "1, 2"),
        ("1.25", "optimizer", ""),
    ]
    assert cells[5] == ("2.5", "setting 0", "0")
    assert cells[-1] == ("0.0", "clips", "A 3, B 4")
    assert read_json(paths["json"])[1]["training"]["loss_weights"] is None


def test_the_same_numbers_give_the_same_page(tmp_path: Path) -> None:
    rows = [Row({"device": "A"}, "accuracy", 0.5, 0.4, 0.6, 10)]

    def text(folder: Path) -> str:
        figure = ReportFigure("accuracy", accuracy_by_device(rows), "Devices", "A caption.")
        paths = write_report(folder, rows, title="t", figures=[figure], header={"seed": 1})
        return paths["html"].read_text()

    assert text(tmp_path / "one") == text(tmp_path / "two")


def test_conditions_are_compared_in_one_table(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    t = random.integers(2, size=40)
    devices = np.repeat(["A", "B"], 20)
    rows, correct = [], {}
    for name, share in (("none", 0.3), ("geometric", 0.8)):
        p = share * np.eye(2)[t] + (1 - share) * random.dirichlet(np.ones(2), size=40)
        rows += [r.under(correction=name) for r in evaluate(p, t, labels="xy", devices=devices)]
        correct[name] = p.argmax(axis=1) == t
    rows += compare(correct, against="none", key="correction", devices=devices)
    page = Page(write_report(tmp_path, rows, title="Two")["html"].read_text())
    assert "Accuracy by condition" in page.text
    assert "Accuracy by device: geometric" in page.text


def test_an_empty_report_still_says_what_failed(tmp_path: Path) -> None:
    failures = [Failure(f"{i}.wav", "No file.") for i in range(30)]
    page = Page(write_report(tmp_path, [], title="None", failures=failures)["html"].read_text())
    assert "30 files could not be used" in page.text


def test_nothing_is_written_that_is_not_a_number(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cannot be written as JSON"):
        write_report(tmp_path / "new", [], title="x", header={"loss": float("nan")})
    assert not (tmp_path / "new").exists()


def test_two_figures_of_one_name_are_refused(tmp_path: Path) -> None:
    figure = ReportFigure("same", accuracy_by_device([]), "Devices")
    with pytest.raises(ReportError, match="different names"):
        write_report(tmp_path, [], title="x", figures=[figure, figure])
