"""The torch module gives what the NumPy functions give, and gradients pass through it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anymic.devices import DeviceProfile, SpectrumGains
from anymic.devices.correction.apply import apply_to_magnitude, apply_to_samples
from anymic.devices.correction.arrays import Domain
from anymic.devices.correction.profile import DeviceGains
from anymic.errors import DeviceError

FFT, HOP, BINS = 64, 16, 33


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    generator = np.random.default_rng(0)
    devices = {
        name: DeviceGains(np.exp(generator.normal(size=BINS)), 10, np.zeros(BINS)) for name in "BC"
    }
    return DeviceProfile(16000, FFT, ("A",), "ratio_of_means", devices, hop_samples=HOP)


@pytest.mark.parametrize("channels", [(), (2,)])
def test_spectra_are_those_of_apply_to_magnitude(
    profile: DeviceProfile, channels: tuple[int, ...]
) -> None:
    magnitude = torch.rand((3, *channels, BINS, 5), generator=torch.Generator().manual_seed(0))
    layer = SpectrumGains(profile)
    found = layer(magnitude, ["B", "C", "B"])
    for row, device in enumerate("BCB"):
        wanted = apply_to_magnitude(magnitude[row], profile.gains_for(device))
        torch.testing.assert_close(found[row], wanted)
    torch.testing.assert_close(layer(magnitude, layer.device_index(list("BCB"))), found)
    torch.testing.assert_close(layer(magnitude[1], "C"), found[1])
    stft = SpectrumGains(profile, domain="stft")
    torch.testing.assert_close(stft(magnitude.to(torch.cfloat), ["B", "C", "B"]).real, found)


@pytest.mark.parametrize("samples", [1, 15, 64, 1000])
def test_waveforms_are_those_of_apply_to_samples(profile: DeviceProfile, samples: int) -> None:
    clips = np.random.default_rng(1).standard_normal((2, samples)).astype(np.float32)
    layer = SpectrumGains(profile, domain="waveform")
    found = layer(torch.from_numpy(clips), ["C", "B"])
    for row, device in enumerate("CB"):
        gains = profile.gains_for(device)
        wanted = apply_to_samples(clips[row], gains, fft_size=FFT, hop_samples=HOP)
        np.testing.assert_allclose(found[row].numpy(), wanted, atol=2e-5)
        single = layer(torch.from_numpy(clips[row]), device)
        torch.testing.assert_close(single, found[row])


@pytest.mark.parametrize("domain", ["magnitude", "waveform"])
def test_gradients_pass_through(profile: DeviceProfile, domain: Domain) -> None:
    layer = SpectrumGains(profile, domain=domain).double()
    shape = (2, 8) if domain == "waveform" else (2, BINS, 2)
    values = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one: layer(one, ["B", "C"]), values)
    assert not list(layer.parameters())


def test_the_state_dict_holds_the_gains(profile: DeviceProfile) -> None:
    layer = SpectrumGains(profile)
    assert list(layer.state_dict()) == ["gains"]
    np.testing.assert_allclose(layer.gains[2], profile.gains_for("C"), rtol=1e-6)
    flat = {name: DeviceGains(np.ones(BINS), 1, np.zeros(BINS)) for name in "BC"}
    other = SpectrumGains(DeviceProfile(16000, FFT, ("A",), "geometric", flat, hop_samples=HOP))
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other.gains, layer.gains)


def test_an_unknown_device_is_refused_or_left_as_it_is(profile: DeviceProfile) -> None:
    values = torch.ones(2, BINS, 1)
    with pytest.raises(DeviceError, match="'phone'"):
        SpectrumGains(profile)(values, ["B", "phone"])
    found = SpectrumGains(profile, unknown="identity")(values, [None, "phone"])
    torch.testing.assert_close(found, values)


@pytest.mark.parametrize(
    ("domain", "values", "message"),
    [
        (
            "magnitude",
            torch.ones(2, BINS, 1, dtype=torch.cfloat),
            "magnitude. Expected real .* frame",
        ),
        ("magnitude", torch.ones(2, BINS - 1, 1), rf"\(2, {BINS - 1}, 1\)"),
        ("stft", torch.ones(2, BINS, 1), "domain stft. Expected complex "),
        ("waveform", torch.ones(2, 9, dtype=torch.int16), r"int16.* samples \(\.\.\., sample\)"),
        ("magnitude", torch.ones(3, BINS, 1), "2 devices for 3 clips"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    profile: DeviceProfile, domain: Domain, values: torch.Tensor, message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        SpectrumGains(profile, domain=domain)(values, ["B", "C"])
