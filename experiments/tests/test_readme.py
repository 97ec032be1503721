"""The paper that the README adds, built from its blocks and run on a miniature corpus."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import anymic_experiments
from anymic_experiments.commands import Command, read_settings
from anymic_experiments.conditions import Grid
from anymic_experiments.experiment import Experiment, Paper, on_simulated_devices

README = Path(__file__).parents[1] / "README.md"


def block(name: str) -> str:
    text = README.read_text(encoding="utf-8")
    ahead = rf"`{re.escape(name)}`:\n\n```\w*\n(.*?)\n```\n"
    (found,) = re.findall(ahead, text, re.DOTALL)
    return str(found) + "\n"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "papers" / "mine2026"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    for name in ("grid.yaml", "published.csv", "page.md.j2", "analysis.py"):
        (folder / name).write_text(block(name))
    places = [*anymic_experiments.__path__, str(folder.parent)]
    monkeypatch.setattr(anymic_experiments, "__path__", places)
    yield folder
    sys.modules.pop("anymic_experiments.mine2026", None)
    sys.modules.pop("anymic_experiments.mine2026.analysis", None)


def test_the_paper_of_the_readme_runs(mine: Path, miniature_tau: Path, tmp_path: Path) -> None:
    assert read_settings(Command, mine, key="command").parts[0].table == 1
    module = importlib.import_module("anymic_experiments.mine2026.analysis")
    paper = Paper(mine, Grid.read(mine), module.SECTIONS, on_simulated_devices)
    experiment = Experiment(
        replace(paper.grid, seeds=1, changes={"epochs": 1, "batch_size": 8}),
        out=tmp_path / "out",
        data=(miniature_tau,),
        workers=1,
        progress=False,
    )
    _, text = paper.run(experiment, page_folder=tmp_path / "page", command="anymic x")
    assert "| normalized | " in text
    assert " | 72.5 |" in text
    assert (tmp_path / "page" / "mine2026.md").read_text() == text
