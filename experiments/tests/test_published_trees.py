"""All sections of the recipes at the paper's scale, from miniature trees of published corpora."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anymic import models
from anymic._internal.files import file_digest
from anymic.bundle import Bundle, InputContract
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.evaluation.report import read_json
from anymic.features import Frontend
from anymic.training import load_config

pytestmark = pytest.mark.usefixtures("one_thread")
# What a page of these trees must not speak of: the corpora, the microphones and the scale that the
# stored pages are of, and numbers of their clips.
FOREIGN = (
    *("ESC-", "MicIRP", "telephone", "small scale", "-small", "fold1", " 240", "Ogg"),
    *("few, hence coarse", "on so few", "What changed"),
)
TINY = ("epochs=1", "seeds=1")
# By recipe: the settings that make it tiny, and the headings of its sections.
TRIALS = {
    "kosmider2019": (
        ("width=0.1", "frontend.bands=48", "validation_share=0.5", "selected=0", "members=2"),
        ("Table 3 and figure 1", "Ensembles", "The four submissions"),
    ),
    "nguyen2020": (
        (
            "width=0.1",
            "frontend.bands=48",
            'grids.curve=[{correction: [Ref.ABC, Ref.BC, NoCorrection], temperature: ["1", "10"]}]',
            'grids.features=[{correction: [Ref.ABC], temperature: ["1", "10"]}]',
        ),
        (
            "Table 3 and figure 3",
            "Table 2, and where gains are applied",
            "Figure 2",
            "How well are",
            "What choosing the epoch on test clips changes",
        ),
    ),
    "peters2022": (
        (
            "width=0.05",
            "crop_frames=20",
            "spec_augment=null",
            "clip_s=1",
            "shorter=repeat",
            "longer=crop",
        ),
        (
            "Table 2: all of the network",
            "Figure 2: one segment alone",
            "Two ways to scale features",
        ),
    ),
    "xu2018": (
        ("width=0.015625", "sizes.paper.hidden=4", "sizes.paper.lengths=[1, 2]"),
        ("Table 2", "Table 3", "Table 4", "What agrees with the paper", "What was left out"),
    ),
}


def start(recipe: str, data: Path, folder: Path) -> list[str]:
    """Return the options that name what the paper's scale starts from, with random weights."""
    torch.manual_seed(0)
    if recipe == "xu2018":
        weights = models.build("vggish", classes=0, width=1 / 64).state_dict()
        torch.save(weights, folder / "weights.pth")
        return ["--weights", str(folder / "weights.pth")]
    if recipe == "peters2022":
        labels = Manifest.read(data).labels
        arguments = {
            "channels": 3,
            "convolutions": [{"width": 4, "kernel": 5, "stride": 4, "pool": 4}, {"width": 4}],
        }
        Bundle(
            network=models.build("fcnn", classes=len(labels), **arguments).eval(),
            frontend=Frontend(load_config("peters2022").frontend),
            labels=tuple(labels),
            contract=InputContract(rate_hz=44_100, clip_s=1.0),
            network_name="fcnn",
            network_arguments=arguments,
            training={},
            fitted_on={},
        ).save(folder / "model")
        return ["--model", str(folder / "model")]
    return []


def command_of(recipe: str, data: Path, folder: Path, *, settings: tuple[str, ...]) -> list[str]:
    """Return the command that makes all sections in `folder`/out."""
    command = ["reproduce", recipe, "--scale", "paper", "--data", str(data), "--workers", "1"]
    command += [*start(recipe, data, folder), "--out", str(folder / "out")]
    return command + [part for setting in (*TINY, *settings) for part in ("--set", setting)]


@pytest.fixture(scope="module")
def folders() -> dict[str, Path]:
    """Return the folder of each recipe and tree that a test has finished: its runs can be used."""
    return {}


