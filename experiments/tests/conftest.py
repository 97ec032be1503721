"""Corpora that several recipes are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from anymic.cli import main
from anymic.data.corpora.scenes import Settings, scenes
from anymic.data.corpora.tau_mobile import SCENES, tau2019_mobile, tau2020_mobile

RATE_HZ = 44_100
TREES = ("tau2019-mobile", "tau2020-mobile", "fsdkaggle2018", "fsdkaggle2018, Kaggle")
Clips = list[tuple[str, str, NDArray[np.float64]]]  # the scene, train or test, and the samples


@pytest.fixture(autouse=True, scope="session")
def folders_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use empty folders: what this user has installed and cached changes no test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ANYMIC_MODELS", "ANYMIC_CACHE"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return manifests of published corpora in miniature, which `anymic data prepare` has read.

    The clips are the built-in scenes: three of them, three places of each, one of which tests.
    """
    root = tmp_path_factory.mktemp("trees")
    made = scenes(root / "scenes", Settings(0, 2, 1, 1, 1.0, RATE_HZ), progress=False)
    made = made.where(label=made.labels[:3])
    clips = [
        (label, split, soundfile.read(path)[0])
        for label, split, path in zip(
            made.table["label"], made.table["split"], made.paths(), strict=True
        )
    ]
    found = {}
    for name in TREES:
        corpus, _, layout = name.partition(", ")
        tree = root / name.replace(", ", "-")
        if corpus == "fsdkaggle2018":
            write_fsdkaggle(tree, clips, kaggle=bool(layout))
        else:
            write_tau(
                tree, clips, ("A", "B", "C") if "2019" in corpus else ("A", "B", "C", "S1", "S4")
            )
        found[name] = tree.with_suffix(".csv")
        command = ["data", "prepare", corpus, "--root", str(tree), "--out", str(found[name])]
        assert main(command) == 0
    return found


def write_tau(root: Path, clips: Clips, devices: tuple[str, ...]) -> None:
    """Write the layout of TAU Mobile: each moment by each device, of which S4 only tests."""
    generator = np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    meta: list[tuple[str, str, str, str]] = []
    sides: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for number, (scene, side, sound) in enumerate(clips):
        for place, device in enumerate(devices):
            if side == "train" and device == "S4":
                continue
            name = f"audio/{scene}-lyon-{number}-0-{device.lower()}.wav"
            coloured = lfilter([1.0], [1.0, -0.1 * place], sound)  # duller, the later the device
            noise = generator.normal(scale=1e-4, size=len(sound))
            soundfile.write(root / name, np.clip(0.3 * coloured + noise, -1, 1), RATE_HZ)
            meta.append((name, scene, f"lyon-{number}", device.lower()))
            sides[side].append((name, scene))
    columns = ["filename", "scene_label", "identifier", "source_label"]
    pd.DataFrame(meta, columns=columns).to_csv(root / "meta.csv", sep="\t", index=False)
    (root / "evaluation_setup").mkdir()
    for file, side, kept in (("train", "train", 2), ("test", "test", 1), ("evaluate", "test", 2)):
        frame = pd.DataFrame(sides[side], columns=columns[:2])[columns[:kept]]
        frame.to_csv(root / "evaluation_setup" / f"fold1_{file}.csv", sep="\t", index=False)


