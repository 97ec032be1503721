"""The files that a paper is made of: what is wrong with one is said in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anymic.cli import main
from anymic.errors import ConfigError
from anymic.evaluation.report import read_json
from anymic.evaluation.report.rows import Row
from anymic.training import load_config
from anymic_experiments.clips import Clips
from anymic_experiments.commands import ROOT, Command, Part, Scale, papers, read_settings
from anymic_experiments.conditions import Grid
from anymic_experiments.experiment import Experiment, Paper
from anymic_experiments.findings import Findings, Published
from anymic_experiments.page import Page, Section

GRID = """title: A paper
command:
  about: Reproduce a paper.
  corpus: devices
  parts: [{name: table, table: 1}]
presets: {paper: kosmider2019, small: kosmider2019-small}
factors:
  network:
    basic1: {settings: {network: basic1}}
    basic2: {settings: {network: basic2}, scales: [paper]}
  correction:
    without: {name: "", settings: {correction: null}}
    with: {name: correction, settings: {correction.reference: [A]}, small: {epochs: 3}}
seed_factors: [network]
grids:
  table:
    - {network: [basic1, basic2], correction: [without, with]}
"""


def grid(folder: Path, text: str = GRID) -> Grid:
    (folder / "grid.yaml").write_text(text)
    return Grid.read(folder)


def test_conditions_are_every_combination_of_levels(tmp_path: Path) -> None:
    found = grid(tmp_path)
    paper = found.conditions("table", scale="paper")
    assert [one.name for one in paper] == [
        *("basic1", "basic1, correction", "basic2", "basic2, correction")
    ]
    assert [one.config.epochs for one in paper] == [500] * 4
    assert [one.seeded(3).seed for one in paper] == [6, 6, 7, 7]
    small = found.conditions("table", scale="small")
    assert [(one.name, one.config.epochs) for one in small] == [
        ("basic1", 30),
        ("basic1, correction", 3),
    ]
    assert small[1].config.correction is not None
    assert small[1].config.correction.reference == ("A",)
    assert found.conditions("table", "table", scale="small") == small


def test_runs_are_whole_seeds_one_after_the_other(tmp_path: Path) -> None:
    folds = [Path("1.csv"), Path("2.csv")]
    runs = grid(tmp_path).runs("table", folds=folds, seeds=(0, 1), scale="paper")
    assert len(runs) == 4 * 2 * 2
    assert [run.manifest for run in runs] == 2 * (4 * folds[:1] + 4 * folds[1:])
    assert [run.config.seed for run in runs] == 2 * [0, 0, 1, 1] + 2 * [2, 2, 3, 3]


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("title:", "titel:", r"grid\.yaml: unknown key 'titel' \(did you mean 'title'\?\)"),
        ("corpus: devices", "corpus: films", "grid.yaml: command.corpus: 'films' is not one of"),
        ("table: 1", "table: one", "grid.yaml: command.parts.table: 'one' is not a whole number"),
        ("factors:", "factors: [", r"grid.yaml cannot be read .*line "),
        ("[without, with]", "[without, half]", "grid.yaml: grids.table: no correction half"),
        ("{epochs: 3}", "[3]", r"grid.yaml: factors.correction.with.small: \[3\] is not a mapping"),
    ],
)
def test_a_mistake_in_a_grid_file_is_one_line(
    wrong: str, right: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        grid(tmp_path, GRID.replace(wrong, right))
    assert "\n" not in str(error.value)


def test_a_setting_that_training_does_not_have_names_the_condition(tmp_path: Path) -> None:
    found = grid(tmp_path, GRID.replace("{epochs: 3}", "{epochen: 3}"))
    with pytest.raises(ConfigError, match=r"grid.yaml of A paper, basic1, correction: .*'epochen'"):
        found.conditions("table", scale="small")


@pytest.mark.parametrize(
    ("template", "line", "said"),
    [
        ("{% macro table(n) %}\n{% if n %}\n{% endmacro %}\n", 3, "endmacro"),
        ("{% macro table(n) %}\ntwo\n{{ m }}\n{% endmacro %}\n", 3, "'m' is undefined"),
        ("{% macro table(n) %}\n{{ n | percents }}\n{% endmacro %}\n", 2, "percents"),
        ("{% macro table(n) %}\n\n\n{{ n + 'x' }}\n{% endmacro %}\n", 4, "unsupported operand"),
        ("{% macro tables(n) %}\n{{ n }}\n{% endmacro %}\n", 1, "table"),
        ("{% macro table(m) %}\n{% endmacro %}\n", 1, "takes no keyword argument 'n'"),
    ],
)
def test_a_mistake_in_a_template_is_one_line(
    template: str, line: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "page.md.j2").write_text(template)
    with pytest.raises(ConfigError, match=f"page.md.j2, line {line}: .*{said}") as error:
        Page(tmp_path).text("table", n=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", sorted(ROOT.glob("*/changed.md")), ids=lambda one: one.parent.name)
def test_what_changed_is_on_the_page_of_the_runs_that_it_is_of_alone(file: Path) -> None:
    first, text = file.read_text(encoding="utf-8").split("\n", 1)
    facts: dict[str, Any] = {"scale": "small", "clips": Clips("esc10")}
    facts["simulated"] = "simulated" in first
    seeds = {"seeds": (1, [2])}
    for own in (facts, {**facts, "differences": seeds}):
        assert Page(file.parent, **own).changed() == f"## What changed\n\n{text.strip()}\n\n"
    others: tuple[dict[str, Any], ...] = (
        {"scale": "paper"},
        {"scale": "pretrained", "clips": Clips("esc50")},
        {"clips": Clips("fsdkaggle2018")},
        {"clips": Clips()},
        {"simulated": not facts["simulated"]},
        {"differences": {**seeds, "epochs": (1, [30])}},
    )
    for other in others:
        assert Page(file.parent, **{**facts, **other}).changed() == ""


def test_what_changed_stands_between_the_introduction_and_the_first_section(
    tmp_path: Path,
) -> None:
    parts = ("introduction", "table", "decisions")
    macros = {name: f"{{% macro {name}(found) %}}\n# {name}\n{{% endmacro %}}\n" for name in parts}
    (tmp_path / "page.md.j2").write_text(
        "".join(macros.values()).replace("decisions(found)", "decisions()")
    )
    (tmp_path / "changed.md").write_text("<!-- small, esc10 -->\nEverything.\n")
    sections = [Section("table", Findings([Row({}, "accuracy", 0.5, 0.4, 0.6, 9)]))]
    for scale, wanted in (("small", ["What changed"]), ("paper", [])):
        page = Page(tmp_path, name="paper", scale=scale, clips=Clips("esc10"))
        _, text = page.write(
            sections,
            tmp_path / scale,
            folder=None,
            title="A paper",
            introduction={"found": None},
            command="",
            seeds=[0],
        )
        headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
        assert headings == ["introduction", *wanted, "table", "decisions"]


def test_what_changed_says_which_runs_it_is_of(tmp_path: Path) -> None:
    (tmp_path / "page.md.j2").write_text("")
    assert Page(tmp_path, scale="small").changed() == ""
    (tmp_path / "changed.md").write_text("Everything changed.\n")
    with pytest.raises(ConfigError, match=r"changed\.md, line 1: .*such as <!-- small, esc10 -->"):
        Page(tmp_path, scale="small").changed()


def test_published_figures_are_read_by_table_row_and_column(tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    file.write_text('table,row,column,value\n2,"A, loud",10,0.5\n2,B,10,-3\n3,B,10,7\n')
    found = Published.read(tmp_path)
    assert found.of("2", "A, loud", 10) == 0.5
    assert found.maybe("2", "A, loud", 20) is None
    assert found.rows("2") == ["A, loud", "B"]
    assert Published.read(tmp_path / "none").values == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("table,row,value\n", 1),
        ("table,row,column,value\n2,A,10,many\n", 2),
        ("table,row,column,value\n2,A,10,1\n2,A,10,2\n", 3),
        ("table,row,column,value\n2,A,1\n", 2),
    ],
)
def test_a_mistake_in_published_figures_is_one_line(text: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "published.csv").write_text(text)
    with pytest.raises(ConfigError, match=f"published.csv, line {line}: ") as error:
        Published.read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [folder.name for folder in papers().values()])
def test_every_paper_is_whole(name: str) -> None:
    paper = Paper.read(name)
    # the page has them in an order of its own: results first
    assert sorted(paper.sections) == sorted(part.name for part in paper.grid.command.parts)
    scales: list[Scale] = list(paper.grid.command.scales) or ["small"]
    assert set(paper.grid.presets) == set(scales)
    for scale in scales:
        for grid_name in paper.grid.grids:
            assert paper.grid.conditions(grid_name, scale=scale)
        base = load_config(paper.grid.presets[scale])
        assert Page(ROOT / name, scale=scale, grid=paper.grid, base=base).text("decisions")


def test_options_choose_parts() -> None:
    parts = (
        Part("one", table=2, figure=3),
        Part("two", experiment="B"),
        Part("three", flag="fast"),
    )
    command = Command(about="", corpus="clips", parts=parts)
    assert command.chosen({"fast": True, "figure": ["3"], "table": None}) == ("one", "three")
    assert command.chosen({"experiment": ["b"], "fast": False}) == ("two",)
    assert command.chosen({}) == ()
    with pytest.raises(ConfigError, match=r"--table is 3.*--table 2"):
        command.chosen({"table": ["3"]})


def test_a_command_is_read_without_the_rest_of_the_grid(tmp_path: Path) -> None:
    shutil.copy(ROOT / "nguyen2020" / "grid.yaml", tmp_path)
    assert read_settings(Command, tmp_path, key="command").corpus == "devices"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--scale", "large"], "--scale is large"),
        (["--table", "1"], "--table is 1"),
        (["--data", "a.csv", "--esc50", "e", "--responses", "r"], "choice of data is unclear"),
        (["--esc50", "e"], "choice of data is unclear"),
        ([], "There is no data"),
        (["--data", "a.csv", "--set", "folds=0"], "--set folds=0: folds is 0. Expected 1 or more"),
        (["--data", "a.csv", "--set", "folds=x"], "--set folds=x: folds: 'x' is not a whole"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "nguyen2020", "--out", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("raised", [ConfigError, KeyboardInterrupt])
def test_what_is_done_is_in_the_report_when_a_later_part_fails(
    tmp_path: Path, raised: type[BaseException]
) -> None:
    known = Row({"table": "2", "line": "all four"}, "mean_average_precision_at_3", 0.5, 0.4, 0.6, 9)

    def done(_: Experiment[Grid]) -> Iterator[Section]:
        yield Section(
            "table",
            Findings([known]),
            {"table": "2", "lines": [("all four", 0.9, "")], "used": 4, "trained": 4},
        )

    def fails(_: Experiment[Grid]) -> Iterator[Section]:
        raise raised("the second part fails")

    paper = Paper.read("xu2018")
    paper = replace(paper, sections={"table 2": done, "table 3": fails}, prepare=lambda one: one)
    asked = ("table 2", "table 3")
    ours = Experiment(paper.grid, out=tmp_path / "out", data=(), asked=asked)
    page = tmp_path / "page" / "xu2018.md"
    said = f"Table 3: the second part fails.*is in {page}" if raised is ConfigError else "fails"
    with pytest.raises(raised, match=said):
        paper.run(ours, page_folder=page.parent, command="anymic reproduce xu2018")
    rows, _ = read_json(tmp_path / "out" / "xu2018" / "report.json")
    assert rows == [known]
    text = page.read_text(encoding="utf-8")
    assert "| all four | 0.500" in text
    assert "\nNot finished: table 3, agreement.\n" in text
