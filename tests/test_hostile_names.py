"""Names and labels that act on a terminal, a page, a figure or a path: shown, and nothing more."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from rich.console import Console

from anymic._internal import progress
from anymic._internal.terminal import cell, print_line
from anymic.audio import Clip
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import AnymicError, Failure, readable, visible
from anymic.evaluation.report import figures
from anymic.evaluation.report.escaping import in_markdown
from anymic.evaluation.report.features import features_figure
from anymic.evaluation.report.rows import Row
from anymic.evaluation.report.scored import ScoredClips
from anymic.evaluation.report.style import inline_svg, save_png
from anymic.evaluation.report.tables import Table, rich_table
from anymic.evaluation.report.write import write_report
from anymic.evaluation.robustness.conditions import Condition
from anymic.evaluation.robustness.figures import heat_map
from anymic.evaluation.robustness.measure import robustness
from anymic.evaluation.robustness.page import write_page
from anymic.metrics import Interval

RATE_HZ = 8000
HOSTILE = {
    "title": "\x1b]0;owned\x07",
    "colour": "\x1b[31mred",
    "one byte": "\x9b31mred",
    "return": "good\rbad",
    "backspace": "bad\b\b\bgood",
    "right to left": "exe.\u202ewav",
    "half a pair": "caf\udce9",
    "line separator": "a\u2028b",
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "link": "[click](javascript:alert(1))",
    "cell": "a | b |\n| c",
    "closing markup": "[/x]",
    "markup": "[bold red]x[/bold red] :smile:",
    "backslash": "x\\",
    "two dollars": "a$b$",
    "mathematics": "$\\frac{",
    "template": "{{ 7 * 7 }}{% raw %}{x}",
    "formula": '=HYPERLINK("x")',
    "at": "@SUM(1)",
    "parent": "../../up",
    "nothing": "a\0b",
    "code": "a`b``c```",
    "very long": "long " * 60,
}
SHOWN = 6  # labels of a figure, so that its legend has room
EVERY = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ud800-\udfff]")


@EVERY
def test_a_line_for_the_terminal_acts_on_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_line(f"{name}\tx".replace("\udce9", ""))
    text = capsys.readouterr().out
    assert not ACTING.search(text)
    assert text.isascii()
    message = str(AnymicError(f"no file {name}", expected=name, fix=f"read {name}"))
    assert not ACTING.search(message)
    assert "\n" not in message


def test_text_of_every_language_stays_as_it_is() -> None:
    for text in ("Köln, Straße", "日本語の音", "क\u200cष", "👩\u200d🔬", "10\u00a0kHz", "a\u2003b"):
        assert visible(text) == text


def test_a_long_value_is_cut() -> None:
    assert len(readable("x" * 10**6)) < 300
    assert len(readable("x " * 10**6)) < 2000


@EVERY
def test_a_table_shows_a_cell_as_it_is(name: str) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    console.print(rich_table(Table((name, "n"), ((name, "1"),), name)))
    shown = stream.getvalue()
    assert not ACTING.search(shown)
    if len(name) < 100:  # longer ones continue on the next line
        for line in visible(name, kept="\n").split("\n"):
            assert shown.count(line.strip()) >= 3
    assert cell(name).plain == visible(name, kept="\n")


@EVERY
def test_a_progress_bar_shows_what_it_is_doing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "dumb")
    assert list(progress.track([1, 2], 2, name)) == [1, 2]


class _Tags(HTMLParser):
    """Collect the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def _rows(name: str) -> list[Row]:
    return [
        Row(condition, "accuracy", 0.5, 0.1, 0.9, 4)
        for condition in ({}, {"device": name}, {"device": "B"}, {"label": name}, {"label": "b"})
    ]


@EVERY
def test_a_report_holds_no_tag_of_a_label(name: str, tmp_path: Path) -> None:
    pages = []
    for number, text in enumerate((name, "plain")):
        folder = tmp_path / str(number)
        failures = [Failure(text, text)]
        paths = write_report(
            folder, _rows(text), title=text, header={"command": text, "x": text}, failures=failures
        )
        pages.append(paths["html"].read_text(encoding="utf-8"))
        found = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert found["failures"]
    assert _Tags(pages[0]).tags == _Tags(pages[1]).tags
    assert not ACTING.search(pages[0])


