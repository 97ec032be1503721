"""Which models become members, and what calibrates them."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic.bundle import Bundle, Ensemble
from anymic.calibration import CalibrationError, IsotonicCalibrator
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError, ManifestError
from anymic.inference.predictor import Predictor
from anymic.models.complexity import network_complexity
from anymic.training.ensemble_builder import (
    Builder,
    Candidate,
    complexity,
    least_accuracy,
    recorded_accuracy,
)

RATE = 8000
LABELS = ("dog", "rain", "siren")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Return eighteen clips of three labels, two clips a recording."""
    rows = []
    for number in range(18):
        samples = np.random.default_rng(number).uniform(-0.5, 0.5, RATE)
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE)
        label, group = LABELS[number % 3], f"r{number // 6}{number % 3}"
        rows.append({"path": f"{number}.wav", "label": label, "group": group, "device": "B"})
    return Manifest.from_table(pd.DataFrame(rows), tmp_path)


@pytest.fixture
def models(small_bundle: Bundle, manifest: Manifest) -> dict[str, Bundle]:
    """Return models that were "trained" on twelve clips each and had the other six aside."""
    ids = manifest.clip_ids()
    found = {}
    for number, best in enumerate((0.5, 0.75, 0.9)):
        network = copy.deepcopy(small_bundle.network)
        generator = torch.Generator().manual_seed(number)
        classifier = network.classifier
        assert isinstance(classifier, torch.nn.Linear)
        classifier.weight.data += torch.randn(3, 64, generator=generator)
        aside = tuple(ids[6 * number : 6 * number + 6])
        found[f"members/0{number}"] = replace(
            small_bundle,
            network=network,
            training={"best": best, "monitor": "validation_accuracy"},
            fitted_on={
                "weights": tuple(clip for clip in ids if clip not in aside),
                "validation": aside,
            },
        )
    return found


def test_selection_is_by_each_ones_own_validation_accuracy(models: dict[str, Bundle]) -> None:
    builder = Builder()
    candidates = builder.candidates(models)
    assert [one.accuracy for one in candidates] == [0.5, 0.75, 0.9]
    found = builder.build(candidates, select="accuracy>=0.75")
    assert [one["name"] for one in found.training["members"]] == ["members/01", "members/02"]
    assert found.training["left_out"] == ["members/00"]
    assert len(builder.build(candidates).members) == 3


def test_accuracy_is_measured_where_it_was_not_recorded(
    models: dict[str, Bundle], manifest: Manifest
) -> None:
    name, bundle = "members/01", models["members/01"]
    bundle = replace(bundle, training={"best": 0.3, "monitor": "validation_loss"})
    assert recorded_accuracy(bundle) is None
    (candidate,) = Builder(manifest).candidates({name: bundle})
    mine = manifest.rows(np.arange(6, 12))
    predicted = Predictor(bundle).predict_manifest(mine).probabilities.argmax(axis=1)
    truth = [LABELS.index(label) for label in mine.table["label"]]
    assert candidate.accuracy == np.mean(predicted == truth)
    (unknown,) = Builder().candidates({name: bundle})
    assert unknown.accuracy is None
    with pytest.raises(BundleError, match=r"members/01 was not recorded \(the only member\)"):
        Builder().build([unknown], select="accuracy>=0.5")


def test_each_member_is_calibrated_on_its_own_validation_clips(
    models: dict[str, Bundle], manifest: Manifest
) -> None:
    builder = Builder(manifest)
    found = builder.build(builder.candidates(models), voting="calibrated")
    p = np.random.default_rng(0).dirichlet(np.ones(3), 10)
    for number, (name, bundle) in enumerate(models.items()):
        rows = np.arange(6 * number, 6 * number + 6)
        mine = manifest.rows(rows)
        assert found.members[number].fitted_on["calibration"] == tuple(mine.clip_ids())
        predicted = Predictor(bundle).predict_manifest(mine).probabilities
        wanted = IsotonicCalibrator().fit(predicted, rows % 3).transform(p)
        np.testing.assert_allclose(found.calibrators[number].transform(p), wanted, err_msg=name)
    assert models["members/00"].fitted_on.keys() == {"weights", "validation"}


