"""Gains of mel bands, against mean mel spectra made another way."""

from __future__ import annotations

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.data.manifest import Manifest
from anymic.devices.correction.gain_fitting import band_gains
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.errors import DeviceError
from anymic.features import FrontendConfig
from anymic.features.mel import mel_filters

RATE, FFT, HOP, BANDS, TAKES = 8000, 256, 128, 32, 5
FILTERS = mel_filters(
    FrontendConfig(rate_hz=RATE, fft_size=FFT, hop_samples=HOP, bands=BANDS)
).numpy()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return takes of noise, rising in level, by A, and by B and C through filters."""
    folder = tmp_path_factory.mktemp("takes")
    rows = []
    for take in range(TAKES):
        noise = np.random.default_rng(take).normal(scale=0.02 * (1 + take), size=RATE)
        for device, response in (("A", [1.0]), ("B", [0.6, 0.5]), ("C", [0.5, -0.4])):
            path = folder / f"{take}{device}.wav"
            recorded = np.convolve(noise, response)[:RATE].astype(np.float32)
            soundfile.write(path, recorded, RATE, subtype="FLOAT")
            rows.append((path.name, "noise", device, str(take)))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take"])
    return Manifest.from_table(table, root=folder)


@pytest.fixture(scope="module")
def spectra(corpus: Manifest) -> ClipSpectra:
    return measure(corpus, fft_size=FFT, hop_samples=HOP)


def mean_mel(corpus: Manifest, device: str) -> np.ndarray:
    """Mean mel spectrum of each take of a device (take, band), by librosa."""
    found = []
    for path in corpus.where(device=device).paths():
        mel = librosa.feature.melspectrogram(
            y=soundfile.read(path)[0], sr=RATE, n_fft=FFT, hop_length=HOP, n_mels=BANDS, power=1.0
        )
        found.append(mel.mean(axis=1))
    return np.array(found)


def fit(spectra: ClipSpectra, **options: object) -> SpectrumCorrection:
    correction = SpectrumCorrection(fft_size=FFT, hop_samples=HOP, **options)  # type: ignore[arg-type]
    return correction.fit_spectra(spectra)


@pytest.mark.parametrize("reference", ["A", ("B", "C"), "all"])
def test_ratio_of_means_is_that_of_mean_mel_spectra(
    corpus: Manifest, spectra: ClipSpectra, reference: str | tuple[str, ...]
) -> None:
    profile = fit(spectra, reference=reference).profile_
    found = band_gains(spectra, profile, FILTERS)
    assert list(found) == ["A", "B", "C"]
    means = {device: mean_mel(corpus, device).mean(axis=0) for device in "ABC"}
    wanted = np.mean([means[device] for device in profile.reference], axis=0)
    for device, gains in found.items():
        np.testing.assert_allclose(gains, wanted / means[device], rtol=1e-4)


def test_mean_of_ratios_is_that_of_each_takes_mel_spectra(
    corpus: Manifest, spectra: ClipSpectra
) -> None:
    profile = fit(spectra, reference="A", estimator="mean_of_ratios").profile_
    found = band_gains(spectra, profile, FILTERS)
    ratios = mean_mel(corpus, "A") / mean_mel(corpus, "C")
    np.testing.assert_allclose(found["C"], ratios.mean(axis=0), rtol=1e-4)
    assert (found["A"] == 1).all()


def test_bands_of_one_bin_have_the_gains_of_bins(spectra: ClipSpectra) -> None:
    profile = fit(spectra, reference="A").profile_
    chosen = np.arange(3, 100, 7)
    single = np.eye(FFT // 2 + 1, dtype=np.float32)[chosen]
    found = band_gains(spectra, profile, single)
    np.testing.assert_allclose(found["B"], profile.devices["B"].gains[chosen])


def test_geometric_means_are_refused(spectra: ClipSpectra) -> None:
    profile = fit(spectra, reference="A", estimator="geometric").profile_
    with pytest.raises(
        DeviceError, match=r"geometric does not work for mel bands\. Expected ratio_of_means or"
    ):
        band_gains(spectra, profile, FILTERS)
