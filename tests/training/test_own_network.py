"""A user's own nn.Module is trained by `fit`; where its class is registered, it is saved too."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import Tensor, nn

from anymic import models
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError
from anymic.features import FrontendConfig
from anymic.inference.predictor import Predictor
from anymic.training import TrainingConfig, finetune, fit

pytestmark = pytest.mark.usefixtures("one_thread")
RATE_HZ = 8000
QUICK = TrainingConfig(
    frontend=FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32),
    epochs=2,
    batch_size=6,
    learning_rate=0.1,
    validation_share=0.25,
    precision="float32",
    seed=3,
)


class BandMeans(nn.Module):
    """A linear layer on the mean of each band."""

    def __init__(self, *, classes: int = 2, bands: int = 32) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(bands, classes)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(features.mean(dim=(1, 3))))
        return logits


@models.register_network("registered_band_means")
class Registered(BandMeans):
    """The same, known by name."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return 16 clips of noise, quiet or loud."""
    folder = tmp_path_factory.mktemp("corpus")
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"path": [f"{number}.wav" for number in range(16)]})
    table["label"] = ["loud", "quiet"] * 8
    for path, label in zip(table["path"], table["label"], strict=True):
        noise = generator.normal(scale=0.2 if label == "loud" else 0.01, size=RATE_HZ // 2)
        soundfile.write(folder / path, noise, RATE_HZ)
    return Manifest.from_table(table, root=folder)


def test_a_network_that_is_not_registered_predicts_and_is_not_written(
    corpus: Manifest, tmp_path: Path
) -> None:
    network = BandMeans()
    before = copy.deepcopy(network.state_dict())
    with pytest.warns(UserWarning, match="register_network"):
        bundle = fit(corpus, QUICK, tmp_path, network=network, progress=False)
    for name, value in network.state_dict().items():  # a copy was trained
        assert torch.equal(value, before[name])
    assert not torch.equal(bundle.network.state_dict()["module.classifier.bias"], torch.zeros(2))
    assert Predictor(bundle).predict(corpus.paths()[0]).label in bundle.labels
    assert not (tmp_path / "bundle.json").exists()
    with pytest.raises(BundleError, match="register_network") as caught:
        bundle.save(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_registered_network_is_written_loaded_and_fine_tuned(
    corpus: Manifest, tmp_path: Path
) -> None:
    bundle = fit(corpus, QUICK, tmp_path, network=Registered(), progress=False)
    assert bundle.network_name == "registered_band_means"
    loaded = Bundle.load(tmp_path)
    assert loaded.training["settings"]["network"] == "registered_band_means"
    expected, found = (Predictor(each).predict_manifest(corpus) for each in (bundle, loaded))
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    tuned = finetune(loaded, corpus, tmp_path / "tuned", config=QUICK, progress=False)
    assert Bundle.load(tmp_path / "tuned").network_name == tuned.network_name


def test_a_registered_network_of_another_size_is_not_written(
    corpus: Manifest, tmp_path: Path
) -> None:
    """What `classes` alone builds would not take its weights."""

    class Wide(nn.Module):
        def __init__(self, *, classes: int = 2, width: int = 4) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(32, width), nn.ReLU(), nn.Linear(width, classes))

        def forward(self, features: Tensor) -> Tensor:
            logits: Tensor = self.layers(features.mean(dim=(1, 3)))
            return logits

    models.register_network("wide_band_means")(Wide)
    with pytest.warns(UserWarning, match="cannot be built again"):
        bundle = fit(corpus, QUICK, tmp_path, network=Wide(width=8), progress=False)
    assert bundle.network_name == ""


def test_dropout_depends_on_the_seed_alone(corpus: Manifest, tmp_path: Path) -> None:
    network, found = Registered(), []
    for number in range(2):
        torch.manual_seed(number)
        state = torch.get_rng_state()
        out = tmp_path / str(number)
        bundle = fit(corpus, QUICK, out, network=network, progress=False, cache=tmp_path)
        assert torch.equal(torch.get_rng_state(), state)
        found.append(bundle.network.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_dropout_continues_where_a_run_was_interrupted(corpus: Manifest, tmp_path: Path) -> None:
    from pytorch_lightning import Callback

    class Interruption(Callback):
        def on_train_batch_end(self, trainer: object, *_: object) -> None:
            if trainer.current_epoch == 2:  # type: ignore[attr-defined]
                raise RuntimeError("power cut")

    network, config = Registered(), replace(QUICK, epochs=4, monitor="last")
    options = {"network": network, "progress": False, "cache": tmp_path}
    whole = fit(corpus, config, tmp_path / "whole", **options)  # type: ignore[arg-type]
    trainer = {"callbacks": [Interruption()]}
    with pytest.raises(RuntimeError, match="power cut"):
        fit(corpus, config, tmp_path / "cut", trainer=trainer, **options)  # type: ignore[arg-type]
    resumed = fit(corpus, config, tmp_path / "cut", resume=True, **options)  # type: ignore[arg-type]
    found = resumed.network.state_dict()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(found[name], value), name


class Wrong(BandMeans):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features)[:, :1]


class Unlearnable(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=(1, 2))[:, :2]


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Wrong(), r"returns \(2, 1\) for 2 clips and 2 labels"),
        (Unlearnable(), "no parameters"),
        (BandMeans(bands=16), "fails on features"),
        (lambda features: features, "function"),
    ],
    ids=["shape", "no parameters", "fails", "no module"],
)
def test_a_network_that_breaks_the_rule_gets_one_line(
    network: nn.Module, words: str, corpus: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        fit(corpus, QUICK, tmp_path, network=network, progress=False)
    assert "\n" not in str(caught.value)


def test_settings_of_another_kind_are_one_line(tmp_path: Path) -> None:
    """The name of a preset is looked up; a mapping is refused with what to pass instead."""
    with pytest.raises(ConfigError, match=r"Unknown preset 'scene'"):
        fit(tmp_path, "scene", tmp_path / "run", progress=False)
    with pytest.raises(ConfigError, match=r"The settings are a dict\. Expected a TrainingConfig"):
        fit(tmp_path, {"epochs": 1}, tmp_path / "run", progress=False)  # type: ignore[arg-type]


def test_a_class_in_place_of_a_network_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"the class BandMeans\..*Pass an instance"):
        models.as_network(BandMeans)
