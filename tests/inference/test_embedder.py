"""Pooled features: the network's own, window by window, and what other tools read of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic.bundle import Bundle, Ensemble
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, AudioError, BundleError, ConfigError, Failure
from anymic.inference.embedder import Embedder, Embeddings
from anymic.inference.embedding_files import PROJECTOR, TENSORS, format_of, write
from anymic.inference.predictor import Predictor

RATE = 8000


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    """Return files of one, two and three windows (the last one's third is half a window)."""
    paths = []
    for seed, seconds in enumerate((1.0, 2.0, 2.5)):
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE))
        paths.append(tmp_path / f"{seed}.wav")
        soundfile.write(paths[-1], samples, RATE, subtype="FLOAT")
    return paths


def test_features_are_the_networks_own(small_bundle: Bundle, sounds: list[Path]) -> None:
    """Against the network as it was trained, on windows cut by hand."""
    found = Embedder(small_bundle, precision="float32").embed(sounds, device="B")
    samples = [soundfile.read(path, dtype="float32")[0] for path in sounds]
    windows = [samples[0], *np.split(samples[1], 2), *np.split(samples[2][: 2 * RATE], 2)]
    windows.append(np.pad(samples[2][2 * RATE :], (0, RATE // 2)))
    frontend, network = small_bundle.frontend, cast(Any, small_bundle.network)
    with torch.inference_mode():
        features = frontend(torch.from_numpy(np.stack(windows)), frontend.device_index("BBBBBB"))
        expected = network.embed(features).numpy()
    np.testing.assert_allclose(found.features, expected, atol=2e-5)
    assert found.paths == tuple(str(sounds[number]) for number in (0, 1, 1, 2, 2, 2))
    assert found.starts_s.tolist() == [0, 0, 1, 0, 1, 2]
    assert found.rows.tolist() == [0, 1, 1, 2, 2, 2]
    assert found.devices == ("B",) * 6
    assert found.labels is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_classifier_makes_the_probabilities_of_them(
    small_bundle: Bundle, sounds: list[Path], precision: str
) -> None:
    bundle = replace(small_bundle, temperature=2.5)
    found = Embedder(bundle, precision=precision).embed(sounds)  # type: ignore[arg-type]
    with torch.inference_mode():
        logits = cast(Any, bundle.network).classifier(torch.from_numpy(found.features))
        probabilities = torch.softmax(logits / 2.5, dim=1).numpy()
    predictor = Predictor(bundle, precision=precision)  # type: ignore[arg-type]
    predicted = [predictor.predict(path).window_probabilities for path in sounds]
    tolerance = 1e-5 if precision == "float32" else 5e-3
    np.testing.assert_allclose(probabilities, np.concatenate(predicted), atol=tolerance)


def test_a_manifest_gives_stretches_labels_and_devices(
    small_bundle: Bundle, sounds: list[Path]
) -> None:
    rows = [(sounds[2], "dog", "B", 1.0, 1.0), (sounds[0], "rain", "", 0.0, 1.0)]
    rows.insert(1, (Path("missing.wav"), "dog", "A", 0.0, 1.0))
    columns = ["path", "label", "device", "start_s", "duration_s"]
    table = pd.DataFrame(rows, columns=columns).astype({"path": str})
    embedder = Embedder(small_bundle, precision="float32")
    done: list[int] = []
    found = embedder.embed_manifest(
        Manifest.from_table(table, root=sounds[0].parent), progress=done.append
    )
    assert found.labels == ("dog", "rain")
    assert found.devices == ("B", "")
    assert found.rows.tolist() == [0, 2]
    assert [failure.path for failure in found.failures] == [str(sounds[0].parent / "missing.wav")]
    assert sum(done) == 3
    whole = embedder.embed(sounds[2:], device="B")
    np.testing.assert_allclose(found.features[0], whole.features[1], atol=1e-6)


def test_a_clip_is_the_mean_of_its_windows() -> None:
    features = np.array([[1, 0], [3, 4], [5, 6], [9, 9]], dtype=np.float32)
    rows = np.array([2, 4, 4, 7])
    found = Embeddings(features, ("a", "b", "b", "c"), np.array([0.0, 0, 1, 0]), rows)
    means, sources = found.clips()
    assert sources.tolist() == [2, 4, 7]
    assert means.tolist() == [[1, 0], [4, 5], [9, 9]]


@pytest.fixture
def embeddings() -> Embeddings:
    features = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    paths = ("a,b.wav", 'tab\t"quoted".wav', "c.wav")
    starts_s = np.array([0.0, 0.1, 5.0])
    return Embeddings(
        features,
        paths,
        starts_s,
        np.arange(3),
        labels=("dog", "rain", "dog"),
        devices=("", "B", "A"),
    )


def test_what_is_written_is_read_back_exactly(embeddings: Embeddings, tmp_path: Path) -> None:
    with np.load(write(embeddings, tmp_path / "new" / "features.npz")) as arrays:
        assert set(arrays) == {"features", "paths", "starts_s", "labels", "devices"}
        assert arrays["features"].dtype == np.float32
        np.testing.assert_array_equal(arrays["features"], embeddings.features)
        for name in ("paths", "labels", "devices"):
            assert arrays[name].tolist() == list(getattr(embeddings, name))
    table = pd.read_csv(write(embeddings, tmp_path / "features.csv"), keep_default_na=False)
    assert table.columns[:5].tolist() == ["path", "start_s", "label", "device", "feature_0"]
    assert table["path"].tolist() == list(embeddings.paths)
    numbers = table.filter(like="feature_").to_numpy(dtype=np.float32)
    np.testing.assert_array_equal(numbers, embeddings.features)
    unknown = replace(embeddings, labels=None, devices=None)
    with np.load(write(unknown, tmp_path / "features.npz")) as arrays:
        assert set(arrays) == {"features", "paths", "starts_s"}


def test_tensorboard_reads_the_folder(embeddings: Embeddings, tmp_path: Path) -> None:
    from google.protobuf import text_format  # type: ignore[import-untyped]
    from tensorboard.plugins.projector import (  # type: ignore[import-untyped]
        ProjectorConfig,
        projector_plugin,
    )

    folder = write(embeddings, tmp_path / "projector")
    config = ProjectorConfig()
    text_format.Parse((folder / PROJECTOR).read_text(), config)
    assert config.embeddings[0].tensor_path == TENSORS
    tensors = projector_plugin._read_tensor_tsv_file(str(folder / TENSORS))
    np.testing.assert_array_equal(tensors, embeddings.features)
    # The projector takes the first line for names where there are several columns.
    lines = (folder / config.embeddings[0].metadata_path).read_text().split("\n")
    cells = [line.split("\t") for line in lines[:-1]]
    assert cells[0] == ["path", "start_s", "label", "device"]
    assert cells[2] == ['tab "quoted".wav', "0.1", "rain", "B"]
    assert [len(row) for row in cells] == [4] * 4


def test_an_ensemble_is_refused(small_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"ensemble of 2 models.*members/00"):
        Embedder(Ensemble((small_bundle, small_bundle)))


def test_what_is_neither_a_file_nor_a_clip_is_refused(small_bundle: Bundle) -> None:
    embedder = Embedder(small_bundle)
    with pytest.raises(AudioError, match="Samples without a rate"):
        embedder.embed([np.zeros(RATE, np.float32)])  # type: ignore[list-item]
    with pytest.raises(AudioError, match="A value of type str in place of several clips"):
        embedder.embed("a.wav")


def test_names_of_no_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v1.2").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "folder.npz").mkdir()
    assert format_of(tmp_path / "v1.2") == ("projector", False)
    assert format_of(tmp_path / "v1.2", "npz") == ("npz", True)
    assert format_of(tmp_path / "a.csv", "csv") == ("csv", False)
    for name, kind in (("a.csv", "npz"), ("folder", "jsonl"), ("a.npz", "projector")):
        with pytest.raises(ConfigError, match=r"does not fit|no format"):
            format_of(tmp_path / name, kind)
    for name in ("features.json", "file", "folder.npz"):
        with pytest.raises(ConfigError, match=r"\.npz or \.csv, or a folder"):
            format_of(tmp_path / name)


def test_nothing_is_written_of_nothing(embeddings: Embeddings, tmp_path: Path) -> None:
    none = np.empty((0, 0), dtype=np.float32)
    failed = (Failure("a.wav", "No file at a.wav"),)
    empty = Embeddings(none, (), np.empty(0), np.empty(0, dtype=np.int64), failures=failed)
    assert empty.clips()[0].shape == (0, 0)
    with pytest.raises(AnymicError, match=r"No file at a\.wav"):
        write(empty, tmp_path / "features.csv")
    assert not (tmp_path / "features.csv").exists()
