"""The tables of Peters 2022 by hand, its corpora, and the paper's scale on a miniature corpus."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic import models
from anymic.bundle import Bundle, InputContract
from anymic.cli import main
from anymic.codecs import Codec
from anymic.codecs.conditions import CLEAN, codec_names
from anymic.data.manifest import Manifest
from anymic.errors import ManifestError
from anymic.evaluation.report.rows import Row
from anymic.features import Frontend
from anymic.training import load_config
from anymic_experiments.commands import ROOT
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.page import Page, Section
from anymic_experiments.peters2022 import analysis, corpus, segments
from anymic_experiments.peters2022.segments import WHOLE
from anymic_experiments.peters2022.settings import Settings
from anymic_experiments.peters2022.tuning import Tuned, Tuning
from anymic_experiments.runs import Outcome, Run

needs_fdkaac = pytest.mark.skipif(
    not Codec("he-aac", kbps=32).available, reason="HE-AAC needs the program fdkaac"
)
FOLDER = ROOT / "peters2022"
GRID = Settings.read(FOLDER)
CONDITIONS = (CLEAN, *GRID.coded)
CLIPS = 20
CODECS = np.repeat(CONDITIONS, CLIPS)
GROUPS = np.tile([f"recording {number}" for number in range(CLIPS)], len(CONDITIONS))


def answers(**right: int) -> np.ndarray:
    """Return two classes' probabilities: so many of a condition's clips right, the first ones."""
    by_name = {name.replace("_", " ").replace("he aac", "he-aac"): n for name, n in right.items()}
    counts = [by_name.get(name, by_name["others"]) for name in CONDITIONS]
    hits = np.concatenate([np.arange(CLIPS) < count for count in counts])
    return np.stack([np.where(hits, 0.9, 0.1), np.where(hits, 0.1, 0.9)], axis=1)


def tuned(condition: str, epochs: dict[int, np.ndarray], *, fold: int = 1) -> Tuned:
    """Return a fine-tuning that answered so."""
    run = Run(condition, load_config("finetuning"), Path(f"fold{fold}.csv"))
    facts = np.zeros(len(CODECS), dtype=np.int64), ("dog", "rain"), CODECS, GROUPS
    return {epoch: Outcome(run, right, *facts) for epoch, right in epochs.items()}


def text(section: Section) -> str:
    """Return the section as the page has it."""
    return Page(FOLDER, grid=GRID).section(section)


def over_clean(found: Findings, codec: str, epoch: int) -> Row:
    """Return the accuracy over that on clean audio."""
    return found.of("accuracy_difference", codec=codec, epoch=epoch, against_codec=CLEAN)


def gain(found: Findings, name: str, part: str) -> float:
    """Return what a segment gains."""
    return found.of("accuracy_difference", condition=name, codec=part).value


def test_table_2_by_hand() -> None:
    before = answers(clean=18, mp3_32=8, others=12)
    after = answers(clean=17, mp3_32=14, others=15)
    section = analysis.table([tuned(WHOLE, {0: before, 40: after})], GRID)
    found = section.found
    assert found.of("accuracy", codec="mp3 32", epoch=40).value == pytest.approx(14 / 20)
    assert found.of(
        "accuracy_difference", codec=CLEAN, epoch=40, against_epoch=0
    ).value == pytest.approx(-1 / 20)
    assert found.of(
        "accuracy_difference", codec="mp3 32", epoch=0, against_codec=CLEAN
    ).value == pytest.approx(-10 / 20)
    assert found.of(
        "accuracy_difference", codec="all coded", epoch=0, against_codec=CLEAN
    ).value == pytest.approx(-(10 + 6 * 6) / 140)
    share = found.maybe("recovered_share", codec="mp3 32", epoch=40)
    assert share is not None
    assert share.value == pytest.approx(6 / 10)
    assert share.n == 20
    both = found.maybe(
        "recovered_share", codec="other bitrate", epoch=40
    )  # aac 48, aac 64 and mp3 32
    assert both is not None
    assert both.value == pytest.approx((3 + 3 + 6) / (6 + 6 + 10))
    page = text(section)
    assert "with an interval below 0, in 7 of 7 conditions; most with mp3 32, -50.0" in page
    assert "After epoch 40, 60 [" in page


def test_of_a_loss_whose_interval_reaches_0_no_share_is_stated() -> None:
    before = answers(clean=12, others=12)
    after = answers(clean=12, others=16)
    section = analysis.table([tuned(WHOLE, {0: before, 40: after})], GRID)
    assert over_clean(section.found, "mp3 32", 0).value == 0
    assert section.found.maybe("recovered_share", codec="mp3 32", epoch=40) is None
    page = text(section)
    assert "no share of it is stated" in page
    _, line = (x for x in page.splitlines() if x.startswith("| mp3 32"))
    assert line.endswith("| - |")


def test_table_2_has_the_papers_figures_where_they_belong() -> None:
    epochs = dict.fromkeys((0, 1, 10, 20, 40), answers(clean=18, others=12))
    lines = text(analysis.table([tuned(WHOLE, epochs)], GRID)).splitlines()
    hard, _ = (line for line in lines if line.startswith("| mp3 32 |"))
    assert [cell.split("(")[1] for cell in hard.split("|")[2:-1]] == [
        "25.6) ",
        "64.0) ",
        "63.2) ",
        "62.8) ",
        "58.4) ",
    ]
    untested, _ = (line for line in lines if line.startswith("| he-aac 16 |"))
    assert "(" not in untested


def test_figure_2_by_hand_and_the_segment_that_other_folds_choose() -> None:
    before = answers(clean=18, others=10)

    def gains(points: int) -> dict[int, np.ndarray]:
        return {0: before, 10: answers(clean=18, others=10 + points)}

    # Segment 1 is best on fold 1, segment 2 on folds 2 and 3, and over all.
    names = {WHOLE: (8, 8, 8), "segment 1": (6, 2, 2), "segment 2": (1, 5, 5)}
    section = segments.section(
        [
            tuned(name, gains(points[fold - 1]), fold=fold)
            for fold in (1, 2, 3)
            for name, points in names.items()
        ],
        GRID,
    )
    found = section.found
    assert section.facts["own"] == ["segment 1", "segment 2"]
    assert found.of(
        "accuracy_difference", condition="segment 2", codec="other codec"
    ).value == pytest.approx(11 / 60)
    relative = found.maybe("relative_improvement", condition="segment 2", codec="other codec")
    assert relative is not None
    assert relative.value == pytest.approx(11 / 30)
    for part in ("all coded", GRID.hardest):
        share = found.maybe("share_of_gain", condition="segment 2", codec=part)
        assert share is not None
        assert share.value == pytest.approx(11 / 24)
    # Fold 1 is left to segment 2 (10 to 4 on the others); 2 and 3 to segment 1 (8 to 6).
    assert section.facts["choices"] == ("segment 2", "segment 1", "segment 1")
    assert found.of(
        "accuracy_difference", condition=segments.CHOSEN, codec="all coded"
    ).value == pytest.approx((1 + 2 + 2) / 60)
    assert "segment 2, the best on these test clips" in text(section)
    assert "(2, 1, 1)" in text(section)
    assert section.figure is not None
    assert len(section.figure.axes) == 4


def test_one_fold_has_no_other_to_choose_a_segment_by() -> None:
    epochs = {0: answers(clean=18, others=10), 10: answers(clean=18, others=12)}
    section = segments.section([tuned(name, epochs) for name in (WHOLE, "segment 1")], GRID)
    assert section.facts["choices"] == ()
    assert segments.CHOSEN not in text(section)


def test_the_two_scalings_by_hand() -> None:
    def outcome(name: str, right: np.ndarray) -> Outcome:
        run = Run(name, load_config("peters2022-small"), Path("fold1.csv"))
        zeros = np.zeros(len(CODECS), dtype=np.int64)
        return Outcome(run, right, zeros, ("dog", "rain"), CODECS, GROUPS)

    clip, bands = GRID.factors["scaling"]
    section = analysis.scalings(
        [
            outcome(clip, answers(clean=18, others=12)),
            outcome(bands, answers(clean=17, others=15)),
        ],
        GRID,
    )
    found = section.found
    where = {"scaling": bands, "codec": "all coded"}
    assert found.of("accuracy_difference", **where, against_codec=CLEAN).value == pytest.approx(
        -0.1
    )
    change = found.of("accuracy_difference", **where, against_scaling=clip)
    assert change.value == pytest.approx(3 / 20)
    less = found.of("loss_difference", codec="all coded")
    assert less.value == pytest.approx(0.9 - 0.6 - (0.85 - 0.75))
    page = text(section)
    assert "With all coded accuracy changes by -30.0" in page


def test_only_the_scaling_differs_between_the_two_trainings() -> None:
    folds = [Path("clean.csv")]
    clip, bands = GRID.runs("scalings", folds=folds, seeds=[1], scale="small")
    assert GRID.runs("starts", folds=folds, seeds=[1], scale="small") == [clip]
    assert clip.config == replace(load_config("peters2022-small"), seed=1)
    assert (clip.config.frontend.scaling, clip.config.standardize) == ("clip", False)
    assert (bands.config.frontend.scaling, bands.config.standardize) == ("none", True)
    alike = {"standardize": False, "frontend": clip.config.frontend}
    assert replace(bands.config, **alike) == clip.config  # type: ignore[arg-type]


def test_experiment_b_is_every_segment_and_the_whole_network_for_ten_epochs() -> None:
    fold = corpus.Fold("fold1", Path("clean.csv"), Path("coded.csv"))
    options = {"model": Path("start")}
    experiment = Experiment(replace(GRID, seeds=1), out=Path("out"), data=(), options=options)
    experiment = replace(experiment, made=[fold])
    own = map(str, range(1, 11))
    tunings = analysis.tunings(experiment, GRID.segment_epochs, models.ALL, *own)
    assert [each.condition for each in tunings[:2]] == [WHOLE, "segment 1"]
    assert [each.segments for each in tunings] == ["all", *map(str, range(1, 11))]
    assert [(each.config.epochs, each.config.seed) for each in tunings] == [(10, 0)] * 11
    assert {each.manifest for each in tunings} == {fold.coded}
    (longer,) = analysis.tunings(experiment, GRID.table_epochs, models.ALL)
    assert longer.config.epochs == 40


def test_the_papers_fine_tuning_mixes_nothing() -> None:
    fold = corpus.Fold("fold1", Path("clean.csv"), Path("coded.csv"))
    options = {"model": Path("start")}
    for scale, mixup in (("paper", None), ("small", load_config("finetuning").mixup)):
        experiment = Experiment(replace(GRID, seeds=1), out=Path("out"), data=(), options=options)
        experiment = replace(experiment, made=[fold], scale=scale)  # type: ignore[arg-type]
        (tuning,) = analysis.tunings(experiment, 40, models.ALL)
        assert tuning.config.mixup == mixup


def test_he_aac_is_fine_tuned_on_and_in_no_mean() -> None:
    apart = {"he-aac 16", "he-aac 32"}
    assert apart < set(GRID.trained)
    assert apart == set(GRID.categories["trained, HE-AAC"])
    assert GRID.categories["trained"] == ("aac 32", "mp3 64")
    assert not apart & set(GRID.categories["all coded"])
    assert set(GRID.conditions_tested) > apart


def make_clips(folder: Path, **columns: Any) -> Path:
    """Write noises of a second, two labels in turn, and their manifest."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for number in range(len(next(iter(columns.values())))):
        soundfile.write(folder / f"{number}.wav", generator.normal(0, 0.1, 44_100), 44_100)
        rows.append((f"{number}.wav", ("dog", "rain")[number % 2], f"recording {number}"))
    clips = pd.DataFrame(rows, columns=["path", "label", "group"])
    for name, values in columns.items():
        clips[name] = values
    return Manifest.from_table(clips, folder).write(folder / "clips.csv")


