"""A user's own network trains, is saved, loads and predicts, or breaks the rule in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import Tensor, nn

import anymic
from anymic import models
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, BundleError, ConfigError
from anymic.features import FrontendConfig
from anymic.models.registry import NETWORKS
from anymic.training import TrainingConfig, fit
from anymic.training.finetuning import finetune
from anymic.training.heads import fit_head

RATE_HZ = 8000
CONFIG = TrainingConfig(
    frontend=FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=16),
    epochs=2,
    batch_size=8,
    mixup=None,
    precision="float32",
    seed=3,
)


class BandMeans(nn.Module):
    """A module that does not use anymic."""

    embedding_size = 16

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.normalization = nn.BatchNorm1d(16)
        self.classifier = nn.Linear(16, classes)

    def embed(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.normalization(features.mean(dim=(1, 3)))
        return embedding

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.embed(features))
        return logits


@pytest.fixture
def corpus(tmp_path: Path) -> Manifest:
    """Twenty noises of half a second, ten dull and ten bright."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(20):
        noise = generator.normal(scale=0.1, size=RATE_HZ // 2 + 1)
        samples = noise[1:] + (0.9 if number % 2 else -0.9) * noise[:-1]
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE_HZ, subtype="FLOAT")
        rows.append((f"{number}.wav", ("bright", "dull")[number % 2]))
    return Manifest.from_table(pd.DataFrame(rows, columns=["path", "label"]), root=tmp_path)


def test_it_trains_loads_and_predicts(corpus: Manifest, tmp_path: Path) -> None:
    anymic.register_network("band_means")(BandMeans)
    out = tmp_path / "model"
    trained = fit(corpus, replace(CONFIG, network="band_means"), out, progress=False)
    loaded = anymic.load(out).bundle
    assert isinstance(loaded, Bundle)
    assert loaded.network_name == "band_means"
    assert isinstance(loaded.network, models.WrappedModule)
    assert isinstance(loaded.network.module, BandMeans)
    path = corpus.paths()[0]
    first, again = (anymic.Predictor(each).predict(path) for each in (trained, loaded))
    assert first.probabilities == again.probabilities
    tuning = replace(CONFIG, network="band_means", epochs=1)
    tuned = finetune(loaded, corpus, tmp_path / "tuned", config=tuning, segments="2")
    assert tuned.network_name == "band_means"
    moved = {
        name
        for name, value in tuned.network.state_dict().items()
        if not torch.equal(value, trained.network.state_dict()[name])
    }
    assert moved == {"module.classifier.weight", "module.classifier.bias"}


def test_it_may_embed_segments(corpus: Manifest, tmp_path: Path) -> None:
    anymic.register_network("band_means")(BandMeans)
    model = fit(corpus, replace(CONFIG, network="band_means"), tmp_path / "m", progress=False)
    config = replace(CONFIG, network="lstm_head", loss="cross_entropy", epochs=1)
    tagger = fit_head(corpus, model, config, tmp_path / "tagger", segments=1, hidden=4)
    assert tagger.network_arguments["embedder"] == {"name": "band_means"}
    assert Bundle.load(tmp_path / "tagger").labels == ("bright", "dull")


