"""Clips with several labels, or none: training, thresholds, and the same answers everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic import Codec, evaluate, robustness
from anymic.bundle import Bundle
from anymic.calibration import CalibrationError
from anymic.cli import main
from anymic.data.embeddings import Vectors
from anymic.data.label_sets import indicators
from anymic.data.manifest import Manifest
from anymic.data.splits import split_groups
from anymic.errors import AnymicWarning, ManifestError
from anymic.features import FrontendConfig
from anymic.inference.predictor import Predictor
from anymic.training import TrainingConfig, fit
from anymic.training.calibrating import calibrate
from anymic.training.embedding_heads import fit_vectors
from anymic.training.finetuning import finetune
from anymic.training.loop.augmentation import Mixup

RATE_HZ, CLIP_S = 8000, 0.5
TONES = {"high": 2000.0, "low": 300.0}  # by label

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:too few of the:anymic.errors.AnymicWarning"),
]


def write_corpus(folder: Path, clips: int, *, seed: int = 0) -> Manifest:
    """Write noise with a low tone, a high tone, both or none, as often; return the manifest."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(CLIP_S * RATE_HZ)) / RATE_HZ
    rows = []
    for number, (low, high) in zip(range(clips), _cycle(), strict=False):
        samples = generator.normal(0, 0.05, len(time_s))
        for label, there in (("low", low), ("high", high)):
            samples += there * 0.2 * np.sin(2 * np.pi * TONES[label] * time_s)
        path = folder / f"{number}.wav"
        soundfile.write(path, samples, RATE_HZ)
        label = ";".join(name for name, there in (("low", low), ("high", high)) if there)
        rows.append({"path": path.name, "label": label, "group": f"g{number}"})
    return Manifest.from_table(pd.DataFrame(rows), folder, several=True)


def _cycle() -> Any:
    while True:
        yield from ((0, 0), (0, 1), (1, 0), (1, 1))


def settings(**changes: Any) -> TrainingConfig:
    chosen: dict[str, Any] = {
        "network": "basic1",
        "width": 0.25,
        "frontend": FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32),
        "targets": "several",
        "loss": "cross_entropy",
        "epochs": 30,
        "batch_size": 8,
        "learning_rate": 1.0,
        "mixup": None,
        "monitor": "loss",
        "validation_share": 0.3,
        "precision": "float32",
        **changes,
    }
    return TrainingConfig(**chosen)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_corpus(tmp_path_factory.mktemp("corpus"), 64)