def write_fsdkaggle(root: Path, clips: Clips, *, kaggle: bool) -> None:
    """Write the layout of FSDKaggle2018 as Kaggle or Zenodo has it: clips of 0.3 s to 2 s."""
    names = (
        {"train": "train.csv", "test": "test_post_competition.csv"}
        if kaggle
        else {
            "train": "FSDKaggle2018.meta/train_post_competition.csv",
            "test": "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv",
        }
    )
    found = dict.fromkeys(scene for scene, _, _ in clips)
    labels = dict(zip(found, ("Bark", "Cello", "Flute"), strict=True))
    for part, table in names.items():
        folder = root / f"{'' if kaggle else 'FSDKaggle2018.'}audio_{part}"
        folder.mkdir(parents=True)
        rows = []
        for number, (scene, side, sound) in enumerate(clips):
            if side == part:
                length = round((0.3, 1.0, 2.0)[(number + number // 3) % 3] * RATE_HZ)
                name = f"{number:08x}.wav"
                soundfile.write(folder / name, np.resize(sound, length), RATE_HZ)
                rows.append((name, labels[scene], "1" if part == "train" else "Public"))
        if kaggle and part == "test":  # padding of the competition
            rows.append(("ffffffff.wav", "None", "Ignored"))
        third = "manually_verified" if part == "train" else "usage"
        (root / table).parent.mkdir(exist_ok=True)
        pd.DataFrame(rows, columns=["fname", "label", third]).to_csv(root / table, index=False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Give torch one thread, and afterwards as many as it had: small networks need no more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def miniature_tau(tmp_path: Path) -> Path:
    """Return a manifest of TAU 2019 Mobile in miniature, in its published layout."""
    return tau2019_mobile(_miniature(tmp_path / "tau")).write(tmp_path / "tau.csv")


@pytest.fixture
def miniature_tau_2020(tmp_path: Path) -> Path:
    """Return a manifest of TAU 2020 Mobile in miniature: two devices, and clips of a second."""
    root = _miniature(tmp_path / "tau", devices=("a", "s1"), samples=44_100)
    return tau2020_mobile(root).write(tmp_path / "tau.csv")


def _miniature(
    root: Path, *, devices: tuple[str, ...] = ("a", "b", "c"), samples: int = 441_000
) -> Path:
    """Write noise, ten seconds or less, of two scenes and three places, by each device."""
    generator = np.random.default_rng(0)
    meta, sides = [], {"train": [], "test": []}  # type: ignore[var-annotated]
    for number, scene in enumerate(SCENES[:2]):
        for place, side in enumerate(("train", "train", "test")):
            # The devices of a take record the same sound, each with a noise of its own.
            sound = generator.normal(scale=0.05 * (1 + number), size=samples)
            for device in devices:
                name = f"audio/{scene}-lyon-{10 * number + place}-{place}-{device}.wav"
                (root / "audio").mkdir(parents=True, exist_ok=True)
                noise = generator.normal(scale=0.01, size=samples)
                soundfile.write(root / name, sound + noise, 44_100)
                meta.append((name, scene, f"lyon-{10 * number + place}", device))
                sides[side].append((name, scene))
    columns = ["filename", "scene_label", "identifier", "source_label"]
    pd.DataFrame(meta, columns=columns).to_csv(root / "meta.csv", sep="\t", index=False)
    (root / "evaluation_setup").mkdir()
    for file, rows, kept in (
        ("train", sides["train"], 2),
        ("test", sides["test"], 1),
        ("evaluate", sides["test"], 2),
    ):
        frame = pd.DataFrame(rows, columns=columns[:2])[columns[:kept]]
        frame.to_csv(root / "evaluation_setup" / f"fold1_{file}.csv", sep="\t", index=False)
    return root


@pytest.fixture
def esc50_of_noise(tmp_path: Path) -> Path:
    """Return a folder in the layout of ESC-50: two folds of 14 clips, two classes of noise."""
    return write_noise(tmp_path / "ESC-50", 16_000, folds=(14, 14))


@pytest.fixture
def esc50_with_few_tests(tmp_path: Path) -> Path:
    """Return such a folder of three folds, of few clips: many devices record each of them."""
    return write_noise(tmp_path / "ESC-50", 16_000, folds=(6, 6, 8))


@pytest.fixture
def esc50_at_two_rates(tmp_path: Path) -> tuple[Path, Path]:
    """Return two such folders, of eight clips a fold, at 44.1 and 16 kHz."""
    high, low = tmp_path / "high", tmp_path / "low"
    return write_noise(high, 44_100, folds=(8, 8)), write_noise(low, 16_000, folds=(8, 8))


def write_noise(root: Path, rate_hz: int, *, folds: tuple[int, ...]) -> Path:
    """Write clips of a second in the layout of ESC-50, so many in each fold."""
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    generator, rows = np.random.default_rng(0), []
    for number, fold in enumerate(np.repeat(np.arange(len(folds)) + 1, folds).tolist()):
        target = number % 2
        name = f"{fold}-{number}-A-{target}.wav"
        sound = 0.1 * generator.standard_normal(rate_hz)
        if target:
            sound = np.cumsum(sound - sound.mean()) / 20
        soundfile.write(root / "audio" / name, sound, rate_hz)
        rows.append((name, fold, target, ("dog", "rooster")[target], True, number, "A"))
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "meta" / "esc50.csv", index=False)
    return root
