"""Calibrating a model: on which clips, where it is applied, and how it is kept."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic import bundle as bundles
from anymic import metrics
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.calibration import CalibrationError, DeviceCalibrator, TemperatureCalibrator
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError, ManifestError
from anymic.inference.predictor import Predictor
from anymic.training.calibrating import Calibrated, calibrate

RATE = 8000
LABELS = ("dog", "rain", "siren")
CLIPS = 72  # the first half of them of A, the second of B


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return noises of three labels and two devices, two clips a recording, and a column split."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for number in range(CLIPS):
        generator = np.random.default_rng(number)
        samples = generator.uniform(0.05, 0.9) * generator.uniform(-1, 1, RATE)
        soundfile.write(folder / f"{number}.wav", samples, RATE)
        label, device = LABELS[number % 3], "AB"[number >= CLIPS // 2]
        row = {"path": f"{number}.wav", "label": label, "device": device}
        rows.append({**row, "group": f"r{number // 6}-{number % 3}", "split": "validation"})
    return Manifest.from_table(pd.DataFrame(rows), folder)


@pytest.fixture
def model(small_bundle: Bundle, recordings: Manifest) -> Bundle:
    """Return a model that says something else of each clip, and had all of them set aside."""
    network = copy.deepcopy(small_bundle.network)
    generator = torch.Generator().manual_seed(1)
    classifier = network.classifier
    assert isinstance(classifier, torch.nn.Linear)
    classifier.weight.data += 0.5 * torch.randn(3, 64, generator=generator)
    fitted_on = {**small_bundle.fitted_on, "validation": tuple(recordings.clip_ids())}
    found = replace(small_bundle, network=network, fitted_on=fitted_on)
    predicted = Predictor(found).predict_manifest(recordings).probabilities
    balance = np.median(np.log(predicted), axis=0)  # so that no label is always the first
    classifier.bias.data -= torch.tensor(balance, dtype=torch.float32)
    return found


@pytest.fixture
def honest(model: Bundle, recordings: Manifest) -> Manifest:
    """Return the clips with labels that the model is right about, seven times of ten."""
    predicted = Predictor(model).predict_manifest(recordings).probabilities.argsort(axis=1)
    rank = np.random.default_rng(0).choice([-1, -2], CLIPS, p=[0.7, 0.3])
    found = predicted[np.arange(CLIPS), rank]
    return recordings.with_columns(label=[LABELS[number] for number in found])


def targets(clips: Manifest) -> np.ndarray:
    return np.array([LABELS.index(label) for label in clips.table["label"]])


def test_it_is_fitted_where_it_is_applied(model: Bundle, honest: Manifest) -> None:
    """Behind prediction: fitting again what the calibrated model says finds nothing to change."""
    before = Predictor(model).predict_manifest(honest)
    found = calibrate(model, honest)
    after = Predictor(found.model).predict_manifest(honest)
    wanted = TemperatureCalibrator().fit(before.probabilities, targets(honest))
    np.testing.assert_allclose(after.probabilities, wanted.transform(before.probabilities))
    again = TemperatureCalibrator().fit(after.probabilities, targets(honest))
    assert again.temperature_ == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(
        after.probabilities.argmax(axis=1), before.probabilities.argmax(axis=1)
    )
    assert found.model.fitted_on["calibration"] == tuple(honest.clip_ids())
    assert model.calibration is None


def test_what_it_says_of_itself(model: Bundle, honest: Manifest) -> None:
    found = calibrate(model, honest, per_device=True)
    assert [change.device for change in found.changes] == ["A", "B", ""]
    whole = found.changes[-1]
    p = Predictor(found.model).predict_manifest(honest).probabilities
    assert whole.fitted.clips == CLIPS
    assert whole.fitted.log_loss == pytest.approx(metrics.log_loss(p, targets(honest)))
    error = metrics.expected_calibration_error(p, targets(honest))
    assert whole.fitted.expected_calibration_error == pytest.approx(error)
    assert whole.fitted.log_loss < whole.before.log_loss
    assert whole.held_out is not None
    assert whole.held_out.log_loss > whole.fitted.log_loss  # who was not seen is worse off


def test_a_clip_gets_its_devices_calibrator_and_an_unknown_device_the_general_one(
    model: Bundle, honest: Manifest
) -> None:
    found = calibrate(model, honest, per_device=["A"]).model
    assert found.calibration is not None
    own, general = found.calibration.devices_["A"], found.calibration.general_
    assert own is not general
    path = honest.paths()[0]
    for device, wanted in (("A", own), ("B", general), ("Z", general), (None, general)):
        plain = Predictor(model).predict(path, device=device)
        predicted = Predictor(found).predict(path, device=device)
        before = np.array([list(plain.probabilities.values())])
        after = wanted.transform(before)[0]
        np.testing.assert_allclose(list(predicted.probabilities.values()), after)
        assert predicted.probability == max(predicted.probabilities.values())


def test_the_mean_over_windows_is_calibrated_and_each_window_for_itself(
    model: Bundle, honest: Manifest
) -> None:
    found = calibrate(model, honest).model
    samples = np.concatenate([soundfile.read(path)[0] for path in honest.paths()[:3]])
    clip = Clip(samples.astype(np.float32), RATE)
    plain, predicted = (Predictor(one).predict(clip, device="A") for one in (model, found))
    assert found.calibration is not None
    one = found.calibration.general_
    before = plain.window_probabilities
    np.testing.assert_allclose(
        list(predicted.probabilities.values()), one.transform(before.mean(axis=0)[None])[0]
    )
    np.testing.assert_allclose(predicted.window_probabilities, one.transform(before))


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_saved_and_loaded_it_answers_the_same(
    model: Bundle, honest: Manifest, tmp_path: Path, method: str
) -> None:
    found = calibrate(model, honest, method=method, per_device=False)  # type: ignore[arg-type]
    folder = found.model.save(tmp_path / "run")
    loaded = bundles.load(folder)
    wanted = Predictor(found.model).predict_manifest(honest).probabilities
    given = Predictor(loaded).predict_manifest(honest).probabilities
    np.testing.assert_array_equal(given, wanted)
    assert loaded.fitted_on == found.model.fitted_on
    model.save(folder)  # and an uncalibrated one in its place leaves nothing behind
    assert bundles.load(folder).calibration is None
    assert not (folder / "calibration.safetensors").exists()


def test_a_spoilt_calibrator_is_refused(model: Bundle, honest: Manifest, tmp_path: Path) -> None:
    folder = calibrate(model, honest).model.save(tmp_path / "run")
    path = folder / "calibration.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(
        BundleError, match=r"was altered since it was saved: calibration.safetensors"
    ):
        Bundle.load(folder)
    path.unlink()
    with pytest.raises(BundleError, match=r"has no calibration.safetensors"):
        Bundle.load(folder)
    path.write_bytes(content)
    index = folder / "bundle.json"
    values = json.loads(index.read_text())
    values["calibration"]["method"] = "isotonic"
    index.write_text(json.dumps(values))
    with pytest.raises(BundleError, match="does not fit its model"):
        Bundle.load(folder)


def test_a_bundle_of_before_loads_as_before(model: Bundle, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "run")
    index = folder / "bundle.json"
    values = json.loads(index.read_text())
    assert values.pop("calibration") is None
    index.write_text(json.dumps(values))
    assert Bundle.load(folder).calibration is None


def test_an_ensemble_is_calibrated_behind_its_vote(
    model: Bundle, small_bundle: Bundle, honest: Manifest, tmp_path: Path
) -> None:
    member = calibrate(model, honest).model
    assert isinstance(member, Bundle)
    ensemble = Ensemble((member, small_bundle))
    assert [one.calibration for one in ensemble.members] == [None, None]
    assert "calibration" not in ensemble.fitted_on
    before = Predictor(ensemble).predict_manifest(honest).probabilities
    found = calibrate(ensemble, honest, split="validation").model
    loaded = bundles.load(found.save(tmp_path / "ensemble"))
    wanted = TemperatureCalibrator().fit(before, targets(honest)).transform(before)
    given = Predictor(loaded).predict_manifest(honest).probabilities
    np.testing.assert_allclose(given, wanted)
    assert loaded.fitted_on["calibration"] == tuple(honest.clip_ids())
    with pytest.raises(BundleError, match="is an ensemble, and each member has its own valid"):
        calibrate(ensemble, honest)


def test_clips_that_were_learned_from_are_refused(model: Bundle, honest: Manifest) -> None:
    ids = honest.clip_ids()
    learned = replace(model, fitted_on={**model.fitted_on, "weights": tuple(ids[:5])})
    with pytest.raises(
        BundleError, match="5 of 72 clips to calibrate run on were used to train its weights"
    ):
        calibrate(learned, honest, name="run")
    learned = replace(learned, fitted_on={"weights": tuple(ids[:1])})
    aside = honest.with_columns(split=["train"] + ["validation"] * (CLIPS - 1))
    with pytest.raises(BundleError, match=r"have 1 groups that it was trained on \(r0-0\)"):
        calibrate(learned, aside, split="validation")
    general = DeviceCalibrator().fit([[0.9, 0.1]] * 3, [0, 0, 1], clip_ids=ids[:1])
    with pytest.raises(
        BundleError, match="The only clip to calibrate a model on was used to train its weights"
    ):
        replace(learned, calibration=general)


def test_test_clips_are_refused(model: Bundle, honest: Manifest) -> None:
    splits = ["test"] * 7 + ["validation"] * (CLIPS - 7)
    marked = honest.with_columns(split=splits)
    line = "7 of 72 clips to calibrate on have the split test"
    for split in (None, "all"):
        with pytest.raises(ManifestError, match=line):
            calibrate(model, marked, split=split)
    with pytest.raises(ManifestError, match="All 7 clips to calibrate on have the split test"):
        calibrate(model, marked, split="test")
    with pytest.raises(ManifestError, match=r"share 1 groups with the split test \(r0-0\)"):
        calibrate(
            model,
            honest.with_columns(split=["test"] + splits[8:] + ["validation"] * 7),
            split="validation",
        )


def test_too_few_clips_and_unknown_labels_are_refused(model: Bundle, honest: Manifest) -> None:
    few = honest.rows(np.r_[0:36, 36:48])
    line = r"12 of B\. Expected at least 30 clips of each device\. Set more clips aside"
    with pytest.raises(CalibrationError, match=line):
        calibrate(model, few, split="all", per_device=True)
    with pytest.raises(CalibrationError, match=r"36 of A \(\d+ of (dog|rain|siren)\)"):
        calibrate(model, honest, method="isotonic", per_device=True)
    one = honest.with_columns(label=["dog", "rain"] * (CLIPS // 2))
    with pytest.raises(
        CalibrationError, match=r"72 clips to calibrate the model on, 0 of siren\. Expected at"
    ):
        calibrate(model, one, method="isotonic")
    with pytest.raises(ManifestError, match="Unknown labels: cat"):
        calibrate(model, honest.with_columns(label="cat"))
    with pytest.raises(
        ManifestError, match=r"No clip has the split 'spare' \(splits: validation\)"
    ):
        calibrate(model, honest, split="spare")
    with pytest.raises(ManifestError, match="has 12 of the 72 validation clips of run"):
        calibrate(model, honest.rows(np.arange(12)), name="run")
    bare = replace(model, fitted_on={})
    with pytest.raises(BundleError, match="No validation clips were set aside for run"):
        calibrate(bare, honest, name="run")
    with pytest.raises(
        CalibrationError, match=r"method 'platt'\. Expected temperature or isotonic"
    ):
        calibrate(model, honest, method="platt")  # type: ignore[arg-type]


def test_a_bad_file_is_a_failure_beside_the_others(model: Bundle, honest: Manifest) -> None:
    paths = [*honest.table["path"]]
    found: Calibrated = calibrate(
        model, honest.with_columns(path=["gone.wav", *paths[1:]]), split="all"
    )
    assert [failure.path for failure in found.failures] == [str(honest.root / "gone.wav")]
    assert len(found.model.fitted_on["calibration"]) == CLIPS - 1


def test_not_sure_below_a_confidence(model: Bundle, honest: Manifest) -> None:
    path = honest.paths()[0]
    plain = Predictor(model).predict(path)
    assert plain.answer == plain.label
    for least, answer in ((plain.probability, plain.label), (plain.probability + 1e-6, None)):
        predicted = Predictor(model, min_confidence=least).predict(path)
        assert (predicted.answer, predicted.label) == (answer, plain.label)
        assert predicted.probabilities == plain.probabilities
    for wrong in (-0.1, 1.01, float("nan")):
        with pytest.raises(
            ConfigError, match=rf"min_confidence is {wrong}\. Expected a probability from"
        ):
            Predictor(model, min_confidence=wrong)
