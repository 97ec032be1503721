"""Models that name several labels a clip: their settings, their files, and who may vote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymic import bundle
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.targets import named
from anymic.calibration import IsotonicCalibrator
from anymic.errors import BundleError
from anymic.inference.answers import probabilities
from anymic.inference.engine import Engine

THRESHOLDS = (0.2, 0.5, 0.75)


@pytest.fixture
def several(small_bundle: Bundle) -> Bundle:
    return replace(small_bundle, targets="several", thresholds=THRESHOLDS)


def test_what_is_loaded_is_what_was_saved(several: Bundle, tmp_path: Path) -> None:
    loaded = Bundle.load(several.save(tmp_path / "model"))
    assert (loaded.targets, loaded.thresholds) == ("several", THRESHOLDS)
    ensemble = bundle.load(Ensemble((several, several)).save(tmp_path / "ensemble"))
    assert (ensemble.targets, ensemble.thresholds) == ("several", THRESHOLDS)


def test_a_model_that_says_nothing_has_one_label_a_clip(
    small_bundle: Bundle, tmp_path: Path
) -> None:
    index = small_bundle.save(tmp_path / "model") / "bundle.json"
    values = json.loads(index.read_text())
    del values["targets"], values["thresholds"]  # as before these settings existed
    index.write_text(json.dumps(values))
    loaded = Bundle.load(tmp_path / "model")
    assert (loaded.targets, loaded.thresholds) == ("one", None)


def test_scores_are_sigmoids_of_the_logits(several: Bundle, small_bundle: Bundle) -> None:
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2, 8000))).float()
    warm = replace(several, temperature=2.0)
    engine = Engine(warm, precision="float32", accelerator="cpu")
    found = engine.classify(engine.features(samples))
    with torch.inference_mode():
        maps = warm.frontend(samples, warm.frontend.device_index([None, None]))
        logits = warm.network(maps)
    expected = torch.sigmoid(logits.double() / 2.0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found.sum(axis=1) - 1).max() > 0.01
    np.testing.assert_array_equal(probabilities(logits, 2.0, "several"), expected)


def test_the_scores_of_an_ensemble_are_the_mean_of_its_members(several: Bundle) -> None:
    other = replace(several, temperature=3.0, thresholds=None)
    ensemble = Ensemble((several, other))
    assert ensemble.thresholds == pytest.approx((0.35, 0.5, 0.625))  # 0.5 where none was chosen
    samples = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (2, 8000))).float()
    engines = [Engine(one, precision="float32") for one in (ensemble, several, other)]
    together, *each = [engine.classify(engine.features(samples)) for engine in engines]
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-6)


def test_a_label_is_named_from_its_threshold_on() -> None:
    p = [[0.2, 0.499, 0.75], [0.1999, 0.5, 0.0]]
    assert named(p, THRESHOLDS).tolist() == [[True, False, True], [False, True, False]]
    assert named(p, None).tolist() == [[False, False, True], [False, True, False]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": (0.5, 0.5)}, r"thresholds of 3 labels are \[0\.5, 0\.5\]"),
        ({"thresholds": (0.5, 0.5, 1.5)}, "thresholds of 3 labels"),
        ({"targets": "one"}, "a model of one label a clip has thresholds"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    several: Bundle, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        replace(several, **changes)


def test_only_soft_voting(several: Bundle, small_bundle: Bundle) -> None:
    generator = np.random.default_rng(0)
    steps = IsotonicCalibrator().fit(generator.dirichlet(np.ones(3), 30), np.arange(30) % 3)
    with pytest.raises(BundleError, match="Geometric voting is for models of one label a clip"):
        Ensemble((several, several), "geometric")
    with pytest.raises(BundleError, match="Calibrated voting is for models of one label a clip"):
        Ensemble((several,), "calibrated", (steps,))
    with pytest.raises(BundleError, match="one and several labels a clip"):
        Ensemble((small_bundle, several))
