"""A model learns a new device: its gains are right, and nothing else changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.device_changes import add_devices
from anymic.cli import main
from anymic.devices.correction.profile import UNNAMED, DeviceGains, DeviceProfile
from anymic.errors import AnymicError
from anymic.features import Frontend
from anymic.inference.predictor import Predictor

BINS = 129


def profile(reference: tuple[str, ...], **devices: NDArray[np.float64]) -> DeviceProfile:
    gains = {name: DeviceGains(values, 12, np.zeros(BINS)) for name, values in devices.items()}
    return DeviceProfile(
        rate_hz=8000,
        fft_size=256,
        hop_samples=128,
        reference=reference,
        estimator="ratio_of_means",
        devices=gains,
        fitted_on=("new clip",),
    )


@pytest.fixture
def clip() -> Clip:
    noise = np.random.default_rng(0).normal(scale=0.1, size=8000)
    return Clip(noise.astype(np.float32), 8000)


def test_a_device_calibrated_against_the_reference_gets_its_gains(small_bundle: Bundle) -> None:
    gains = np.linspace(0.5, 2, BINS)
    changed = add_devices(small_bundle, profile(("A",), A=np.ones(BINS), D=gains))
    assert changed.devices == ("A", "B", "D")
    np.testing.assert_array_equal(changed.profile.gains_for("D"), gains)  # type: ignore[union-attr]
    assert "new clip" in changed.fitted_on["correction"]


def test_a_device_calibrated_against_a_known_one_goes_on_to_the_reference(
    small_bundle: Bundle, clip: Clip
) -> None:
    """What D is to B with gains of 1, it is to the model as B itself."""
    changed = add_devices(small_bundle, profile(("B",), B=np.ones(BINS), D=np.ones(BINS)))
    predict = Predictor(changed, precision="float32").predict
    as_d, as_b = predict(clip, device="D"), predict(clip, device="B")
    assert as_d.probabilities == pytest.approx(as_b.probabilities)
    assert as_d.device_policy == "profile"


def test_known_devices_are_predicted_as_before(small_bundle: Bundle, clip: Clip) -> None:
    new = profile(("A",), A=np.ones(BINS), D=np.full(BINS, 2.0))
    before = Predictor(small_bundle, precision="float32")
    after = Predictor(add_devices(small_bundle, new), precision="float32")
    for device in ("A", "B", None):
        one, other = before.predict(clip, device=device), after.predict(clip, device=device)
        assert one.probabilities == other.probabilities
    assert before.predict(clip, device="D").device_policy == "identity"


def test_noise_is_saved_with_the_gains_and_leaves_other_devices_as_they_are(
    small_bundle: Bundle, clip: Clip, tmp_path: Path
) -> None:
    new = profile(("A",), A=np.ones(BINS), D=np.full(BINS, 10.0))
    noise = np.full((2, BINS), [[0.05], [0.01]])
    noisy = replace(new, devices={**new.devices, "D": replace(new.devices["D"], noise=noise)})
    plain, changed = (add_devices(small_bundle, one) for one in (new, noisy))
    loaded = Bundle.load(changed.save(tmp_path / "run"))
    assert torch.equal(loaded.frontend.gains, changed.frontend.gains)
    np.testing.assert_array_equal(loaded.profile.devices["D"].noise, noise)  # type: ignore[union-attr]
    answers = [
        [Predictor(one, precision="float32").predict(clip, device=device) for device in "DBA"]
        for one in (plain, changed, loaded)
    ]
    without, found, again = ([one.probabilities for one in own] for own in answers)
    assert found == again
    assert found[1:] == without[1:]
    assert found[0] != without[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            profile(("A",), A=np.ones(BINS), B=np.ones(BINS)),
            "already has gains for B.*Allow the gains to be replaced",
        ),
        (profile(("Q",), Q=np.ones(BINS), D=np.ones(BINS)), "is Q.*with the reference A"),
        (profile(("A",), A=np.ones(BINS)), "its own reference"),
        (replace(profile(("A",), D=np.ones(BINS)), rate_hz=16000), "16000 Hz"),
    ],
)
def test_what_does_not_belong_to_the_model_is_refused(
    small_bundle: Bundle, given: DeviceProfile, message: str
) -> None:
    with pytest.raises(AnymicError, match=message):
        add_devices(small_bundle, given)


@pytest.fixture
def plain(small_bundle: Bundle) -> Bundle:
    """Return the model as if it had been trained without spectrum correction."""
    frontend = Frontend(small_bundle.frontend.config)
    frontend.mean.copy_(small_bundle.frontend.mean)
    frontend.scale.copy_(small_bundle.frontend.scale)
    return replace(small_bundle, profile=None, frontend=frontend)


def test_a_model_without_a_profile_gets_one(
    small_bundle: Bundle, plain: Bundle, clip: Clip, tmp_path: Path
) -> None:
    """What recorded its clips keeps gains of 1, and the new device has those of the profile."""
    gains = np.linspace(0.5, 2, BINS)
    changed = add_devices(plain, profile(("Q", "R"), Q=gains, R=gains, D=gains))
    assert changed.devices == ("D", "Q", "R")
    loaded = Bundle.load(changed.save(tmp_path / "run"))
    before = Predictor(plain, precision="float32")
    after = Predictor(loaded, precision="float32")
    for device in ("Q", "R", None):
        one, other = before.predict(clip, device=device), after.predict(clip, device=device)
        assert one.probabilities == other.probabilities
    found = after.predict(clip, device="D")
    as_d = add_devices(small_bundle, profile(("A",), A=np.ones(BINS), D=gains))
    same = Predictor(as_d, precision="float32").predict(clip, device="D")
    assert found.probabilities == same.probabilities
    assert found.device_policy == "profile"


def test_another_device_may_be_added_towards_one_that_was(plain: Bundle) -> None:
    two, three = np.full(BINS, 2.0), np.full(BINS, 3.0)
    changed = add_devices(plain, profile((UNNAMED,), D=two))
    changed = add_devices(changed, profile(("D",), D=np.ones(BINS), E=three))
    changed = add_devices(changed, profile(("the old one",), F=three))
    assert changed.profile is not None
    np.testing.assert_array_equal(changed.profile.gains_for("E"), 6.0 * np.ones(BINS))
    np.testing.assert_array_equal(changed.profile.gains_for("F"), three)


def test_each_member_of_an_ensemble_gets_the_device(
    small_bundle: Bundle, plain: Bundle, clip: Clip
) -> None:
    """One member has a profile and the other none; answers for the known device stay."""
    ensemble = Ensemble((small_bundle, plain))
    changed = add_devices(ensemble, profile(("A",), A=np.ones(BINS), D=np.full(BINS, 2.0)))
    assert changed.devices == ("A", "B", "D")
    for device in ("A", "B", None):
        one, other = (
            Predictor(model, precision="float32").predict(clip, device=device).probabilities
            for model in (ensemble, changed)
        )
        assert one == other
    answers = [
        Predictor(add_devices(one, profile(("A",), A=np.ones(BINS), D=np.full(BINS, 2.0))),
                  precision="float32").predict(clip, device="D").probabilities["dog"]
        for one in (small_bundle, plain)
    ]  # fmt: skip
    found = Predictor(changed, precision="float32").predict(clip, device="D")
    assert found.probabilities["dog"] == pytest.approx(np.mean(answers), abs=1e-6)


def test_blind_gains_are_marked_in_the_bundle_and_in_every_prediction(
    plain: Bundle, clip: Clip, tmp_path: Path
) -> None:
    given = profile(("A",), D=np.full(BINS, 2.0))
    blind = {"D": replace(given.devices["D"], source="blind")}
    folder = add_devices(plain, replace(given, devices=blind)).save(tmp_path / "run")
    assert json.loads((folder / "bundle.json").read_text())["correction"]["blind"] == ["D"]
    assert json.loads((folder / "profile.json").read_text())["devices"]["D"]["source"] == "blind"
    found = Predictor(Bundle.load(folder)).predict(clip, device="D")
    assert found.device_policy == "blind"
    assert found.notes == ("device D: gains estimated from recordings of it alone",)


def test_every_model_notes_a_stated_device_without_a_profile(
    small_bundle: Bundle, plain: Bundle, clip: Clip
) -> None:
    for model in (small_bundle, plain, Ensemble((small_bundle, plain))):
        predictor = Predictor(model)
        found = predictor.predict(clip, device="Q")
        assert found.notes == ("device Q: no profile, not corrected",)
        assert found.device_policy == "identity"
        assert predictor.predict(clip).notes == ()


def test_the_command_changes_the_model_in_place(
    small_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, new = small_bundle.save(tmp_path / "run"), tmp_path / "d.json"
    profile(("A",), A=np.ones(BINS), D=np.full(BINS, 0.5)).write(new)
    assert main(["devices", "add", str(run), "--profile", str(new)]) == 0
    assert "devices A, B, D" in capsys.readouterr().out
    assert Bundle.load(run).devices == ("A", "B", "D")
    assert main(["devices", "add", str(run), "--profile", str(new)]) == 2
    assert capsys.readouterr().err.startswith("error: The model already has gains for D.")