@pytest.mark.filterwarnings("ignore:.*gains estimated from only")
@pytest.mark.parametrize(
    ("recipe", "tree"),
    [
        ("kosmider2019", "tau2019-mobile"),
        ("kosmider2019", "tau2020-mobile"),
        ("nguyen2020", "tau2019-mobile"),
        ("nguyen2020", "tau2020-mobile"),
        ("peters2022", "tau2019-mobile"),
        ("peters2022", "tau2020-mobile"),
        ("peters2022", "fsdkaggle2018"),
        ("xu2018", "fsdkaggle2018"),
        ("xu2018", "fsdkaggle2018, Kaggle"),
    ],
)
def test_every_section_at_the_papers_scale(
    recipe: str, tree: str, trees: dict[str, Path], folders: dict[str, Path], tmp_path: Path
) -> None:
    settings, headings = TRIALS[recipe]
    command = command_of(recipe, trees[tree], tmp_path, settings=settings)
    assert main(command) == 0
    out = folders[f"{recipe}, {tree}"] = tmp_path / "out"
    text = (out / recipe / f"{recipe}.md").read_text(encoding="utf-8")
    found = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    *sections, last = found
    assert len(sections) == len(headings)
    assert all(one.startswith(heading) for one, heading in zip(sections, headings, strict=True))
    assert last.startswith("What the ")
    assert "Not finished" not in text
    assert "`seeds` is 1, in the recipe " in text
    said = text.replace(" ".join(command), "").replace(str(trees[tree]), "")
    assert not [word for word in FOREIGN if word in said]
    if recipe == "xu2018":
        assert "MAP@3 on the corpus's own test clips" in text
        assert "fine-tuned from its published weights" in text
        rows, _ = read_json(out / recipe / "report.json")
        assert {row.n for row in rows} == {3}


def test_both_layouts_of_a_corpus_have_the_same_clips(trees: dict[str, Path]) -> None:
    """So a recipe that is tried on one of them is tried on both."""
    found = []
    for name in ("fsdkaggle2018", "fsdkaggle2018, Kaggle"):
        manifest = Manifest.read(trees[name])
        facts = manifest.table.drop(columns="path").astype(str).to_dict("records")
        files = [(path.name, file_digest(path)) for path in map(Path, manifest.paths())]
        found.append(dict(zip(files, facts, strict=True)))
    assert len(found[0]) == len(manifest) > 0
    assert found[0] == found[1]


def test_a_part_that_refuses_leaves_the_page_of_the_others(
    trees: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Networks of experiment A take clips of any length; those of the scalings want one length."""
    data, out, page = trees["fsdkaggle2018"], tmp_path / "out", tmp_path / "page" / "peters2022.md"
    command = command_of("peters2022", data, tmp_path, settings=())
    command += ["--experiment", "A", "--scalings", "--page", str(page.parent)]
    assert main(command) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "scalings: the clips last from 0.3 to 2.0 s" in error
    assert f"choose one with clip_s; what is done is in {page}" in error
    text = page.read_text(encoding="utf-8")
    assert "## Table 2: all of the network" in text
    assert "\nNot finished: scalings.\n" in text
    rows, _ = read_json(out / "peters2022" / "report.json")
    assert {row.metric for row in rows} >= {"accuracy", "accuracy_difference"}


@pytest.mark.filterwarnings("ignore:.*gains estimated from only")
def test_ensembles_that_no_member_reaches_leave_the_page_of_the_table(
    trees: dict[str, Path],
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tree, page = "tau2019-mobile", tmp_path / "page" / "kosmider2019.md"
    place = folders.get(f"kosmider2019, {tree}", tmp_path / "out")
    settings = (*TRIALS["kosmider2019"][0], "selected=1.1")
    command = command_of("kosmider2019", trees[tree], place.parent, settings=settings)
    assert main([*command, "--table", "3", "--ensembles", "--page", str(page.parent)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "ensembles: no member reached 110 % on its validation clips" in error
    assert f"lower the setting selected; what is done is in {page}" in error
    text = page.read_text(encoding="utf-8")
    assert "## Table 3 and figure 1" in text
    assert "\nNot finished: ensembles.\n" in text
    rows, _ = read_json(place / "kosmider2019" / "report.json")
    assert {row.metric for row in rows} >= {"accuracy", "accuracy_difference"}