class TiedLayers(nn.Module):
    """Two layers that share one weight."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.second = nn.Linear(16, 16)
        self.second.weight = self.first.weight
        self.classifier = nn.Linear(16, classes)

    def forward(self, features: Tensor) -> Tensor:
        values = self.second(self.first(features.mean(dim=(1, 3))).relu())
        logits: Tensor = self.classifier(values)
        return logits


def test_layers_may_share_a_weight(corpus: Manifest, tmp_path: Path) -> None:
    anymic.register_network("tied")(TiedLayers)
    trained = fit(corpus, replace(CONFIG, network="tied"), tmp_path / "m", progress=False)
    loaded: Any = Bundle.load(tmp_path / "m").network
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert loaded.module.first.weight is loaded.module.second.weight


def test_a_bundle_of_an_unregistered_network_says_so(corpus: Manifest, tmp_path: Path) -> None:
    anymic.register_network("band_means")(BandMeans)
    fit(corpus, replace(CONFIG, network="band_means"), tmp_path / "m", progress=False)
    del NETWORKS._specs["band_means"]
    with pytest.raises(BundleError) as caught:
        anymic.load(tmp_path / "m")
    assert "unknown network 'band_means'" in str(caught.value)
    assert "Import the module that registers it" in str(caught.value)


def test_built_in_networks_state_what_callers_ask() -> None:
    specs = {spec.name: spec for spec in NETWORKS.specs()}
    assert {name for name, spec in specs.items() if spec.embeds} == {
        *("basic1", "basic2", "fcnn", "vggish", "yamnet", "onnx"),
    }
    assert {name for name, spec in specs.items() if spec.head} == {
        *("linear_head", "dense_head", "lstm_head", "attention_head"),
    }
    assert (specs["vggish"].patch, specs["vggish"].patch_distance) == ((64, 96), 96)
    assert (specs["yamnet"].patch, specs["yamnet"].patch_distance) == ((64, 96), 48)
    assert specs["basic1"].patch_distance is None
    for name in ("basic1", "basic2", "fcnn"):
        network = models.build(name, classes=2, width=0.25)
        found = network.embed(torch.zeros(1, 1, 80, 80))
        assert found.shape == (1, network.embedding_size)


def _class(forward: Any, **attributes: Any) -> type[nn.Module]:
    def start(self: Any, *, classes: int) -> None:
        nn.Module.__init__(self)
        self.linear = nn.Linear(1, classes)
        for name, value in attributes.items():
            setattr(self, name, value)

    return type("Mine", (nn.Module,), {"__init__": start, "forward": forward})


class _Plain(nn.Module):
    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.weight = np.zeros(classes)  # no parameter

    def forward(self, features: Tensor) -> Tensor:
        return torch.as_tensor(self.weight).expand(len(features), -1)


class _State(nn.Module):
    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(1, classes)

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 3}

    def set_extra_state(self, state: Any) -> None:
        pass

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features.mean(dim=(1, 2, 3))[:, None])
        return logits


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (_class(lambda self, x: self.linear(x[..., :1])), r"returns \(2, 1, 16, 2\) for 2 clips"),
        (_class(lambda self, x: self.linear(x.flatten(1))), "fails on features"),
        (_class(lambda self, x: [1.0]), "returns list for 2 clips and 2 labels"),
        (_Plain, "has no parameters"),
        (_State, r"state that is not a tensor \(module._extra_state\)"),
    ],
)
def test_a_network_that_breaks_the_rule(
    network: type[nn.Module], problem: str, corpus: Manifest, tmp_path: Path
) -> None:
    models.register_network("broken")(network)
    with pytest.raises(ConfigError, match=problem) as caught:
        fit(corpus, replace(CONFIG, network="broken"), tmp_path / "m", progress=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m" / "bundle.json").exists()


def test_what_cannot_be_registered_or_built() -> None:
    with pytest.raises(ConfigError, match="does not take `classes`"):
        models.register_network("linear")(nn.Linear)
    with pytest.raises(ConfigError, match="second network named 'basic1'"):
        models.register_network("basic1")(BandMeans)
    models.register_network("band_means")(BandMeans)
    with pytest.raises(ConfigError, match=r"'band_means' cannot be built .*'width'"):
        models.build("band_means", classes=2, width=0.5)
    models.register_network("text")(lambda *, classes: "text")  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="network is a str"):
        models.build("text", classes=2)


def test_the_check_leaves_mode_and_generator_as_they_were() -> None:
    network: Any = models.as_network(BandMeans(classes=2)).train()
    state = torch.random.get_rng_state()
    before = json.dumps([value.tolist() for value in network.state_dict().values()])
    models.check_network(network, classes=2, bands=16, frames=9)
    assert network.module.normalization.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert before == json.dumps([value.tolist() for value in network.state_dict().values()])
    assert issubclass(ConfigError, AnymicError)
