"""A Ray cluster computes the features that this process computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.features import Frontend, FrontendConfig
from anymic.features.feature_batches import Length
from anymic.features.feature_store import open_features

RATE_HZ = 8000
CONFIG = FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32)


@pytest.fixture
def corpus(tmp_path: Path) -> Manifest:
    """Return a manifest of 40 clips of two devices, one of which is no sound."""
    generator = np.random.default_rng(0)
    names = [f"{number:02}.wav" for number in range(40)]
    for name in names:
        noise = generator.normal(scale=0.1, size=RATE_HZ // 2)
        soundfile.write(tmp_path / name, noise, RATE_HZ)
    (tmp_path / "17.wav").write_text("no sound")
    columns = {"path": names, "label": ["one", "two"] * 20, "device": ["A"] * 20 + ["B"] * 20}
    manifest = Manifest.from_table(pd.DataFrame(columns), root=tmp_path)
    manifest.write(tmp_path / "clips.csv")
    return manifest


@pytest.mark.cluster
@pytest.mark.slow
def test_features_are_those_of_this_process(
    cluster: None, corpus: Manifest, tmp_path: Path
) -> None:
    frontend = Frontend(CONFIG, device_gains={"B": np.full(CONFIG.bins, 2.0)})
    stores, counts = [], []
    for ray in (None, "local"):
        counted: list[int] = []
        place = tmp_path / f"cache-{ray}"
        found = open_features(
            *(corpus, frontend, place),
            length=Length(0.5),
            dtype="float32",
            progress=counted.append,
            ray=ray,
        )
        stores.append(found)
        counts.append(sum(counted))
    here, there = stores
    np.testing.assert_allclose(there.features, here.features, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(there.rows, here.rows)
    assert there.failures == here.failures
    assert len(there.failures) == 1
    assert counts == [40, 40]


@pytest.mark.cluster
@pytest.mark.slow
def test_a_training_has_its_features_from_a_cluster(
    cluster: None, corpus: Manifest, tmp_path: Path
) -> None:
    settings = [
        *("network=basic1", "width=0.25", "epochs=1", "batch_size=4", "clip_s=0.5"),
        *("frontend.rate_hz=8000", "frontend.fft_size=256", "frontend.hop_samples=128"),
        *("frontend.bands=32", "precision=float32", "mixup=null"),
    ]
    changes = [part for one in settings for part in ("--set", one)]
    out = tmp_path / "run"
    command = ["train", "--data", str(tmp_path / "clips.csv"), "--out", str(out), *changes]
    assert main([*command, "--ray", "local"]) == 1, "17.wav"
    (stored,) = (out / "features").glob("*.features")
    before = stored.read_bytes()
    stored.unlink()
    assert main(command) == 1
    assert len(stored.read_bytes()) == len(before)


def test_a_cluster_for_a_head_is_one_line(
    corpus: Manifest, bundle_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, out = str(tmp_path / "clips.csv"), str(tmp_path / "out")
    command = ["train", "--data", data, "--out", out, "--extractor", str(bundle_folder)]
    assert main([*command, "--head", "dense", "--ray", "local"]) == 2
    (line,) = (one for one in capfd.readouterr().err.splitlines() if "note" not in one)
    assert "a head on embeddings" in line
    assert "Expected" in line
