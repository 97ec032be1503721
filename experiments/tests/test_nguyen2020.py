"""The grid of Nguyen 2020, its tables by hand, and the paper's scale on a miniature corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError
from anymic.features import FrontendConfig
from anymic.training import load_config
from anymic_experiments.clips import Clips
from anymic_experiments.commands import ROOT, read_settings
from anymic_experiments.experiment import Experiment
from anymic_experiments.nguyen2020 import analysis, calibration, epochs, features
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Page, Section
from anymic_experiments.runner import finish_all
from anymic_experiments.runs import Member, Outcome, Run

FOLDER = ROOT / "nguyen2020"
GRID = Settings.read(FOLDER)

SMALL = load_config("nguyen2020-small")
DEVICES = np.repeat(["A", "B", "C"], 20)
GROUPS = np.tile([f"recording {number}" for number in range(20)], 3)


def answers(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the probabilities of two classes, the first being true."""
    return np.stack([np.where(right, 0.9, 0.1), np.where(right, 0.1, 0.9)], axis=1)


def outcome(name: str, a: int, b: int, c: int) -> Outcome:
    """Return 20 clips a device, the first a, b and c of which are right."""
    right = np.concatenate([np.arange(20) < number for number in (a, b, c)])
    zeros = np.zeros(60, dtype=np.int64)
    run = Run(name, SMALL, Path("fold1.csv"))
    return Outcome(run, answers(right), zeros, ("dog", "rain"), DEVICES, GROUPS)


def member(name: str, a: int, b: int, c: int, *, validation: int) -> Member:
    """Return a run, `validation` of whose ten validation clips are right."""
    held = answers(np.arange(10) < validation)
    return Member(outcome(name, a, b, c), held, np.zeros(10, dtype=np.int64))


def members() -> list[Member]:
    """Return a curve that rises with correction, falls without, and chooses T = 10."""
    found = []
    for condition in GRID.conditions("curve", scale="small"):
        correction, temperature = condition.levels["correction"], condition.levels["temperature"]
        gain = {"10": 2, "20": 1, "35": 1}.get(temperature, 0)
        a, b, c = (14, 10 - gain, 8) if correction == "NoCorrection" else (14, 12 + gain, 10)
        right = 9 if temperature == "10" else 8
        found.append(member(condition.name, a, b, c, validation=right))
    return found


def found_curve(*, behind: float | None = None) -> analysis.Curve:
    """Return it compared; one temperature may lie behind in training."""
    runs = members()
    ends = [0.70 if run.outcome.run.condition.endswith(f"T = {behind}") else 0.9 for run in runs]
    return analysis.compare(runs, ends, grid=GRID, scale="small")


def text(section: Section) -> str:
    """Return the section as the page has it."""
    return Page(FOLDER, grid=GRID, scale="small").section(section)


def test_the_grid_is_every_correction_at_every_temperature() -> None:
    runs = GRID.runs("curve", folds=[Path("1.csv"), Path("2.csv")], scale="small", seeds=(0, 1, 2))
    assert len(runs) == 3 * 6 * 2 * 3
    assert len({run.condition for run in runs}) == 18
    assert {run.config.temperature for run in runs} == {1, 2, 5, 10, 20, 35}
    references = {
        run.config.correction.reference if run.config.correction else None for run in runs
    }
    assert references == {("A", "B", "C"), ("B", "C"), None}
    # Whole seeds one after the other: an unfinished grid is a finished one of fewer seeds.
    assert [run.config.seed for run in runs] == [0] * 36 + [1] * 36 + [2] * 36


def test_each_temperature_is_trained_at_its_own_pace_at_small_and_at_one_at_paper() -> None:
    small = [one.config for one in GRID.conditions("curve", scale="small")]
    lengths = {c.temperature: (c.epochs, c.learning_rate) for c in small}
    assert lengths[1] == (30, 0.5)
    assert lengths[10] == (60, 5.0)
    assert lengths[35] == (60, 10.0)
    paper = [one.config for one in GRID.conditions("curve", scale="paper")]
    assert {(c.epochs, c.learning_rate) for c in paper} == {(150, 0.5)}
    assert {10.0, 15.0, 20.0, 30.0} <= {c.temperature for c in paper}


def test_the_same_training_has_the_same_folder_whatever_an_experiment_calls_it(
    miniature_tau: Path,
) -> None:
    runs = {
        run.condition: run
        for run in GRID.runs("curve", folds=[miniature_tau], scale="small", seeds=[1])
    }
    run, other = runs["Ref.ABC, T = 10"], runs["Ref.ABC, T = 20"]
    assert replace(run, condition="theirs").key == run.key
    assert other.key != run.key


