"""The settings of a correction are the parameters of `SpectrumCorrection`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic import SpectrumCorrection
from anymic.data.manifest import Manifest
from anymic.training import fit, load_config

RATE_HZ = 8000
FRONTEND = {"rate_hz": RATE_HZ, "fft_size": 256, "hop_samples": 128, "bands": 24}
TINY = {"epochs": 1, "width": 0.1, "validation_share": 0.0, "mixup": None}
ESTIMATOR = {"reference": ["A"], "estimator": "geometric"}
pytestmark = pytest.mark.filterwarnings("ignore:.*gains estimated from only")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return four takes whose level rises and falls, by A and by B, which has a noise of its own.

    So the quiet frames, and the bins that B hardly records, differ from the others.
    """
    folder, generator, rows = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0), []
    for take in range(4):
        level = 10 ** (1.5 * np.sin(np.linspace(0, 9 + take, RATE_HZ // 2)) - 2)
        sound = level * generator.standard_normal(RATE_HZ // 2)
        for device, response, noise in (("A", [1.0], 1e-5), ("B", [0.5, 0.45], 1e-3)):
            own = np.convolve(sound, response)[: len(sound)]
            own += noise * generator.standard_normal(len(sound))
            path = f"{take}{device}.wav"
            soundfile.write(folder / path, own.astype(np.float32), RATE_HZ, subtype="FLOAT")
            rows.append((path, ("one", "two")[take % 2], device, str(take), "train"))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take", "split"])
    return Manifest.read(Manifest.from_table(table, root=folder).write(folder / "clips.csv"))


def direct(corpus: Manifest, **settings: object) -> np.ndarray:
    analysis = {"fft_size": FRONTEND["fft_size"], "hop_samples": FRONTEND["hop_samples"]}
    correction = SpectrumCorrection(**ESTIMATOR, **analysis, **settings)  # type: ignore[arg-type]
    return correction.fit(corpus).profile_.gains_for("B")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "settings",
    [
        {"weighting": "loudness"},
        {"weighting": "none"},
        {"silence_db": -10.0},
        {"floor_db": -20.0},
    ],
    ids=lambda settings: ", ".join(f"{name} {value}" for name, value in settings.items()),
)
def test_a_training_estimates_the_gains_that_its_settings_say(
    corpus: Manifest, tmp_path: Path, settings: dict[str, object]
) -> None:
    changes = {"frontend": FRONTEND, "correction": {**ESTIMATOR, **settings}, **TINY}
    config = load_config("kosmider2019-small", changes={**changes, "clip_s": 0.5})
    profile = fit(corpus, config, tmp_path / "run", progress=False).profile
    assert profile is not None
    wanted = direct(corpus, **settings)
    np.testing.assert_array_equal(profile.gains_for("B"), wanted)
    if settings != {"weighting": "loudness"}:  # the default
        assert np.abs(20 * np.log10(direct(corpus) / wanted)).max() > 0.1
