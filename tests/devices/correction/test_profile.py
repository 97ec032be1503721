from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymic.devices.correction.clip_sources import ArrayClips
from anymic.devices.correction.gain_fitting import FEW_TAKES, notes_of
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import DeviceError


def profile(**changes: Any) -> DeviceProfile:
    generator = np.random.default_rng(0)
    devices = {
        name: DeviceGains(np.exp(generator.normal(size=129)), 10, generator.random(129))
        for name in ("A", "phone-1", "phone-2")
    }
    settings: dict[str, Any] = {
        "rate_hz": 44100,
        "fft_size": 256,
        "reference": ("A",),
        "estimator": "geometric",
        "devices": devices,
        "floor_db": -90.0,
        "limit_db": 30.0,
        "silence_db": -50.0,
        "hop_samples": 64,
        "created": "2024-01-01T00:00:00+00:00",
        "fitted_on": ("0123", "4567"),
    }
    return DeviceProfile(**(settings | changes))


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    written = profile()
    path = written.write(tmp_path / "profile.json")
    read = DeviceProfile.read(path)
    assert list(read.devices) == list(written.devices)
    for name, device in written.devices.items():
        np.testing.assert_array_equal(read.gains_for(name), device.gains)
        np.testing.assert_allclose(read.devices[name].spread_db, device.spread_db, atol=1e-4)
        assert read.devices[name].count == 10
    assert read.to_mapping() == written.to_mapping()
    assert read.write(tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.json", "profile.json"]


def test_the_file_says_how_it_was_made(tmp_path: Path) -> None:
    values = json.loads(profile().write(tmp_path / "profile.json").read_text())
    assert values["format"] == "anymic-device-profile"
    assert values["version"] == 1
    assert (values["rate_hz"], values["fft_size"], values["hop_samples"]) == (44100, 256, 64)
    assert (values["floor_db"], values["limit_db"], values["silence_db"]) == (-90, 30, -50)


def device(**changes: Any) -> DeviceGains:
    values: dict[str, Any] = {"gains": np.ones(129), "count": 10, "spread_db": np.zeros(129)}
    return DeviceGains(**(values | changes))


def test_where_gains_come_from_and_the_noise_are_kept(tmp_path: Path) -> None:
    noise = np.stack([np.linspace(0, 1, 129), np.full(129, 0.5)])
    devices = {"A": device(), "b": device(source="response"), "c": device(noise=noise)}
    written = profile(devices=devices)
    read = DeviceProfile.read(written.write(tmp_path / "profile.json")).devices
    assert [read[name].source for name in "Abc"] == ["takes", "response", "takes"]
    np.testing.assert_array_equal(read["c"].noise, noise)
    assert read["A"].noise is None
    said = written.to_mapping()["devices"]
    assert ["source" in said[name] for name in "Abc"] == [False, True, False]
    assert ["noise" in said[name] for name in "Abc"] == [False, False, True]


@pytest.mark.parametrize(
    "noise", [np.ones((1, 129)), np.full((2, 129), -0.1), np.full((2, 129), np.inf)]
)
def test_noise_levels_that_are_none_are_refused(noise: np.ndarray) -> None:
    with pytest.raises(DeviceError, match="noise levels of device A"):
        profile(devices={"A": device(noise=noise)})


def test_few_takes_are_noted_but_not_of_the_reference() -> None:
    few, enough = device(count=FEW_TAKES - 1), device(count=FEW_TAKES)
    notes = notes_of(profile(devices={"A": few, "b": few, "c": enough}), [])
    assert len(notes) == 1
    assert notes[0].startswith(f"device b: gains estimated from only {FEW_TAKES - 1} clips")


def test_only_a_clip_of_zeros_is_silent() -> None:
    samples = np.zeros((2, 4000))
    samples[1, 2000] = 0.5
    clips = ArrayClips(
        samples, device=["A", "A"], take=None, rate_hz=8000, fft_size=256, hop_samples=64
    )
    assert sum(len(block) for block in clips.frames(1).magnitudes()) > 0
    with pytest.raises(DeviceError, match="silent"):
        clips.frames(0)


def test_bins_lie_from_zero_to_half_the_rate() -> None:
    np.testing.assert_allclose(profile().frequencies_hz(), np.fft.rfftfreq(256, 1 / 44100))


def test_a_profile_that_does_not_fit_is_refused() -> None:
    profile().require(rate_hz=44100, fft_size=256)
    with pytest.raises(DeviceError, match=r"48000 Hz\. Expected 44100 Hz.*\. Resample the audio"):
        profile().require(rate_hz=48000)
    with pytest.raises(DeviceError, match=r"rate of the model is .*Make a profile at 48000 Hz\.$"):
        profile().require(rate_hz=48000, what="model")
    with pytest.raises(DeviceError, match=r"The FFT size is 512\. Expected 256"):
        profile().require(rate_hz=44100, fft_size=512)


def test_an_unknown_device_is_refused_with_the_known_ones() -> None:
    message = (
        r"no device 'phone1' \(did you mean 'phone-1'\?\)\. Expected one of A, phone-1, phone-2"
    )
    with pytest.raises(DeviceError, match=message):
        profile().gains_for("phone1")


Spoil = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v.update(format="else"), "not a device profile"),
        (
            lambda v: v.update(version=2),
            "has version 2. Expected a device profile of version 1. Install a newer anymic",
        ),
        (lambda v: v.pop("rate_hz"), "has no key 'rate_hz'"),
        (lambda v: v.update(rate_hz="fast"), "a value that does not fit"),
        (lambda v: v.update(rate_hz=0), "a rate of 0 Hz"),
        (lambda v: v.update(hop_samples=300), "hop is 300 samples"),
        (lambda v: v.update(devices={}), "no device"),
        (lambda v: v.update(devices=[1]), "a value that does not fit"),
        (lambda v: v["devices"]["A"]["gains"].pop(), "128 gains for device A instead of 129"),
        (lambda v: v["devices"]["A"]["gains"].__setitem__(3, 0.0), "0 or less.* for 129 bins"),
        (lambda v: v["devices"]["A"]["gains"].__setitem__(3, -1.0), "gains of 0 or less"),
        (lambda v: v["devices"]["A"]["gains"].__setitem__(3, float("nan")), "not finite"),
        (lambda v: v["devices"]["A"]["gains"].__setitem__(3, float("inf")), "not finite"),
        (lambda v: v["devices"]["A"]["gains"].__setitem__(3, 1e300), "beyond the range of float32"),
        (
            lambda v: v["devices"]["A"].update(noise=[[1e200] * 129, [0.0] * 129]),
            "noise of device A beyond the range of float32",
        ),
        (lambda v: v["devices"]["A"]["spread_db"].pop(), "128 spreads for device A"),
        (lambda v: v["devices"]["A"]["spread_db"].__setitem__(3, -1.0), "spreads below 0"),
        (lambda v: v["devices"]["A"].update(count=-1), "a count of -1 for device A"),
        (lambda v: v["devices"]["A"].update(count=2.5), "2.5 is not a whole number"),
        (lambda v: v["devices"]["A"].update(count=True), "True is not a whole number"),
        (lambda v: v["devices"]["A"].update(count="10"), "'10' is not a whole number"),
        (lambda v: v.update(rate_hz=44100.5), "44100.5 is not a whole number"),
        (lambda v: v.update(fft_size=256.5), "256.5 is not a whole number"),
        (lambda v: v.update(hop_samples=True), "True is not a whole number"),
        (lambda v: v.update(floor_db=0.0), r"floor_db 0 \(not -300 dB to below 0\)"),
        (lambda v: v.update(silence_db=3), r"silence_db 3 \(not -300 dB to below 0\)"),
        (lambda v: v.update(limit_db=-1), r"limit_db -1 \(not above 0, up to 300 dB\)"),
        (lambda v: v.update(limit_db="40"), "'40' is not a number"),
    ],
)
def test_a_spoilt_file_is_refused_in_one_line(tmp_path: Path, spoil: Spoil, message: str) -> None:
    values = profile().to_mapping()
    spoil(values)
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(values))
    with pytest.raises(DeviceError, match=message) as caught:
        DeviceProfile.read(path)
    assert "\n" not in str(caught.value)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    values = profile().to_mapping()
    values["devices"]["A"]["gains"][0] = 0.0
    values["devices"]["phone-2"]["gains"].pop()
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(values))
    with pytest.raises(DeviceError, match="device A; 128 gains for device phone-2"):
        DeviceProfile.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No file"),
        ("{", "cannot be read"),
        ("[1]", "not a device profile"),
        ("", "cannot be read"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "profile.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DeviceError, match=message):
        DeviceProfile.read(path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="No folder"):
        profile().write(tmp_path / "nowhere" / "profile.json")