def test_the_curve_by_hand() -> None:
    found = found_curve()
    where = {"correction": "Ref.ABC", "temperature": "10"}
    assert found.of("accuracy", **where, device="B").value == pytest.approx(14 / 20)
    where["device"] = GRID.pair
    assert found.of("accuracy", **where).value == pytest.approx(24 / 40)
    change = found.of("accuracy_difference", **where, against_condition=analysis.PLAIN)
    assert change.value == pytest.approx(2 / 40)
    where["correction"] = "Ref.BC"
    over = found.of("accuracy_difference", **where, against_condition=GRID.uncorrected)
    assert over.value == pytest.approx((24 - 16) / 40)
    assert found.chosen == dict.fromkeys(GRID.factors["correction"], 10.0)


def test_table_3_has_the_papers_figures_where_they_belong() -> None:
    lines = text(analysis.section(found_curve(), GRID)).splitlines()
    ten, _ = (line for line in lines if line.startswith("| Ref.ABC | 10 "))
    assert "(73.4)" in ten
    assert ten.endswith("(70.1) |")
    (fifteen,) = (line for line in lines if line.startswith("| Ref.ABC | 15 |"))
    assert fifteen == "| Ref.ABC | 15 |  |  | (72.3) | (66.9) | (72.6) | (69.7) |"
    assert any(line.startswith("| NoCorrection | 20 |") and "(62.0)" in line for line in lines)


def test_what_has_not_converged_is_marked_and_not_compared() -> None:
    full, found = (
        text(analysis.section(found, GRID)) for found in (found_curve(), found_curve(behind=20))
    )
    assert "Ref.ABC: T = 10" in full
    assert "NoCorrection: T = 20" in full
    assert "Not converged" not in full
    assert "Not converged, and so not compared: Ref.ABC at T = 20, Ref.BC at T = 20" in found
    assert "NoCorrection: T = 20" not in found
    assert found.count("70 (behind)") == 3


def test_a_part_of_the_grid_has_a_table_of_its_own_or_is_refused(tmp_path: Path) -> None:
    curve = [{"correction": ["Ref.ABC", "NoCorrection"], "temperature": ["1"]}]
    grid: Settings = read_settings(Settings, FOLDER, changes={"grids.curve": curve})
    names = {one.name for one in grid.conditions("curve", scale="small")}
    runs = [one for one in members() if one.outcome.run.condition in names]
    found = analysis.compare(runs, [0.9] * len(runs), grid=grid, scale="small")
    part = Page(FOLDER, grid=grid, scale="small").section(analysis.section(found, grid))
    rows = [line for line in part.splitlines() if line.startswith("| Ref") and "(chosen)" in line]
    assert [row.split(" | ")[0] for row in rows] == ["| Ref.ABC"]
    assert "| Ref.BC | 1 |  |  | (70.3) |" in part  # the paper's figures alone
    for wrong in ([{**curve[0], "correction": ["Ref.ABC"]}],
                  [{**curve[0], "temperature": ["2"]}],
                  [*curve, {"correction": ["Ref.ABC"], "temperature": ["2"]}]):  # fmt: skip
        bad: Settings = read_settings(Settings, FOLDER, changes={"grids.curve": wrong})
        experiment = Experiment(bad, out=tmp_path, data=(), scale="small", asked=("curve",))
        with pytest.raises(ConfigError, match="not every correction at every temperature"):
            analysis.prepare(experiment)


def test_table_2_and_the_ablation_by_hand() -> None:
    outcomes = []
    for one in GRID.conditions("losses", "domains", scale="small"):
        if one.levels["domain"] == "log_mel":
            outcomes.append(outcome(one.name, 15, 9, 9))
        else:
            b = 12 if one.levels["loss"] == "focal" else 11
            outcomes.append(outcome(one.name, 16, b, 10))
    section = analysis.losses(outcomes, GRID, scale="small", seeds=1)
    found = section.found
    where = {"correction": "Ref.BC", "device": GRID.pair}
    change = found.of("accuracy_difference", **where, loss="cross_entropy", domain="magnitude")
    assert change.value == pytest.approx(-1 / 40)
    change = found.of("accuracy_difference", **where, loss="focal", domain="log_mel")
    assert change.value == pytest.approx(-4 / 40)
    page = text(section)
    assert page.count("\n| ") == (1 + 3) + (1 + 4)
    assert "(70.3)" in page  # 70.27 in the paper
    assert page.count("| log-mel bands |") == 2


