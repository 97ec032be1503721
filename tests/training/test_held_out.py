"""Training and measuring in one: what is set aside, and the baseline beside it."""

from __future__ import annotations

import json
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

import anymic
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.errors import AnymicError, AnymicWarning
from anymic.evaluation.report import read_json, select
from anymic.features import FrontendConfig
from anymic.training import TrainingConfig
from anymic.training.held_out import HeldOut, fit_and_measure
from anymic.training.mfcc_baseline import mfcc_statistics

RATE = 8000
CONFIG = TrainingConfig(
    frontend=FrontendConfig(rate_hz=RATE, fft_size=256, hop_samples=128, bands=32),
    width=0.25,
    epochs=1,
    validation_share=0,
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three labels: 10 recordings of each, cut into two clips of 0.4 s."""
    root = tmp_path_factory.mktemp("sounds")
    random = np.random.default_rng(4)
    for hz, label in ((300, "low"), (900, "middle"), (2700, "high")):
        (root / label).mkdir()
        for recording in range(10):
            time_s = np.arange(int(0.4 * RATE)) / RATE
            for part in "ab":
                tone = np.sin(2 * np.pi * hz * random.uniform(0.8, 1.2) * time_s)
                tone += random.normal(scale=0.3, size=len(time_s))
                soundfile.write(root / label / f"{recording}-{part}.wav", 0.2 * tone, RATE)
    return root


def trained(clips: Manifest, place: Path) -> Bundle:
    return anymic.train(clips, CONFIG, place, progress=False)


def test_a_model_is_measured_on_recordings_that_it_was_not_trained_on(
    sounds: Path, tmp_path: Path
) -> None:
    bundle = anymic.train(
        sounds,
        CONFIG,
        tmp_path / "run",
        progress=False,
        test_share=0.2,
        group_from=r"^(\d+)-",
    )
    rows, header = read_json(tmp_path / "run" / "report" / "report.json")
    (accuracy,) = select(rows, "accuracy")
    assert (accuracy.n, header["recordings"]) == (12, 2)
    assert "warning" not in header
    assert bundle.training["clips"] == 48
    held_out = bundle.training["held_out"]
    assert held_out["accuracy"]["value"] == accuracy.value
    assert Bundle.load(tmp_path / "run").training["held_out"] == json.loads(json.dumps(held_out))
    # the baseline is on the same clips, and tones are easy for it
    model, baseline = select(rows, "accuracy", "classifier")
    assert (model.value, model.n) == (accuracy.value, 12)
    assert (baseline.condition["classifier"], baseline.value) == ("MFCC baseline", 1.0)
    (change,) = select(rows, "accuracy_difference", "classifier", "against_classifier")
    assert change.value == pytest.approx(model.value - 1.0)


def test_with_folds_every_clip_is_measured_and_the_model_is_trained_on_all(
    sounds: Path, tmp_path: Path
) -> None:
    found = fit_and_measure(
        trained, sounds, tmp_path / "run", held_out=HeldOut(folds=3, group_from=r"^(\d+)-")
    )
    assert found.evaluation is not None
    assert sorted(found.evaluation.clips.table["path"]) == sorted(as_manifest(sounds).table["path"])
    assert "trained on all clips" in found.how
    assert len(found.bundle.fitted_on["weights"]) == 60
    tested = 0
    for fold in (1, 2, 3):
        model = Bundle.load(tmp_path / "run" / "folds" / str(fold))
        inside = ~np.isin(found.evaluation.clips.clip_ids(), model.fitted_on["weights"])
        clips = found.evaluation.clips.rows(inside)
        again = anymic.evaluate(model, clips, split="all")
        np.testing.assert_allclose(
            again.probabilities, found.evaluation.probabilities[inside], atol=1e-6
        )
        tested += int(inside.sum())
    assert tested == 60
    (accuracy,) = select(found.evaluation.rows, "accuracy")
    predicted = found.evaluation.probabilities.argmax(axis=1)
    assert accuracy.value == accuracy_score(found.evaluation.targets, predicted)


def test_the_command_prints_and_writes_the_same(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["width=0.25", "epochs=1", "frontend.bands=32", "clip_s=0.4"]
    settings += ["frontend.rate_hz=8000", "frontend.fft_size=256", "frontend.hop_samples=128"]
    command = ["train", "--data", str(sounds), "--out", str(tmp_path / "run"), "--json"]
    command += ["--test-share", "0.2", "--group-from", r"^\d+"]
    command += [part for one in settings for part in ("--set", one)]
    assert main(command) == 0
    plain = json.loads(capsys.readouterr().out)
    rows, _ = read_json(tmp_path / "run" / "report" / "report.json")
    assert plain["report"]["rows"] == [{**vars(row)} for row in rows]
    assert {"classifier": "MFCC baseline"} in [row.condition for row in rows]


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of 12 recordings, cut into two clips, with a low tone, a high one, or none."""
    root = tmp_path_factory.mktemp("mixtures")
    random, rows = np.random.default_rng(5), []
    time_s = np.arange(int(0.4 * RATE)) / RATE
    for number in range(24):
        own = [name for bit, name in enumerate(("low", "high")) if (number // 2) >> bit & 1]
        clip = random.normal(scale=0.1, size=len(time_s))
        for name in own:
            clip += np.sin(2 * np.pi * {"low": 300, "high": 2700}[name] * time_s)
        soundfile.write(root / f"{number}.wav", 0.2 * clip, RATE)
        rows.append({"path": f"{number}.wav", "label": ";".join(own), "group": number // 2})
    pd.DataFrame(rows).to_csv(root / "clips.csv", index=False)
    return root / "clips.csv"


def test_several_labels_a_clip_are_measured_by_precision_and_f1_beside_the_baseline(
    mixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["targets=several", "width=0.25", "epochs=1", "frontend.bands=32", "clip_s=0.4"]
    settings += ["validation_share=0.4"]
    settings += ["frontend.rate_hz=8000", "frontend.fft_size=256", "frontend.hop_samples=128"]
    command = ["train", "--data", str(mixtures), "--out", str(tmp_path / "run"), "--folds", "3"]
    assert main([*command, *(part for one in settings for part in ("--set", one))]) == 0
    printed, _ = capsys.readouterr()
    assert "Mean average precision is " in printed
    assert "MFCC baseline" in printed
    rows, header = read_json(tmp_path / "run" / "report" / "report.json")
    assert header["recordings"] == 12
    (precision,), (f1,) = select(rows, "mean_average_precision"), select(rows, "macro_f1")
    assert precision.n == f1.n == 24
    model, baseline = select(rows, "mean_average_precision", "classifier")
    (change,) = select(
        rows, "mean_average_precision_difference", "classifier", "against_classifier"
    )
    assert (model.value, baseline.value) == (precision.value, 1.0)  # tones are easy for it
    assert change.value == pytest.approx(model.value - 1.0)
    # F1 is at the thresholds of the model that classified each clip
    manifest = Manifest.read(mixtures, several=True)
    scores, named = np.zeros((24, 2)), np.zeros((24, 2), dtype=bool)
    for fold in "123":
        bundle = Bundle.load(tmp_path / "run" / "folds" / fold)
        fitted = [*bundle.fitted_on["weights"], *bundle.fitted_on["validation"]]
        tested = ~np.isin(manifest.clip_ids(), fitted)
        found = anymic.evaluate(bundle, manifest.rows(tested), split="all")
        scores[tested] = found.probabilities
        named[tested] = found.probabilities >= np.array(bundle.thresholds)
    targets = manifest.targets(["high", "low"])
    assert precision.value == pytest.approx(average_precision_score(targets, scores))
    assert f1.value == pytest.approx(f1_score(targets, named, average="macro"))
    record = Bundle.load(tmp_path / "run").training["held_out"]
    assert record["mean_average_precision"]["value"] == precision.value


def test_statistics_are_those_of_librosa(sounds: Path) -> None:
    clips = as_manifest(sounds).rows([0, 25])
    found = mfcc_statistics(clips)
    assert found.rate_hz == RATE
    for path, features in zip(clips.paths(), found.features, strict=True):
        samples, _ = librosa.load(path, sr=None)
        mfcc = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=20)
        expected = np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])
        np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3)


def test_the_split_of_the_manifest_is_followed_and_a_share_is_said_to_be_unused(
    sounds: Path, tmp_path: Path
) -> None:
    clips = as_manifest(sounds)
    splits = ["test" if path.endswith("0-a.wav") else "train" for path in clips.table["path"]]
    clips = clips.with_columns(split=splits)
    with pytest.warns(AnymicWarning, match="clips of the split test are used, not a share of 0.5"):
        found = fit_and_measure(trained, clips, tmp_path / "run", held_out=HeldOut(test_share=0.5))
    assert found.evaluation is not None
    assert len(found.evaluation.clips) == 3


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ({"folds": 1}, "1 fold cannot be made"),
        ({"test_share": 1.0}, "The share to be set aside is 1"),
        ({"test_share": 0.2, "folds": 5}, "both to be set aside"),
        ({"folds": 5, "group_from": "("}, "regular expression"),
        ({"folds": 5, "group_from": "x"}, "all 60 files no group"),
        ({"folds": 5, "only": "low/0-a.wav"}, "ll clips of low are in one fold"),
    ],
)
def test_what_cannot_be_set_aside_is_refused_before_training(
    sounds: Path, tmp_path: Path, held_out: dict[str, object], words: str
) -> None:
    clips = as_manifest(sounds)
    if only := held_out.pop("only", None):
        table = clips.table
        clips = clips.rows(((table["label"] != "low") | (table["path"] == only)).to_numpy())
    with pytest.raises(AnymicError, match=words):
        anymic.train(clips, CONFIG, tmp_path / "run", **held_out)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_label_that_only_test_clips_have_is_refused(sounds: Path, tmp_path: Path) -> None:
    clips = as_manifest(sounds)
    splits = clips.table["label"].map({"low": "test"}).fillna("train")
    with pytest.raises(AnymicError, match="nknown labels"):
        anymic.train(clips.with_columns(split=splits), CONFIG, tmp_path, test_share=0.2)


def test_clips_that_cannot_be_read_are_failures_of_both(sounds: Path, tmp_path: Path) -> None:
    clips = as_manifest(sounds)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    rows = clips.table.assign(path=[str(path) for path in clips.paths()])
    rows.loc[0, "path"] = str(tmp_path / "bad.wav")
    rows = rows.assign(split=["test" if number % 5 == 0 else "train" for number in range(60)])
    with pytest.warns(AnymicWarning):
        found = fit_and_measure(trained, rows, tmp_path / "run", held_out=HeldOut(test_share=0.2))
    assert found.evaluation is not None
    assert found.evaluation.baseline is not None
    assert [Path(one.path).name for one in found.evaluation.failures] == ["bad.wav"]
    assert found.evaluation.baseline.rows[0].n == len(found.evaluation.clips) == 11
