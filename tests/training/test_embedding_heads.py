"""Heads on embeddings that are brought along: from an .npz to a head, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.damage import DAMAGES, Damage

from anymic.cli import main
from anymic.codecs.random_codec import Codecs
from anymic.data.embeddings import read_vectors
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.errors import BundleError, ConfigError, ManifestError
from anymic.inference.embedding_head import load_head
from anymic.models.segments import fixed_segments
from anymic.training import TrainingConfig
from anymic.training.embedding_heads import fit_vectors

LABELS = ("hiss", "hum", "tick")


def arrays(*, clips: int = 12, width: int = 5) -> dict[str, np.ndarray]:
    """Return what a model far from sound may give: clips of 1 to 4 vectors, classes apart."""
    generator = np.random.default_rng(0)
    features, paths, labels, starts = [], [], [], []
    for clip in range(clips):
        for segment in range(1 + clip % 4):
            centre = 1e6 * np.eye(3, width)[clip % 3]  # float16 would end at 65504
            features.append(centre + generator.normal(scale=1e5, size=width))
            paths.append(f"{clip}.wav")
            labels.append(LABELS[clip % 3])
            starts.append(0.96 * segment)
    return {
        "features": np.array(features),
        "paths": np.array(paths),
        "labels": np.array(labels),
        "starts_s": np.array(starts),
    }


def write(path: Path, **changes: NDArray[Any] | None) -> Path:
    kept = {name: value for name, value in {**arrays(), **changes}.items() if value is not None}
    np.savez(path, **kept)  # type: ignore[arg-type]
    return path


def test_a_head_learns_vectors_and_answers_as_its_network_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = arrays()
    shuffled = np.random.default_rng(1).permutation(len(own["paths"]))
    path = write(tmp_path / "own.npz", **{name: value[shuffled] for name, value in own.items()})
    arguments = ["--embeddings", str(path), "--segments", "2", "--hidden", "16", "--epochs", "12"]
    arguments += ["--head", "lstm", "--mixup", "0", "--batch", "4"]
    assert main(["train-head", *arguments, "--out", str(tmp_path / "head"), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["labels"] == list(LABELS)
    head = load_head(tmp_path / "head")
    vectors = read_vectors(path, labelled=False)
    # In the order of time, whatever the order in the file.
    sequence = own["features"][own["paths"] == "3.wav"]
    row = vectors.clips.table["path"].tolist().index("3.wav")
    np.testing.assert_allclose(vectors.sequences[row], sequence, rtol=1e-6)
    answers = head.predict(vectors)
    parts = fixed_segments((sequence - head.mean) / head.scale, 2).astype(np.float32)
    with torch.no_grad():
        expected = head.network(torch.from_numpy(parts)).double().softmax(dim=1).mean(dim=0)
    np.testing.assert_allclose(answers[row], expected, atol=1e-6)
    right = answers.argmax(axis=1) == [
        LABELS.index(label) for label in vectors.clips.table["label"]
    ]
    assert right.mean() > 0.6  # a third by chance


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": None}, "has no labels"),
        ({"paths": np.array(["a.wav"])}, r"paths"),
        ({"features": np.zeros(3)}, r"features .* are \(3,\)"),
        ({"features": np.full((len(arrays()["paths"]), 5), np.nan)}, "not finite"),
        ({"labels": np.arange(len(arrays()["paths"]))}, "two labels"),
        ({"features": np.array([None])}, "cannot be read"),
    ],
)
def test_bad_vectors_get_one_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words) as error:
        read_vectors(write(tmp_path / "bad.npz", **changes))
    assert "\n" not in str(error.value)


def test_rejections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.npz").write_bytes(write(tmp_path / "whole.npz").read_bytes()[:200])
    with pytest.raises(ManifestError, match="cannot be read"):
        read_vectors(tmp_path / "cut.npz")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_vectors(tmp_path / "nowhere.npz")
    with pytest.raises(BundleError, match=r"has no head\.json. Expected the folder of a head"):
        load_head(tmp_path)
    out = ["--out", str(tmp_path / "head")]
    assert main(["train-head", *out]) == 2
    assert "--embeddings alone" in capsys.readouterr().err
    arguments = ["--embeddings", str(tmp_path / "whole.npz"), "--hidden", "4", "--epochs", "1"]
    assert main(["train-head", *arguments, *out]) == 0
    vectors, devices = read_vectors(tmp_path / "whole.npz"), RandomDevices()
    config = TrainingConfig(network="dense_head", random_devices=devices)
    with pytest.raises(ConfigError, match=r"Random devices cannot record embeddings\. Expected"):
        fit_vectors(vectors, config, tmp_path / "none")
    through = TrainingConfig(network="dense_head", codecs=Codecs())
    with pytest.raises(ConfigError, match=r"Embeddings cannot be passed through codecs\. Expected"):
        fit_vectors(vectors, through, tmp_path / "none")
    assert main(["train-head", *arguments, *out, "--head", "dense", "--copies", "2"]) == 2
    assert "Random devices cannot record embeddings" in capsys.readouterr().err
    logistic = ["--embeddings", str(tmp_path / "whole.npz"), "--head", "logistic"]
    assert main(["train-head", *logistic, *out]) == 0
    wide = write(tmp_path / "wide.npz", features=np.zeros((len(arrays()["paths"]), 6)))
    with pytest.raises(ConfigError, match=r"vectors have 6 features\. Expected 5"):
        load_head(tmp_path / "head").predict(read_vectors(wide))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_embeddings_are_refused(
    damage: Damage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "own.npz")
    path.write_bytes(damage(path.read_bytes()))
    assert main(["train-head", "--embeddings", str(path), "--out", str(tmp_path / "head")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert str(path) in line
