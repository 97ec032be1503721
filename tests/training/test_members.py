"""Members of an ensemble: each on its own split, none of them trained twice."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic._internal.processes import in_processes
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.data.splits import development
from anymic.errors import ConfigError, ManifestError
from anymic.features import FrontendConfig
from anymic.training import CorrectionConfig, TrainingConfig, fit
from anymic.training.members import fit_members

RATE = 8000
CONFIG = TrainingConfig(
    frontend=FrontendConfig(rate_hz=RATE, fft_size=256, hop_samples=128, bands=32),
    epochs=1,
    batch_size=8,
    validation_share=0.25,
    seed=7,
    precision="float32",
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return 24 clips of two labels, two devices and eight recordings, and two test clips."""
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for number in range(26):
        sound = np.random.default_rng(number // 2).uniform(-0.3, 0.3, RATE)
        samples = sound * (1.0, 0.5)[number % 2]
        soundfile.write(root / f"{number}.wav", samples, RATE)
        split = "train" if number < 20 else "validation" if number < 24 else "test"
        rows.append(
            {
                "path": f"{number}.wav",
                "label": "ab"[number // 2 % 2],
                "device": "AB"[number % 2],
                "group": f"g{number // 4 if number < 24 else 9}",
                "take": f"t{number // 2}",
                "split": split,
            }
        )
    return Manifest.from_table(pd.DataFrame(rows), root)


@pytest.fixture(scope="module")
def places(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("run")
    return fit_members(manifest, CONFIG, out, members=3, workers=1, progress=False)


def test_every_member_has_its_own_split_without_leaks(
    manifest: Manifest, places: list[Path]
) -> None:
    """Of all clips but the test clips, and never with a recording on both sides."""
    pool = development(manifest)
    assert len(pool) == 24
    group = dict(zip(pool.clip_ids(), pool.table["group"], strict=True))
    asides = []
    for number, place in enumerate(places):
        bundle = Bundle.load(place)
        weights, aside = (set(bundle.fitted_on[use]) for use in ("weights", "validation"))
        assert weights | aside == set(pool.clip_ids())
        assert not {group[clip] for clip in weights} & {group[clip] for clip in aside}
        assert bundle.training["settings"]["seed"] == 7 + number
        asides.append(aside)
    assert len({frozenset(aside) for aside in asides}) == 3


def test_a_member_is_what_a_training_of_its_seed_is(
    manifest: Manifest, places: list[Path], tmp_path: Path
) -> None:
    alone = fit(development(manifest), replace(CONFIG, seed=8), tmp_path, progress=False)
    member = Bundle.load(places[1])
    for name, value in alone.network.state_dict().items():
        assert torch.equal(member.network.state_dict()[name], value), name


def test_members_share_one_cache_of_features(places: list[Path]) -> None:
    assert len(list((places[0].parents[1] / "features").iterdir())) == 1
    assert not list(places[0].parent.glob("*/features"))


def test_finished_members_are_not_trained_again(manifest: Manifest, places: list[Path]) -> None:
    out = places[0].parents[1]
    (places[1] / "bundle.json").unlink()  # as if it had been interrupted
    before = [(place / "weights.safetensors").stat().st_mtime_ns for place in places]
    again = fit_members(manifest, CONFIG, out, members=3, workers=1, progress=False)
    after = [(place / "weights.safetensors").stat().st_mtime_ns for place in places]
    assert again == places
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    with pytest.raises(
        ConfigError,
        match=r"members/00 has other settings or clips\. Expe",
    ):
        fit_members(manifest, replace(CONFIG, epochs=2), out, members=3, progress=False)


def test_members_with_correction_keep_no_features(manifest: Manifest, tmp_path: Path) -> None:
    """Each has gains of its own, from its own training clips."""
    config = replace(CONFIG, correction=CorrectionConfig(("A",)))
    found = fit_members(manifest, config, tmp_path, members=2, workers=1, progress=False)
    one, other = (Bundle.load(place) for place in found)
    assert not torch.equal(one.frontend.gains, other.frontend.gains)
    assert set(one.fitted_on["correction"]) <= set(one.fitted_on["weights"])
    assert not list(tmp_path.rglob("*.features"))


def test_features_that_a_killed_run_left_are_deleted(
    manifest: Manifest, places: list[Path]
) -> None:
    """It was killed between the writing of a model and the end of its member."""
    config = replace(CONFIG, correction=CorrectionConfig(("A",)))
    out = places[0].parents[2] / "corrected"
    job: dict[str, Any] = {"members": 1, "workers": 1, "progress": False}
    (place,) = fit_members(manifest, config, out, **job)
    (place / "features").mkdir()
    (place / "features" / "left.features").write_bytes(b"left")
    fit_members(manifest, config, out, **job)
    assert not (place / "features").exists()


def test_what_cannot_be_divided_is_refused_before_training(
    manifest: Manifest, tmp_path: Path
) -> None:
    one = manifest.with_columns(split="", group="same")
    with pytest.raises(ManifestError):
        fit_members(one, CONFIG, tmp_path, members=2, progress=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="embers is 0, and workers is 1"):
        fit_members(manifest, CONFIG, tmp_path, members=0, workers=1)


def note(path: Path) -> None:
    path.write_text(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}")


def test_jobs_are_done_in_processes_that_share_the_gpus(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(3)]
    done = [path for path, _ in in_processes(note, paths, workers=2, gpus=["4", "GPU-5"])]
    assert sorted(done) == paths
    found = dict(path.read_text().split() for path in paths)
    assert str(os.getpid()) not in found
    assert set(found.values()) <= {"4", "GPU-5"}
    assert len(set(found.values())) == len(found)