@needs_fdkaac
def test_each_fold_is_the_test_set_once_in_every_condition(tmp_path: Path) -> None:
    data = make_clips(tmp_path / "clips", fold=[1, 1, 2, 2])
    folds = corpus.folds(data, tmp_path / "coded", GRID, progress=False)
    assert [fold.name for fold in folds] == ["fold1", "fold2"]
    for number, fold in enumerate(folds, start=1):
        clean, coded = Manifest.read(fold.clean), Manifest.read(fold.coded)
        for manifest, codecs in ((clean, {CLEAN}), (coded, {CLEAN, *GRID.trained})):
            training = manifest.where(split="train")
            assert Counter(codec_names(training)) == dict.fromkeys(codecs, 2)
            assert set(training.table["fold"]) == {3 - number}
            test = manifest.where(split="test")
            assert Counter(codec_names(test)) == dict.fromkeys(CONDITIONS, 2)
            assert set(test.table["fold"]) == {number}


@needs_fdkaac
def test_training_clips_of_a_given_split_are_encoded_as_fine_tuning_has_them(
    tmp_path: Path,
) -> None:
    data = make_clips(tmp_path / "clips", split=["train", "train", "test", "test"])
    (fold,) = corpus.folds(data, tmp_path / "coded", GRID, progress=False)
    coded = Manifest.read(fold.coded)
    assert Counter(coded.table["split"]) == {"train": 2 * 5, "test": 2 * 10}
    assert set(codec_names(coded.where(split="train"))) == {CLEAN, *GRID.trained}