@pytest.fixture(scope="module")
def trained(corpus: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    out = tmp_path_factory.mktemp("run")
    csv = corpus.write(corpus.root / "manifest.csv")  # by its path, as on the command line
    return fit(csv, settings(), out, progress=False), out


def test_a_network_learns_to_name_several_labels_and_none(
    trained: tuple[Bundle, Path], corpus: Manifest, tmp_path: Path
) -> None:
    bundle, out = trained
    assert (bundle.labels, bundle.targets) == (("high", "low"), "several")
    assert bundle.training["thresholds"]["clips"] == len(bundle.fitted_on["validation"])
    other = write_corpus(tmp_path, 16, seed=1)
    found = [Predictor(bundle).predict(path) for path in other.paths()]
    right = [
        set(one.labels) == set(own) for one, own in zip(found, other.label_sets(), strict=True)
    ]
    assert sum(right) >= 12
    assert Bundle.load(out).thresholds == bundle.thresholds


def test_predict_evaluate_and_the_command_line_name_the_same_labels(
    trained: tuple[Bundle, Path], corpus: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, out = trained
    predictor = Predictor(bundle)
    single = [predictor.predict(path) for path in corpus.paths()]
    measured = evaluate(out, corpus)
    expected = [list(one.probabilities.values()) for one in single]
    np.testing.assert_allclose(measured.probabilities, expected, atol=1e-6)
    assert main(["predict", *map(str, corpus.paths()), "--model", str(out), "--json"]) == 0
    for row, one in zip(json.loads(capsys.readouterr().out), single, strict=True):
        assert row["labels"] == list(one.labels)
        assert not {"label", "answer", "probability"} & set(row)
        named = {label for label, p in one.probabilities.items() if p >= row["thresholds"][label]}
        assert named == set(one.labels)


def test_a_head_on_embeddings_learns_several_labels(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    sets = [own for _, own in zip(range(60), _cycle(), strict=False)]
    table = pd.DataFrame(
        {
            "path": [f"{number:02}.wav" for number in range(60)],
            "label": [";".join(np.array(["a", "b"])[np.array(own) > 0]) for own in sets],
        }
    )
    sequences = tuple(
        (generator.normal(0, 0.3, (2, 6)) + 2 * np.array([*own] * 3)).astype(np.float32)
        for own in sets
    )
    vectors = Vectors(Manifest.from_table(table, tmp_path, several=True), sequences)
    config = settings(network="dense_head", epochs=25, width=1.0)
    head = fit_vectors(vectors, config, tmp_path / "head", segments=2, hidden=16)
    measured = evaluate(tmp_path / "head", vectors)
    np.testing.assert_array_equal(measured.probabilities, head.predict(vectors))
    answers = head.answers(vectors)
    right = [set(one.labels) for one in answers]
    assert (
        np.mean([a == set(b) for a, b in zip(right, vectors.clips.label_sets(), strict=True)]) > 0.8
    )


def test_balanced_batches_and_mixup_train_too(corpus: Manifest, tmp_path: Path) -> None:
    config = settings(
        sampling="balanced", epochs=2, mixup=Mixup(), temperature=2.0, monitor="accuracy"
    )
    bundle = fit(corpus, config, tmp_path / "run", progress=False)
    assert (bundle.targets, bundle.temperature) == ("several", 2.0)
    assert bundle.training["monitor"] == "validation_mean_average_precision"
    assert 0 < bundle.training["best"] <= 1


def test_fine_tuning_keeps_the_kind_of_model_and_chooses_thresholds_again(
    trained: tuple[Bundle, Path], corpus: Manifest, tmp_path: Path
) -> None:
    config = settings(epochs=1, learning_rate=1e-6)
    tuned = finetune(trained[1], corpus, tmp_path / "run", config=config, progress=False)
    assert tuned.targets == "several"
    rows = tuned.training["finetuned"]["measured"]
    assert rows[0]["value"] > 0.5  # where exactly the labels of a clip are named
    csv = corpus.root / "manifest.csv"
    again = calibrate(trained[1], csv)
    assert again.model.thresholds == pytest.approx(trained[0].thresholds, abs=0.05)
    with pytest.raises(CalibrationError, match="names several labels a clip"):
        calibrate(trained[1], csv, method="isotonic")


def test_robustness_counts_clips_whose_labels_are_all_right(
    trained: tuple[Bundle, Path], corpus: Manifest
) -> None:
    found = robustness(trained[1], corpus, codecs=[Codec("sbc", kbps=192)], clips=12)
    probabilities = found.probabilities[0]
    right = (probabilities >= trained[0].thresholds) == found.targets
    assert found.accuracy(0).value == right.all(axis=1).mean()
    assert {row.metric for row in found.rows} >= {"accuracy", "mean_average_precision", "flips"}
    assert "all labels of a clip are right" in str(found)


def test_one_label_a_clip_refuses_several(corpus: Manifest, tmp_path: Path) -> None:
    for clips in (corpus, corpus.rows(corpus.table["label"].to_numpy() != "")):
        with pytest.raises(ManifestError, match=r"Set targets to several to train") as caught:
            fit(clips, settings(targets="one"), tmp_path / "run", progress=False)
        assert "\n" not in str(caught.value)


def test_a_split_divides_labels_and_clips_without_one_evenly(corpus: Manifest) -> None:
    rest, part = split_groups(corpus, share=0.4, seed=3)
    for one in (rest, part):
        counts = indicators(one.label_sets(), corpus.labels).sum(axis=0) / len(one)
        np.testing.assert_allclose(counts, 0.5, atol=0.1)
        assert np.mean([not own for own in one.label_sets()]) == pytest.approx(0.25, abs=0.1)


def test_without_clips_set_aside_every_threshold_is_the_usual_one(
    corpus: Manifest, tmp_path: Path
) -> None:
    config = settings(epochs=1, validation_share=0.0)
    with pytest.warns(
        AnymicWarning, match=r"of 0 clips set aside, too few .* high, low: .* 0\.5 on"
    ):
        bundle = fit(corpus, config, tmp_path / "run", progress=False)
    assert bundle.thresholds == (0.5, 0.5)