def test_one_member_may_be_calibrated_alone(models: dict[str, Bundle], manifest: Manifest) -> None:
    builder = Builder(manifest)
    candidates = builder.candidates({"run": models["members/02"]})
    assert len(builder.build(candidates, voting="calibrated").calibrators) == 1


def test_a_calibration_split_that_was_trained_on_is_refused(
    models: dict[str, Bundle], manifest: Manifest
) -> None:
    builder = Builder(manifest, calibration=manifest.rows(np.arange(8)))
    with pytest.raises(
        BundleError, match="2 of 8 clips to calibrate members/00 on were used to train its we"
    ):
        builder.build(builder.candidates(models), voting="calibrated")
    apart = {"members/00": models["members/00"]}
    builder = Builder(manifest, calibration=manifest.rows(np.arange(6)))
    assert builder.build(builder.candidates(apart), voting="calibrated").calibrators


def test_clips_of_recordings_that_were_trained_on_are_refused(
    models: dict[str, Bundle], manifest: Manifest
) -> None:
    """Nothing overlaps by name, but the clips were cut from one recording."""
    mixed = manifest.with_columns(group=["same"] * 18)
    builder = Builder(mixed)
    with pytest.raises(BundleError, match=r"have 1 groups that it was trained on \(same\)"):
        builder.build(builder.candidates(models), voting="calibrated")


def test_refusals(models: dict[str, Bundle], manifest: Manifest) -> None:
    builder = Builder(manifest)
    candidates = builder.candidates(models)
    best = (
        r"No member has accuracy>=0.95 \(the best of 3, members/02, has 0.900\)\. Expected at lea"
    )
    with pytest.raises(BundleError, match=best):
        builder.build(candidates, select="accuracy>=0.95")
    bare = replace(models["members/00"], fitted_on={}, training={})
    (without,) = builder.candidates({"run": bare})
    choices: list[dict[str, Any]] = [{"voting": "calibrated"}, {"select": "accuracy>=0.5"}]
    for options in choices:
        with pytest.raises(BundleError, match="No validation clips were set aside for run"):
            builder.build([without], **options)
    with pytest.raises(ManifestError, match="has 0 of the 6 validation clips of members/00"):
        Builder(manifest.rows(np.arange(6, 18))).build(candidates, voting="calibrated")
    with pytest.raises(ManifestError, match="The 6 validation clips of members/00 need a manifest"):
        Builder().build(candidates, voting="calibrated")
    renamed = replace(models["members/01"], labels=("cat", "rain", "siren"))
    with pytest.raises(BundleError, match="members have different labels: dog and cat are in one"):
        builder.build([candidates[0], Candidate("other", renamed, 0.9)])
    with pytest.raises(BundleError, match=r"no member\. Expected at least one"):
        builder.build([])


def test_too_few_clips_of_a_label_are_counted(
    models: dict[str, Bundle], manifest: Manifest
) -> None:
    bundle = models["members/00"]
    aside = tuple(manifest.clip_ids()[:4])  # two dogs, one rain, one siren
    few = replace(bundle, fitted_on={**bundle.fitted_on, "validation": aside})
    builder = Builder(manifest)
    with pytest.raises(
        CalibrationError, match=r"4 clips to calibrate run on, 1 of rain, 1 of siren. Expected"
    ):
        builder.build(builder.candidates({"run": few}), voting="calibrated")


@pytest.mark.parametrize("text", ["accuracy>70", "accuracy>=70", "loss<=1", "accuracy", ">=0.7"])
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="Expected accuracy>= and a share from 0 to 1"):
        least_accuracy(text)


def test_a_rule_is_a_share() -> None:
    assert least_accuracy("accuracy >= .7") == 0.7
    assert least_accuracy("accuracy>=1") == 1.0


def test_an_ensemble_costs_what_its_members_cost(models: dict[str, Bundle]) -> None:
    one = next(iter(models.values()))
    alone = complexity(one)
    assert alone == network_complexity(one.network, (1, 32, 63))
    together = complexity(Ensemble(tuple(models.values())))
    assert together.parameters == 3 * alone.parameters
    assert together.multiply_accumulates == 3 * alone.multiply_accumulates
