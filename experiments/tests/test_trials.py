"""Settings of a recipe that are changed: what a change means, and what is refused and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anymic.errors import ConfigError
from anymic.training import load_config
from anymic_experiments.clips import Clips
from anymic_experiments.commands import ROOT, Scale, papers
from anymic_experiments.experiment import Paper
from anymic_experiments.page import Page, number_formats

RECIPES = [folder.name for folder in papers().values() if folder.name != "pretrained"]
# every recipe at each of its scales
CASES: list[tuple[str, Scale]] = [
    (name, scale)
    for name in RECIPES
    for scale in ("paper", "small")
    if scale in Paper.read(name).grid.presets
]


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_epochs_seeds_and_folds_are_settings_of_every_recipe(name: str, scale: Scale) -> None:
    paper = Paper.read(name)
    grid = paper.changed(scale, {"epochs": 2, "seeds": 1, "folds": 1})
    assert (grid.seeds, grid.folds) == (1, 1)
    trained = grid.conditions(*grid.grids, scale=scale)
    assert {one.config.epochs for one in trained} <= {2}
    assert len(trained) == len(paper.grid.conditions(*paper.grid.grids, scale=scale))
    differences = grid.differences(paper.grid, scale)
    changed = {key: value for key, (value, _) in differences.items()}
    assert set(changed.values()) <= {1, 2}
    epochs = {key for key in changed if "epochs" in key}
    assert epochs  # every setting of epochs that the recipe has
    assert set(changed) == epochs | {"folds", *(["seeds"] if paper.grid.seeds != 1 else [])}
    assert paper.changed(scale, {}) == paper.grid
    assert not paper.grid.differences(paper.grid, scale)


def test_a_recipe_with_several_epochs_changes_all_of_them() -> None:
    xu = Paper.read("xu2018").changed("paper", {"epochs": 3, "width": 0.5})
    size = xu.sizes["paper"]  # type: ignore[attr-defined]
    assert (size.extractor_epochs, size.head_epochs, size.width) == (3, 3, 0.5)
    peters = Paper.read("peters2022").changed("small", {"epochs": 3})
    assert (peters.table_epochs, peters.segment_epochs) == (3, 3)  # type: ignore[attr-defined]


def test_what_is_compared_is_not_changed() -> None:
    kosmider = Paper.read("kosmider2019").changed("paper", {"mixup.share": 0.9})
    mixed = {one.config.mixup and one.config.mixup.share
             for one in kosmider.conditions("table", scale="paper")}  # fmt: skip
    assert mixed == {0.9, None}  # lines without augmentation stay so


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("nguyen2020", {"temperature": 3}, "The recipe itself sets temperature"),
        ("nguyen2020", {"correction.estimator": "geometric"}, "itself sets correction.estimator"),
        ("kosmider2019", {"network": "basic2"}, "The recipe itself sets network"),
        ("kosmider2019", {"seed": 2}, "seed.*seeds is the number of seeds"),
        ("nguyen2020", {"members": 2}, "no setting members. Expected one of seeds, folds, "),
        ("kosmider2019", {"epochs": 0}, "epochs is 0"),
        ("kosmider2019", {"seeds": 0}, "Seeds is 0. Expected 1 or more"),
        ("kosmider2019", {"members": 0}, "Members is 0. Expected 1 or more"),
        ("xu2018", {"epochs": "many"}, "'many' is not a whole number"),
        ("peters2022", {"frontend.band": 3}, "did you mean 'bands'"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    name: str, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        Paper.read(name).changed("paper", changes)


def test_a_page_says_what_is_not_as_the_recipe(tmp_path: Path) -> None:
    paper = Paper.read("nguyen2020")
    grid = paper.changed("small", {"epochs": 2, "folds": 1, "mixup": None})
    page = Page(ROOT / "nguyen2020", differences=grid.differences(paper.grid, "small"))
    notes = page.notes(missing=["calibration"])
    assert "`folds` is 1, in the recipe all; " in notes
    assert "`epochs` is 2, in the recipe 30 or 45 or 60; " in notes
    assert "Not finished: calibration." in notes
    assert Page(ROOT / "nguyen2020").notes(missing=()) == ""


def test_a_page_names_the_number_formats_of_the_trainings(tmp_path: Path) -> None:
    """Those of a member count too; a model that was not trained here has none."""
    records: dict[str, dict[str, object]] = {
        "a": {"training": {"precision": "bf16-mixed"}},
        "a/members/00": {"training": {"precision": "32-true"}},
        "b": {"training": {"precision": "bf16-mixed"}},
        "imported": {"training": {}},
    }
    assert number_formats(tmp_path) == ""
    for name, record in records.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "bundle.json").write_text(json.dumps(record))
    said = "Trainings kept in the folder of the runs: 2 in bfloat16, 1 in float32.\n"
    assert number_formats(tmp_path) == said


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_what_a_page_says_of_its_clips_is_of_the_clips(name: str, scale: Scale) -> None:
    paper = Paper.read(name)
    base = load_config(paper.grid.presets[scale])
    counts = {"train": {"A": "71", "B": "13"}, "test": {"A": "29", "B": "29"}}

    def said(clips: Clips, *, simulated: bool) -> str:
        facts: dict[str, Any] = {"grid": paper.grid, "scale": scale, "base": base, "command": "x"}
        page = Page(ROOT / name, clips=clips, simulated=simulated, seeds=2, **facts)
        texts = page.text("introduction", folds=3), page.notes(missing=()), page.text("decisions")
        return "\n".join(texts)

    if name not in (
        "spectrum_correction",
        "unknown_devices",
        "microphone_pairs",
    ):  # always simulated
        other = said(Clips("", 3, counts), simulated=False)
        assert "Clips of 3 classes; in a fold train 71 of A, 13 of B, and test 29 of A" in other
        for word in ("ESC-", "MicIRP", "telephone", "folds 1", "240", "65", "Ogg", "at the small"):
            assert word not in other
    simulated = paper.grid.command.corpus != "clips"  # from the folder of the corpus
    own = said(Clips("esc10", 3, counts), simulated=simulated)
    assert "train 71 of A, 13 of B" in own
    assert ("`anymic data prepare esc10`" in own) != simulated
    for word in ("240", "ten aligned", "folds 1 to 4", "14,000 clips of TAU"):
        assert word not in own