def _draw(names: Sequence[str]) -> list[Callable[[], Any]]:
    rows = [row for name in names for row in _rows(name)]
    clips = 8 * len(names)
    features, half = np.random.default_rng(0).normal(size=(clips, 3)), np.arange(clips) % 2 < 1
    each = [name for name in names for _ in range(8)]
    probabilities = np.tile([[0.7, 0.3], [0.4, 0.6]], (clips // 2, 1))
    scored = ScoredClips.of(probabilities, [0, 1] * (clips // 2), each)
    gains = DeviceGains(np.ones(9), 3, np.zeros(9))
    devices = dict.fromkeys([*names, "other"], gains)
    profile = DeviceProfile(16000, 16, (names[0],), "ratio_of_means", devices, hop_samples=8)
    conditions = [Condition(), *(Condition(device=name) for name in names)]
    accuracies = [Interval(0.5, 0.4, 0.6, 4)] * len(conditions)
    return [
        lambda: features_figure(features, training=half, test=~half, labels=each, devices=each),
        lambda: figures.reliability(scored),
        lambda: figures.gains_figure(profile),
        lambda: heat_map(conditions, accuracies, accuracies),
        lambda: figures.accuracy_over_coverage(scored),
        lambda: figures.accuracy_by_device(rows),
        lambda: figures.accuracy_by_class(rows),
        lambda: figures.confusion(np.eye(len(names), dtype=int), names),
    ]


@pytest.mark.parametrize("kind", range(len(_draw(["a"]))))
@pytest.mark.parametrize("first", range(0, len(HOSTILE), SHOWN))
def test_a_figure_writes_labels_as_they_are(kind: int, first: int, tmp_path: Path) -> None:
    names = [*HOSTILE.values()][first : first + SHOWN]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # between matplotlib and pyparsing
        figure = _draw(names)[kind]()
        save_png(figure, tmp_path / "figure.png")
        markup = inline_svg(figure, label=" ".join(names))
    assert not ACTING.search(markup)
    assert _Tags(markup).tags.count("script") == 0
    for name in names:
        if "$" in name:
            assert visible(name) in markup  # not as mathematics


@EVERY
def test_a_line_of_markdown_is_one_line_without_tags_and_cells(name: str) -> None:
    text = in_markdown(name)
    assert "<" not in text
    assert "\n" not in text
    assert not ACTING.search(text)
    assert not re.search(r"(?<!\\)[|`*]|(?<!\\)\]\(", text)


@EVERY
def test_a_manifest_returns_every_label(name: str, tmp_path: Path) -> None:
    if "\0" in name or "\udce9" in name:
        return  # which manifests refuse
    table = pd.DataFrame({"path": ["x.wav", "y.wav"], "label": [name, "other"]})
    written = Manifest.from_table(table, tmp_path).write(tmp_path / "m.csv")
    with written.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[1] for row in rows[1:]] == [name, "other"]
    assert list(Manifest.read(written).table["label"]) == [name, "other"]


@pytest.fixture
def clips(tmp_path: Path) -> Manifest:
    generator = np.random.default_rng(0)
    for number in range(4):
        noise = generator.normal(scale=0.1, size=RATE_HZ)
        soundfile.write(tmp_path / f"{number}.wav", noise, RATE_HZ)
    table = pd.DataFrame(
        {"path": [f"{number}.wav" for number in range(4)], "label": ["low", "high"] * 2}
    )
    return Manifest.from_table(table, tmp_path, name="clips")


class Coin:
    """A classifier that does not know."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def classify(self, clips: Sequence[Clip], devices: Sequence[str | None]) -> list[Any]:
        return [np.array([0.5, 0.5])] * len(clips)


@EVERY
def test_a_page_of_markdown_has_the_lines_of_any_other(
    name: str, clips: Manifest, tmp_path: Path
) -> None:
    if "\0" in name or "\udce9" in name:
        return  # which manifests refuse

    pages = []
    for number, text in enumerate((name, "plain")):
        renamed = clips.with_columns(label=[text, "other"] * 2)
        found = robustness(Coin((text, "other")), renamed, codecs=[Codec("mu-law")])
        found = replace(found, model_name=text, clips_name=text, warning=text)
        page, _ = write_page(found, tmp_path / str(number), about=text, command=f"anymic {text}")
        pages.append(page.read_text(encoding="utf-8"))
    assert "<script" not in pages[0]
    assert "<img" not in pages[0]
    assert not ACTING.search(pages[0])
    tables = [[line for line in page.splitlines() if line.startswith("|")] for page in pages]
    cells = [[len(re.split(r"(?<!\\)\|", line)) for line in table] for table in tables]
    if "\n" not in name:  # in a description, which may be a table
        assert cells[0] == cells[1]


@EVERY
def test_predict_prints_names_of_files_as_text(
    name: str, small_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "\0" in name or "\udce9" in name or len(name) > 200:
        return  # no names of files, and one that test_streams.py prints
    small_bundle.save(tmp_path / "model")
    place = tmp_path / (name.replace("/", "_") + ".wav")
    soundfile.write(tmp_path / "plain.wav", np.full(RATE_HZ, 0.1), RATE_HZ)
    (tmp_path / "plain.wav").rename(place)
    missing = tmp_path / (name.replace("/", "_") + ".missing")
    status = main(["predict", str(place), str(missing), "--model", str(tmp_path / "model")])
    shown = capsys.readouterr()
    assert status == 1
    assert not ACTING.search(shown.out + shown.err)
    assert len(shown.out.splitlines()) == 2
    json_status = main(["predict", str(place), "--model", str(tmp_path / "model"), "--json"])
    assert json_status == 0
    assert json.loads(capsys.readouterr().out)[0]["path"] == str(place)


@EVERY
def test_an_argument_is_repeated_as_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["predict", "x.wav", "--model", name], [name], ["data", "show", name]):
        assert main(arguments) == 2
        shown = capsys.readouterr()
        assert not ACTING.search(shown.out + shown.err)
        assert len(shown.err.splitlines()) == 1