def test_the_share_of_variance_between_classes_by_hand() -> None:
    points = np.array([[0.0, 0], [2, 0], [10, 0], [12, 0]])
    names = np.array(["dog", "dog", "rain", "rain"])
    # Around the mean 6: total 36 + 16 + 16 + 36; between 4 * 5**2.
    assert features.share_between(points, names) == pytest.approx(100 / 104)
    assert features.share_between(7 * points + 3, names) == pytest.approx(100 / 104)
    assert features.share_between(points[[0, 0, 3, 3]], names) == pytest.approx(1)
    assert features.share_between(points[[0, 3, 0, 3]], names) == pytest.approx(0)


def test_no_recording_calibrates_itself() -> None:
    """A recording whose probabilities change leaves what its own half is calibrated with as is."""
    targets = np.tile(np.repeat([0, 1], 40), 2)
    groups = np.tile([f"recording {n}" for n in range(80)], 2)
    devices = np.repeat(["A", "B"], 80)
    right = np.arange(160) % 10 < 7
    p = np.where(right == (targets == 0), 0.95, 0.05)
    probabilities = np.stack([p, 1 - p], axis=1)
    run = Run("Ref.ABC, T = 1", SMALL, Path("fold1.csv"))

    def calibrated(values: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = Outcome(run, values, targets, ("dog", "rain"), devices, groups)
        return calibration.by_device(Member(whole, np.empty((0, 2)), np.empty(0, dtype=np.int64)))

    changed = probabilities.copy()
    mine = np.asarray(groups == "recording 7")
    changed[mine] = [0.6, 0.4]
    before, after = calibrated(probabilities), calibrated(changed)
    same = np.all(np.isclose(before, after), axis=1, keepdims=True)[:, 0]
    half = np.asarray(calibration._halves(groups, targets))
    assert not same[mine].any()
    assert same[(half == half[mine][0]) & ~mine].all()
    assert not same[half != half[mine][0]].all()
    assert {(half[groups == group].min(), half[groups == group].max()) for group in groups} <= {
        (0, 0),
        (1, 1),
    }


def test_neither_half_is_empty_with_one_recording_of_each_class() -> None:
    targets = np.array([0, 1, 2, 2])
    groups = np.array(["a", "b", "c", "c"])
    assert calibration._halves(groups, targets).tolist() == [0, 1, 0, 0]


def test_even_true_probabilities_have_a_calibration_error_on_few_recordings() -> None:
    """Of n clips in one bin the mean of |share - p| is that of a binomial share."""
    probabilities = np.tile([0.7, 0.3], (400, 1))
    alone = np.array([f"recording {number}" for number in range(400)])
    expected = np.sqrt(2 / np.pi * 0.7 * 0.3 / 400)  # of a normal deviate
    found = calibration.error_if_perfect(probabilities, alone, draws=2000)
    assert found == pytest.approx(expected, rel=0.06)
    fours = np.repeat(alone[:100], 4)  # 100 recordings, each recorded four times, count as 100
    found = calibration.error_if_perfect(probabilities, fours, draws=2000)
    assert found == pytest.approx(2 * expected, rel=0.06)


def test_the_test_clips_validate_where_the_paper_is_followed(
    miniature_tau: Path, tmp_path: Path
) -> None:
    assert GRID.validation == "training clips"
    asked = replace(GRID, validation="test clips", changes={"epochs": 2, "batch_size": 8})
    experiment = Experiment(asked, out=tmp_path, data=(miniature_tau,), scale="paper")
    (fold,) = analysis.prepare(experiment).data
    ours, theirs = (Manifest.read(one).table["split"] for one in (miniature_tau, fold))
    assert ((theirs == "validation") == (ours == "test")).all()
    kept, moved = (Clips.of([Manifest.read(one)]).counts for one in (miniature_tau, fold))
    assert kept["test"] == moved["test"]
    run = asked.runs("curve", folds=[fold], scale="paper", seeds=[0])[0]
    assert run.config.monitor == "accuracy"
    small = {"width": 0.1, "frontend": FrontendConfig(hop_samples=2048, bands=32)}
    run = replace(run, config=replace(run.config, **small))  # type: ignore[arg-type]
    finish_all([run], tmp_path / "runs", workers=1, progress=False)
    found = run.outcome(tmp_path / "runs")
    assert len(found.probabilities) == (ours == "test").sum()
    best = Bundle.load(run.folder(tmp_path / "runs")).training["best"]
    assert found.right.mean() == pytest.approx(best)  # the accuracy that chose the epoch
    page = Page(
        FOLDER, grid=asked, scale="paper", base=experiment.base, seeds=1, command="anymic reproduce"
    )
    assert "are set aside" not in page.text("introduction", folds=1)
    with pytest.raises(ConfigError, match="The test clips validate, and would calibrate too"):
        analysis.prepare(replace(experiment, asked=("calibration",)))
    with pytest.raises(ConfigError, match="and the part on epochs compares that"):
        analysis.prepare(replace(experiment, asked=("epochs",)))


def test_the_choices_of_the_epoch_by_hand() -> None:
    # On B and C correction gains 4 of 40 with the last epoch, 3 with clips set aside, 1 with tests.
    right = {
        ("the last", "NoCorrection"): (14, 10, 8),
        ("the last", "Ref.ABC"): (14, 12, 10),
        ("set aside", "NoCorrection"): (13, 9, 8),
        ("set aside", "Ref.ABC"): (13, 11, 9),
        ("test clips", "NoCorrection"): (12, 12, 11),
        ("test clips", "Ref.ABC"): (14, 13, 11),
    }
    outcomes = [
        outcome(one.name, *right[one.levels["epoch"], one.levels["correction"]])
        for one in GRID.conditions("epoch", scale="small")
    ]
    section = epochs.section(outcomes, GRID, scale="small", seeds=1)
    where = {"device": GRID.pair, "correction": "Ref.ABC", "choice": "test clips"}
    for other, change in (("the last", -3), ("set aside", -2)):
        found = section.found.of("gain_difference", **where, against_condition=other)
        assert found.value == pytest.approx(change / 40)
    found = section.found.of("accuracy_difference", **where, against_condition="set aside")
    assert found.value == pytest.approx(4 / 40)
    found = section.found.of("accuracy_difference", **where, against_condition="NoCorrection")
    assert found.value == pytest.approx(1 / 40)
    page = text(section)
    assert page.count("\n| ") == (1 + 3 * 2) + (1 + 3)
    assert "15 % of the training clips" in page
    assert "n of\nA is 20, of B and C 40." in page


def test_a_part_compares_the_choices_of_the_epoch(miniature_tau: Path, tmp_path: Path) -> None:
    small = {"width": 0.1, "frontend.hop_samples": 2048, "frontend.bands": 32, "batch_size": 8}
    asked = replace(GRID, seeds=1, changes={"epochs": 2, **small})
    ours = Experiment(
        asked, out=tmp_path, data=(miniature_tau,), scale="paper", workers=1, progress=False
    )
    (section,) = analysis.SECTIONS["epochs"](ours)
    every = epochs.runs(ours, seeds=(0,))
    bundles = {run.condition: Bundle.load(run.folder(ours.places)) for run in every}
    manifest = Manifest.read(miniature_tau)
    tested, training = (set(manifest.where(split=split).clip_ids()) for split in ("test", "train"))
    for name, bundle in bundles.items():
        fitted, validation = (set(bundle.fitted_on[part]) for part in ("weights", "validation"))
        if name.endswith("set aside"):
            assert validation
            assert validation | fitted == training
        else:
            assert validation == tested
            assert fitted == training
    for correction in ("NoCorrection", "Ref.ABC"):  # the accuracy that chose the epoch
        found = section.found.of("accuracy", choice="test clips", correction=correction, device="A")
        assert found.n == len(manifest.where(split="test", device="A"))
        (run,) = (
            run
            for run in every
            if run.condition.startswith(correction) and run.condition.endswith("on test clips")
        )
        best = bundles[run.condition].training["best"]
        assert run.outcome(ours.places).right.mean() == pytest.approx(best)


def test_the_papers_scale_trains_on_a_miniature_of_the_published_layout(
    miniature_tau: Path, tmp_path: Path
) -> None:
    """One temperature at full size: 10 s clips, 256 bands, hop 512; one epoch."""
    base = load_config("nguyen2020")
    assert (base.frontend.bands, base.frontend.hop_samples, base.epochs) == (256, 512, 150)
    assert (base.batch_size, base.l2, base.plateau_patience) == (64, 1e-5, 17)
    assert (base.plateau_factor, base.spec_augment) == (0.1, None)
    assert base.mixup is not None
    assert base.mixup.share == 0.3  # as in Kosmider 2019
    tiny = replace(GRID, changes={"epochs": 1, "batch_size": 8})
    runs = tiny.runs(
        "curve",
        folds=[miniature_tau],
        scale="paper",
        seeds=[0],
    )
    (run,) = (run for run in runs if run.condition == "Ref.BC, T = 30")
    finish_all([run], tmp_path / "runs", workers=1, progress=False)
    found = run.outcome(tmp_path / "runs")
    assert found.probabilities.shape == (6, 2)
    assert 0 <= analysis.reached(run.folder(tmp_path / "runs")) <= 1
    experiment = Experiment(GRID, out=tmp_path, data=(), workers=1, progress=False)
    ((pooled,),) = features.pooled(experiment, [run]).values()
    assert pooled["features"].shape == (18, 64)
    assert sorted(set(pooled["splits"])) == ["test", "train"]
