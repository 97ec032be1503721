"""An ensemble computes what its members compute one by one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import anymic
from anymic import models
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.voting import Voting, vote
from anymic.calibration import IsotonicCalibrator
from anymic.data.manifest import Manifest
from anymic.features import Frontend, FrontendConfig
from anymic.inference.engine import Engine
from anymic.inference.predictor import Predictor

RATE = 8000
DEVICES = ["B", None, "A", "Z", "B"]


def noise(clips: int = len(DEVICES), seed: int = 1) -> torch.Tensor:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (clips, RATE))
    return torch.from_numpy(samples.astype(np.float32))


def member(
    base: Bundle,
    seed: int,
    *,
    gains: Sequence[str] = (),
    network: str = "basic1",
    config: FrontendConfig | None = None,
) -> Bundle:
    """Return a model with its own weights, standardization, and gains for some devices."""
    config = config or base.frontend.config
    generator = np.random.default_rng(seed)
    frontend = Frontend(
        config, device_gains={name: generator.uniform(0.3, 3.0, config.bins) for name in gains}
    )
    frontend.mean.copy_(torch.from_numpy(generator.normal(-5, 0.5, config.bands)))
    frontend.scale.copy_(torch.from_numpy(generator.uniform(1.5, 2.5, config.bands)))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh: Any = models.build(network, classes=3)
    if network == base.network_name:
        fresh.load_state_dict(copy.deepcopy(base.network.state_dict()))
        fresh.classifier.weight.data += 0.3 * torch.randn(
            fresh.classifier.weight.shape, generator=torch.Generator().manual_seed(seed)
        )
    return replace(base, network=fresh, network_name=network, frontend=frontend, profile=None)


def alone(bundle: Bundle, samples: torch.Tensor, devices: Sequence[str | None]) -> np.ndarray:
    """Return probabilities (clip, label) of one member, from the parts of its bundle."""
    rows = bundle.frontend.device_index(devices)
    with torch.inference_mode():
        logits = bundle.network(bundle.frontend(samples, rows))
    return torch.softmax(logits.double() / bundle.temperature, dim=1).numpy()


def kinds(base: Bundle) -> dict[str, tuple[Bundle, ...]]:
    power = FrontendConfig(rate_hz=RATE, fft_size=256, hop_samples=128, bands=32, power=2)
    wide = FrontendConfig(rate_hz=RATE, fft_size=256, hop_samples=64, bands=47)
    return {
        "one front-end": tuple(member(base, seed) for seed in range(4)),
        "own gains": tuple(member(base, seed, gains="AB") for seed in range(4)),
        "own gains of power": tuple(
            member(base, seed, gains="AB", config=power) for seed in range(3)
        ),
        "gains and none": (member(base, 0, gains="AB"), member(base, 1), member(base, 2)),
        "networks and front-ends": (
            member(base, 0, gains="AB"),
            member(base, 1, gains="BA", network="basic2", config=wide),
            member(base, 2, gains="AB"),
            replace(member(base, 3, gains="AB", network="basic2", config=wide), temperature=4.0),
        ),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "one front-end",
        "own gains",
        "own gains of power",
        "gains and none",
        "networks and front-ends",
    ],
)
def test_members_answer_as_each_alone(small_bundle: Bundle, kind: str) -> None:
    members = kinds(small_bundle)[kind]
    samples = noise()
    model = Engine(Ensemble(members), precision="float32", accelerator="cpu")
    gains = [model.profile_gains(device) for device in DEVICES]
    features = model.features(samples, gains)
    wanted = np.stack([alone(one, samples, DEVICES) for one in members])
    np.testing.assert_allclose(model.member_probabilities(features), wanted, atol=1e-5)
    np.testing.assert_allclose(model.classify(features), wanted.mean(axis=0), atol=1e-5)
    assert model.finite(features) == [True] * len(DEVICES)


@pytest.mark.parametrize("voting", ["soft", "geometric", "calibrated"])
def test_voting(small_bundle: Bundle, voting: Voting) -> None:
    members = kinds(small_bundle)["own gains"]
    members = tuple(replace(one, fitted_on={"calibration": ("c" * 16,)}) for one in members)
    p = np.random.default_rng(0).dirichlet(np.ones(3), (4, 30))
    each = tuple(IsotonicCalibrator().fit(own, np.arange(30) % 3) for own in p)
    calibrators = each if voting == "calibrated" else ()
    samples = noise()
    model = Engine(Ensemble(members, voting, calibrators), precision="float32")
    wanted = vote(np.stack([alone(one, samples, [None] * 5) for one in members]), voting, each)
    np.testing.assert_allclose(model.classify(model.features(samples)), wanted, atol=1e-4)


def test_equal_front_ends_are_one(small_bundle: Bundle) -> None:
    """Standardization aside: it belongs to the member."""
    found = {
        name: len(Engine(Ensemble(members)).frontends)
        for name, members in kinds(small_bundle).items()
    }
    assert found == {
        "one front-end": 1,
        "own gains": 4,
        "own gains of power": 3,
        "gains and none": 2,
        "networks and front-ends": 4,
    }


def test_features_that_are_the_same_are_computed_once(small_bundle: Bundle) -> None:
    model = Engine(Ensemble(kinds(small_bundle)["own gains"]))
    features = model.features(noise(), [model.profile_gains("Z")] * 5)
    assert all(one is features[0] for one in features)
    unlike = model.features(noise(), [model.profile_gains("B")] * 5)
    assert len({id(one) for one in unlike}) == 4


def test_bfloat16_stays_near_float32(small_bundle: Bundle) -> None:
    ensemble = Ensemble(kinds(small_bundle)["own gains"])
    found = []
    for precision in ("float32", "bfloat16"):
        model = Engine(ensemble, precision=precision, accelerator="cpu")
        gains = [model.profile_gains(device) for device in DEVICES]
        found.append(model.classify(model.features(noise(), gains)))
    assert np.abs(found[0] - found[1]).max() < 0.01


def test_overflow_is_seen(small_bundle: Bundle) -> None:
    model = Engine(Ensemble(kinds(small_bundle)["own gains"]))
    samples = noise()
    samples[1] *= 1e38
    gains = [model.profile_gains("B")] * 5
    assert model.finite(model.features(samples, gains)) == [True, False, True, True, True]


def test_files_through_an_ensemble(small_bundle: Bundle, tmp_path: Path) -> None:
    """A file, a manifest and a manifest from cached features, loaded from disk."""
    members = kinds(small_bundle)["gains and none"]
    samples = noise(3).numpy()
    rows = []
    for number, device in enumerate(("B", "", "A")):
        soundfile.write(tmp_path / f"{number}.wav", samples[number], RATE, subtype="FLOAT")
        rows.append({"path": f"{number}.wav", "label": "dog", "device": device})
    folder = Ensemble(members).save(tmp_path / "ensemble")
    predictor = anymic.load(folder, precision="float32")
    assert isinstance(predictor.bundle, Ensemble)
    wanted = np.mean(
        [alone(one, torch.from_numpy(samples), ["B", None, "A"]) for one in members], axis=0
    )
    found = predictor.predict(tmp_path / "0.wav", device="B")
    np.testing.assert_allclose(list(found.probabilities.values()), wanted[0], atol=1e-5)
    assert (found.device, found.device_policy) == ("B", "profile")
    manifest = Manifest.from_table(pd.DataFrame(rows), tmp_path)
    direct = predictor.predict_manifest(manifest)
    np.testing.assert_allclose(direct.probabilities, wanted, atol=1e-5)
    cached = predictor.predict_manifest(manifest, cache=tmp_path / "cache")
    np.testing.assert_allclose(cached.probabilities, wanted, atol=1e-5)


def test_a_device_that_one_member_does_not_know(small_bundle: Bundle, tmp_path: Path) -> None:
    """No member corrects it, from cached features either."""
    members = (member(small_bundle, 0, gains="AB"), member(small_bundle, 1, gains="BC"))
    predictor = Predictor(Ensemble(members), precision="float32")
    samples = noise(1)
    wanted = np.mean([alone(one, samples, [None]) for one in members], axis=0)[0]
    found = predictor.predict(Clip(samples[0].numpy(), RATE), device="A")
    np.testing.assert_allclose(list(found.probabilities.values()), wanted, atol=1e-5)
    assert found.device_policy == "identity"
    soundfile.write(tmp_path / "a.wav", samples[0].numpy(), RATE, subtype="FLOAT")
    table = pd.DataFrame([{"path": "a.wav", "label": "dog", "device": "A"}])
    cached = predictor.predict_manifest(Manifest.from_table(table, tmp_path), cache=tmp_path / "c")
    np.testing.assert_allclose(cached.probabilities[0], wanted, atol=1e-5)