def test_a_corpus_without_a_test_set_is_refused(tmp_path: Path) -> None:
    data = make_clips(tmp_path / "clips", device=["A", "B"])
    with pytest.raises(ManifestError, match="fold"):
        corpus.folds(data, tmp_path / "coded", GRID, progress=False)


def small_model(folder: Path, labels: tuple[str, ...]) -> Path:
    """Write an FCNN of two convolutions in front of the classes: four segments."""
    config = load_config("peters2022").frontend
    arguments = {
        "channels": 3,
        "convolutions": [{"width": 4, "kernel": 5, "stride": 4, "pool": 4}, {"width": 4}],
    }
    bundle = Bundle(
        network=models.build("fcnn", classes=len(labels), **arguments).eval(),
        frontend=Frontend(config),
        labels=labels,
        contract=InputContract(rate_hz=44_100, clip_s=1.0),
        network_name="fcnn",
        network_arguments=arguments,
        training={},
        fitted_on={},
    )
    bundle.save(folder)
    return folder


@needs_fdkaac
def test_the_papers_scale_on_a_miniature_of_the_published_layout(
    miniature_tau_2020: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = Manifest.read(miniature_tau_2020).labels
    model = small_model(tmp_path / "model", tuple(scenes))
    command = ["reproduce", "peters2022", "--data", str(miniature_tau_2020), "--scale", "paper"]
    command += ["--model", str(model), "--out", str(tmp_path / "out"), "--workers", "1"]
    command += ["--set", "seeds=1", "--set", "epochs=2"]
    both = ["--experiment", "A", "--experiment", "B"]
    assert main([*command, *both, "--page", str(tmp_path / "page")]) == 0
    text = (tmp_path / "page" / "peters2022.md").read_text(encoding="utf-8")
    assert "| mp3 32 |" in text
    assert "| segment 4 |" in text
    assert "segment 5" not in text
    assert (tmp_path / "page" / "peters2022_figure2.png").is_file()
    made = sorted((tmp_path / "out" / "runs").glob("*/measured.npz"))
    assert len(made) == 1 + 4  # both experiments fine-tune the whole network for two epochs: once
    times = [path.stat().st_mtime_ns for path in made]
    capsys.readouterr()
    assert main([*command, "--experiment", "B"]) == 0  # nothing is made again
    assert "Table 2" not in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in made] == times


def test_a_fine_tunings_folder_is_named_by_all_that_decides_it(tmp_path: Path) -> None:
    data = make_clips(tmp_path / "clips", split=["train", "train", "test", "test"])
    other = make_clips(tmp_path / "others", split=["train", "test", "test", "test"])
    one, two = (small_model(tmp_path / name, ("dog", "rain")) for name in ("one", "two"))
    first = Tuning("segment 2", one, data, "2", load_config("finetuning"))
    assert replace(first, condition="theirs").key == first.key
    changed = [
        replace(first, start=two),
        replace(first, manifest=other),
        replace(first, segments="1"),
        replace(first, config=replace(first.config, seed=5)),
    ]
    assert len({first.key, *(each.key for each in changed)}) == 5


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--scale", "paper"], "--model with the published checkpoint"),
        (["--scale", "large"], "--scale is large"),
        (["--experiment", "C"], "--experiment is C"),
        (["--table", "3"], "--table is 3"),
        (["--figure", "1"], "--figure is 1"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["reproduce", "peters2022", "--data", "clips.csv", "--out", str(tmp_path)]
    assert main([*start, *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
