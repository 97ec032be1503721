"""Training with gains in the log-mel domain, and what the new setting leaves as it was."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle
from anymic.bundle.device_changes import add_devices, with_device_policy
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError
from anymic.features import FrontendConfig
from anymic.inference.predictor import Predictor
from anymic.training import CorrectionConfig, TrainingConfig, fit, load_config
from anymic.training.run import RECORD
from anymic_experiments.runs import Run

RATE_HZ = 8000
CONFIG = TrainingConfig(
    frontend=FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32),
    correction=CorrectionConfig(("A",), domain="log_mel"),
    epochs=1,
    batch_size=8,
    validation_share=0.0,
    mixup=None,
    precision="float32",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return eight takes of two kinds of noise, by A and by a duller B."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for take in range(8):
        noise = np.random.default_rng(take).normal(scale=0.1, size=RATE_HZ // 2)
        for device, response in (("A", [1.0]), ("B", [0.5, 0.4])):
            path = f"{take}{device}.wav"
            recorded = np.convolve(noise, response)[: RATE_HZ // 2].astype(np.float32)
            soundfile.write(folder / path, recorded, RATE_HZ, subtype="FLOAT")
            rows.append((path, ("one", "two")[take % 2], device, str(take), "train"))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take", "split"])
    return Manifest.read(Manifest.from_table(table, root=folder).write(folder / "clips.csv"))


def mean_mel(bundle: Bundle, corpus: Manifest, device: str) -> torch.Tensor:
    paths = corpus.where(device=device).paths()
    samples = np.array([soundfile.read(path, dtype="float32")[0] for path in paths])
    frontend = bundle.frontend
    mel: torch.Tensor = frontend.mel(frontend.magnitude(torch.from_numpy(samples)))
    return mel.mean(dim=(0, 1))


def test_a_model_with_gains_of_bands_is_saved_and_loaded(corpus: Manifest, tmp_path: Path) -> None:
    bundle = fit(corpus, CONFIG, tmp_path, progress=False)
    frontend = bundle.frontend
    assert frontend.gain_domain == "log_mel"
    assert frontend.gains.shape == (3, 32)
    wanted = mean_mel(bundle, corpus, "A") / mean_mel(bundle, corpus, "B")
    assert (frontend.gains[1] == 1).all()
    torch.testing.assert_close(frontend.gains[2], wanted, rtol=1e-3, atol=0)
    loaded = Bundle.load(tmp_path)
    assert loaded.frontend.gain_domain == "log_mel"
    first, second = (Predictor(one).predict_manifest(corpus) for one in (bundle, loaded))
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    assert bundle.profile is not None
    with pytest.raises(BundleError, match="trained with gains of mel bands"):
        add_devices(bundle, bundle.profile)
    with pytest.raises(BundleError, match="gains of mel bands, which cannot be estimated blindly"):
        with_device_policy(bundle, unknown="blind", training=corpus)


def test_a_run_from_before_the_setting_goes_on(corpus: Manifest, tmp_path: Path) -> None:
    config = replace(CONFIG, correction=CorrectionConfig(("A",)))
    fit(corpus, config, tmp_path, progress=False)
    state = json.loads((tmp_path / RECORD).read_text())
    del state["settings"]["correction"]["domain"]
    (tmp_path / RECORD).write_text(json.dumps(state))
    fit(corpus, config, tmp_path, resume=True, progress=False)
    for changed in ({"unknown": 1}, {"correction": None}):
        other = {**state, "settings": {**state["settings"], **changed}}
        (tmp_path / RECORD).write_text(json.dumps(other))
        with pytest.raises(ConfigError, match="other settings or clips"):
            fit(corpus, config, tmp_path, resume=True, progress=False)


def test_no_old_run_changes_its_name(corpus: Manifest) -> None:
    """The name as it was made before there was a domain: settings that are not the defaults.

    The front-end had ten settings then, and was named whole.
    """
    path = corpus.root / "clips.csv"
    correction = CorrectionConfig(("A",), "mean_of_ratios", unknown_device="identity")
    config = replace(CONFIG, correction=correction)  # as every old run answered
    plain, chosen = to_mapping(TrainingConfig()), to_mapping(config)
    old = {key: value for key, value in chosen.items() if value != plain[key]}
    old["correction"] = {"reference": ["A"], "estimator": "mean_of_ratios"}
    names = ["rate_hz", "fft_size", "hop_samples", "bands", "low_hz", "high_hz"]
    names += ["mel_scale", "mel_norm", "power", "log_offset"]
    old["frontend"] = {name: old["frontend"][name] for name in names}
    digest = hashlib.sha256(json.dumps([1, old], sort_keys=True).encode())
    digest.update(corpus.digest().encode())
    assert Run("x", config, path).key == digest.hexdigest()[:16]
    others = [None, CorrectionConfig(("A",))]
    keys = {Run("x", replace(CONFIG, correction=one), path).key for one in others}
    assert Run("x", CONFIG, path).key not in keys


def test_geometric_means_of_bands_are_refused() -> None:
    changes = {"correction": {"estimator": "geometric", "domain": "log_mel"}}
    with pytest.raises(
        ConfigError, match="estimator geometric does not work in the domain log_mel"
    ):
        load_config("small", changes=changes)


@pytest.mark.parametrize("temperature", [0, -3.0, math.nan, math.inf])
def test_a_temperature_that_cannot_be_is_one_clear_line(temperature: float) -> None:
    with pytest.raises(ConfigError, match=f"temperature(: | is ){float(temperature)}") as caught:
        load_config("small", changes={"temperature": temperature})
    assert "\n" not in str(caught.value)
