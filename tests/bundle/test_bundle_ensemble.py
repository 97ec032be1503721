"""An ensemble on disk, and which models can be one."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anymic import bundle
from anymic.bundle import Bundle, Ensemble
from anymic.calibration import IsotonicCalibrator
from anymic.errors import BundleError
from anymic.features import Frontend


def another(member: Bundle, seed: int = 1) -> Bundle:
    """Return the same model with other weights."""
    network = copy.deepcopy(member.network)
    generator = torch.Generator().manual_seed(seed)
    for value in network.parameters():
        value.data += 0.1 * torch.randn(value.shape, generator=generator)
    return replace(member, network=network)


def calibrator(seed: int) -> IsotonicCalibrator:
    generator = np.random.default_rng(seed)
    return IsotonicCalibrator().fit(generator.dirichlet(np.ones(3), 30), np.arange(30) % 3)


@pytest.fixture
def members(small_bundle: Bundle) -> tuple[Bundle, Bundle]:
    held_out = {**small_bundle.fitted_on, "calibration": ("c" * 16, "d" * 16)}
    return small_bundle, replace(another(small_bundle), fitted_on=held_out)


def test_what_is_loaded_is_what_was_saved(members: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    steps = (calibrator(0), calibrator(1))
    saved = Ensemble(members, "calibrated", steps, training={"select": "accuracy>=0.7"})
    loaded = bundle.load(saved.save(tmp_path / "ensemble"))
    assert isinstance(loaded, Ensemble)
    for name in ("labels", "contract", "voting", "training", "fitted_on", "devices"):
        assert getattr(loaded, name) == getattr(saved, name), name
    for one, other in zip(loaded.members, saved.members, strict=True):
        for key, value in other.network.state_dict().items():
            assert torch.equal(one.network.state_dict()[key], value)
    p = np.random.default_rng(3).dirichlet(np.ones(3), 20)
    for own, before in zip(loaded.calibrators, saved.calibrators, strict=True):
        np.testing.assert_array_equal(own.transform(p), before.transform(p))


def test_a_single_model_loads_as_one(bundle_folder: Path) -> None:
    assert isinstance(bundle.load(bundle_folder), Bundle)
    with pytest.raises(BundleError, match=r"a single model\. Expected an ensemble"):
        Ensemble.load(bundle_folder)


def test_it_is_no_single_model(members: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    folder = Ensemble(members).save(tmp_path / "ensemble")
    with pytest.raises(BundleError, match=r"is an ensemble\. Expected a single model"):
        Bundle.load(folder)


def test_saving_again_replaces_all_of_it(members: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    folder = tmp_path / "ensemble"
    Ensemble(members, "calibrated", (calibrator(0), calibrator(1))).save(folder)
    (folder / "notes.txt").write_text("mine")
    Ensemble(members[:1], "geometric").save(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "bundle.json",
        "members",
        "notes.txt",
    ]
    loaded = Ensemble.load(folder)
    assert (len(loaded.members), loaded.voting, loaded.calibrators) == (1, "geometric", ())


def test_members_of_a_training_run_are_never_replaced(
    members: tuple[Bundle, Bundle], tmp_path: Path
) -> None:
    members[0].save(tmp_path / "run" / "members" / "00")
    with pytest.raises(BundleError, match="a folder members that belongs to no ensemble"):
        Ensemble(members).save(tmp_path / "run")
    Bundle.load(tmp_path / "run" / "members" / "00")


def test_devices_are_those_that_all_members_with_a_profile_know(small_bundle: Bundle) -> None:
    config = small_bundle.frontend.config
    gains = {name: np.ones(config.bins) for name in ("B", "C")}
    other = replace(small_bundle, frontend=Frontend(config, device_gains=gains), profile=None)
    plain = replace(small_bundle, frontend=Frontend(config), profile=None)
    assert Ensemble((small_bundle, other)).devices == ("B",)
    assert Ensemble((plain, small_bundle)).devices == ("A", "B")
    assert Ensemble((plain,)).devices == ()


def test_which_models_cannot_vote_together(small_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"no member\. Expected at least one"):
        Ensemble(())
    renamed = replace(small_bundle, labels=("cat", "rain", "siren"))
    with pytest.raises(BundleError, match="different labels: dog and cat are in one only"):
        Ensemble((small_bundle, renamed))
    turned = replace(small_bundle, labels=("rain", "dog", "siren"))
    with pytest.raises(BundleError, match="another order"):
        Ensemble((small_bundle, turned))
    longer = replace(small_bundle, contract=replace(small_bundle.contract, clip_s=2.0))
    with pytest.raises(BundleError, match=r"different contracts: .*clip_s=1.0.*clip_s=2.0"):
        Ensemble((small_bundle, longer))
    with pytest.raises(BundleError, match="0 calibrators for calibrated voting of 1 member"):
        Ensemble((small_bundle,), "calibrated")


def test_calibration_on_training_clips_is_refused(small_bundle: Bundle) -> None:
    clips = ("0123456789abcdef", "c" * 16)
    leaky = replace(small_bundle, fitted_on={**small_bundle.fitted_on, "calibration": clips})
    with pytest.raises(
        BundleError, match="1 of 2 clips to calibrate member 0 on was used to train its weig"
    ):
        Ensemble((leaky,), "calibrated", (calibrator(0),))


def test_damage_is_found(members: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    folder = tmp_path / "ensemble"
    Ensemble(members, "calibrated", (calibrator(0), calibrator(1))).save(folder)

    def refused(match: str) -> None:
        with pytest.raises(BundleError, match=match) as caught:
            bundle.load(folder)
        assert "\n" not in str(caught.value)

    index = folder / "bundle.json"
    whole = index.read_text()
    index.write_text(json.dumps({**json.loads(whole), "members": ["../00"]}))
    refused("members ../00. Expected numbers")
    index.write_text(json.dumps({**json.loads(whole), "voting": "hard"}))
    refused("voting: 'hard' is not one of soft, calibrated, geometric")
    index.write_text(whole)
    weights = folder / "members/01/weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused("was altered since it was saved: weights.safetensors")
    weights.write_bytes(content)
    (folder / "members/00/bundle.json").write_text((folder / "members/01/bundle.json").read_text())
    refused("was altered since it was saved: members/00/bundle.json")
    (folder / "calibrators.safetensors").unlink()
    refused("has no calibrators.safetensors")
