"""Corpora that several recipes are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic.data.corpora.tau_mobile import SCENES, tau2019_mobile, tau2020_mobile


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
