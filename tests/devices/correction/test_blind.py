from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic.data.manifest import Manifest
from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.blind import (
    PRIOR_FINE_DB,
    MeanSpectrum,
    as_recordings,
    band_matrices,
)
from anymic.devices.correction.device_prior import components
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.errors import AudioError, DeviceError

RATE, FFT, HOP = 8000, 256, 128
BINS = FFT // 2 + 1
HZ = np.linspace(0, RATE / 2, BINS)


def sound(seed: int, response: np.ndarray | None = None) -> np.ndarray:
    """Return noise of random spectrum and level, recorded through a response (bin of a second,)."""
    generator = np.random.default_rng(seed)
    spectrum = np.fft.rfft(generator.standard_normal(RATE))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(RATE, 1 / RATE), 20) / 500)
    spectrum *= 10 ** ((generator.normal(-30, 6) + generator.normal(0, 3) * octaves) / 20)
    if response is not None:
        spectrum *= response
    return np.fft.irfft(spectrum).astype(np.float32)


def manifest_of(folder: Path, clips: list[np.ndarray], devices: list[str]) -> Manifest:
    for number, samples in enumerate(clips):
        soundfile.write(folder / f"{number}.wav", samples, RATE, subtype="FLOAT")
    rows = [
        {"path": f"{number}.wav", "label": "x", "device": device}
        for number, device in enumerate(devices)
    ]
    return Manifest.from_table(pd.DataFrame(rows), folder)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("training")
    return manifest_of(folder, [sound(seed) for seed in range(40)], ["A"] * 40)


@pytest.fixture(scope="module")
def spectra(training: Manifest) -> ClipSpectra:
    return measure(training, fft_size=FFT, hop_samples=HOP)


@pytest.fixture(scope="module")
def spectrum(training: Manifest) -> MeanSpectrum:
    return MeanSpectrum.measure(training, None, rate_hz=RATE, fft_size=FFT, hop_samples=HOP)


def test_training_clips_need_no_gains(spectra: ClipSpectra, spectrum: MeanSpectrum) -> None:
    """All of them: none; one in the middle: next to none."""
    all_db = 20 * np.log10(spectrum.gains(spectra.log_magnitude))
    assert np.abs(all_db).max() < 0.1
    distance = ((spectra.log_magnitude - spectrum.log_magnitude) ** 2).sum(axis=1)
    middle = spectra.log_magnitude[[distance.argmin()]]
    assert np.abs(20 * np.log10(spectrum.gains(middle))).max() < 4


def test_a_response_is_found_and_undone(spectrum: MeanSpectrum) -> None:
    """Other sounds through a hump of 10 dB, which forty of them reveal up to their level."""
    every_hz = np.fft.rfftfreq(RATE, 1 / RATE)
    hump_db = 10 * np.exp(-(np.log2(np.maximum(every_hz, 20) / 1500) ** 2))
    clips = [sound(1000 + seed, 10 ** (hump_db / 20)) for seed in range(40)]
    found_db = 20 * np.log10(spectrum.gains(np.stack([spectrum.observe(clip) for clip in clips])))
    wanted_db = -np.interp(HZ, every_hz, hump_db)
    error_db = (found_db - wanted_db)[3:-3]
    assert np.std(error_db) < 1.5
    assert np.std(wanted_db[3:-3]) > 3


def test_many_recordings_give_the_unaligned_geometric_estimate(
    training: Manifest, tmp_path: Path
) -> None:
    clips = [sound(seed, np.linspace(0.3, 3.0, RATE // 2 + 1)) for seed in range(100, 112)]
    device = measure(manifest_of(tmp_path, clips, ["Z"] * 12), fft_size=FFT, hop_samples=HOP)
    both = Manifest.from_table(
        pd.concat(
            [
                training.table.assign(path=list(map(str, training.paths()))),
                pd.DataFrame(
                    {"path": [str(tmp_path / f"{n}.wav") for n in range(12)], "device": "Z"}
                ).assign(label="x"),
            ]
        )
    )
    correction = SpectrumCorrection(
        reference="A", estimator="geometric_unaligned", fft_size=FFT, hop_samples=HOP
    ).fit(both)
    spectrum = MeanSpectrum.measure(training, None, rate_hz=RATE, fft_size=FFT, hop_samples=HOP)
    wanted = correction.profile_.gains_for("Z")
    errors_db = [
        np.abs(
            20 * np.log10(spectrum.gains(np.tile(device.log_magnitude, (times, 1))) / wanted)
        ).max()
        for times in (1, 100, 10_000)
    ]
    assert errors_db[0] > errors_db[1] > errors_db[2]
    assert errors_db[2] < 0.1


def drawn(
    spectrum: MeanSpectrum, recordings: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return log gains (bin,) drawn from the prior, and spectra of recordings of such a device."""
    into, back = band_matrices(RATE, FFT)
    mixture = components(spectrum.prior, spectrum.bands, spectrum.known @ into.T)
    kind = mixture[generator.choice(len(mixture), p=[one.share for one in mixture])]
    gains = generator.multivariate_normal(kind.mean, kind.covariance)
    content = generator.multivariate_normal(0 * gains, spectrum.covariance, size=recordings)
    fine = generator.normal(0, PRIOR_FINE_DB / NEPER_DB, BINS)
    own = generator.standard_normal((recordings, BINS)) * spectrum.spread
    within = fine - back @ (into @ fine), own - (own @ into.T) @ back.T
    return (
        back @ gains + within[0],
        spectrum.log_magnitude + (content - gains) @ back.T - within[0] + within[1],
    )


def test_no_other_weight_is_better_where_the_assumptions_hold(spectrum: MeanSpectrum) -> None:
    """Devices and contents drawn from the distributions: more or less of the gains errs more."""
    generator = np.random.default_rng(3)
    for recordings in (1, 5):
        errors = dict.fromkeys((0.0, 0.7, 1.0, 1.3), 0.0)
        plain = 0.0
        for _ in range(200):
            gains, observed = drawn(spectrum, recordings, generator)
            found = np.log(spectrum.gains(observed))
            for share in errors:
                errors[share] += np.square(share * found - gains).mean()
            plain += np.square(spectrum.log_magnitude - observed.mean(axis=0) - gains).mean()
        assert min(errors, key=lambda share: errors[share]) == 1.0
        assert errors[1.0] < plain


def test_the_uncertainty_is_the_error_where_the_assumptions_hold(spectrum: MeanSpectrum) -> None:
    """Two thirds of the gains are within one standard error, and 95 % within two."""
    generator = np.random.default_rng(4)
    for recordings in (1, 20):
        errors = []
        for _ in range(100):
            gains, observed = drawn(spectrum, recordings, generator)
            found = spectrum.estimate(observed)
            errors.append(NEPER_DB * np.abs(np.log(found.gains) - gains) / found.uncertainty_db)
        assert np.mean(np.array(errors) < 1) == pytest.approx(0.683, abs=0.08)
        assert np.mean(np.array(errors) < 2) == pytest.approx(0.954, abs=0.04)


def test_the_uncertainty_of_many_recordings_is_the_error_of_their_mean(
    spectra: ClipSpectra, spectrum: MeanSpectrum
) -> None:
    """The prior does not count: the variance is that of a recording over their number."""
    many = 20_000
    (one,) = spectra.log_magnitude[:1]
    found = spectrum.estimate(np.broadcast_to(one, (many, BINS)))
    _, back = band_matrices(RATE, FFT)
    variance = np.diag(back @ spectrum.covariance @ back.T) + spectrum.spread**2
    wanted = NEPER_DB * np.sqrt(variance / many)
    np.testing.assert_allclose(found.uncertainty_db, wanted, rtol=1e-3)


def test_a_device_like_a_known_one_has_its_gains(spectra: ClipSpectra) -> None:
    """Recordings like those of either known device have nearly its gains, not the mean of both."""
    ripple = np.exp(1.5 * np.sin(np.arange(BINS) / 12))
    gains = {"A": np.ones(BINS), "B": ripple}
    profile = DeviceProfile(
        rate_hz=RATE,
        fft_size=FFT,
        hop_samples=HOP,
        reference=("A",),
        estimator="geometric",
        devices={name: DeviceGains(each, 9, np.zeros(BINS)) for name, each in gains.items()},
    )
    spectrum = MeanSpectrum.of(spectra, profile)
    assert spectrum.known.shape == (2, BINS)
    for known in gains.values():
        recordings = spectra.log_magnitude[:5] - np.log(known)
        error_db = 20 * np.log10(spectrum.gains(recordings) / known)
        assert np.std(error_db[3:]) < 0.5 * np.std(20 * np.log10(ripple[3:]))


def test_a_model_of_an_earlier_version_keeps_its_answers(spectrum: MeanSpectrum) -> None:
    """Version 1 has one normal distribution around the mean of the known devices' gains."""
    record, tensors = spectrum.to_parts()
    old = {key: value for key, value in record.items() if key != "prior"} | {"version": 1}
    expected = torch.zeros(BINS, dtype=torch.float64)
    found = MeanSpectrum.from_parts(old, {**tensors, "expected": expected})
    observed = spectrum.observe(sound(50))
    into, back = band_matrices(RATE, FFT)
    device = components("smooth", spectrum.bands, np.zeros((0, len(into))))[0].covariance
    difference = spectrum.log_magnitude - observed
    coarse = into @ difference
    weight = (PRIOR_FINE_DB / NEPER_DB) ** 2
    wanted = back @ (device @ np.linalg.solve(device + spectrum.covariance, coarse))
    wanted += weight / (weight + spectrum.spread**2) * (difference - back @ coarse)
    np.testing.assert_allclose(np.log(found.gains(observed[None])), wanted, atol=1e-9)
    assert found.prior == "smooth"


def test_clips_without_device_or_beside_a_take_count_each(training: Manifest) -> None:
    plain = Manifest.from_table(training.table.drop(columns="device"), training.root)
    taken = training.with_columns(take="1", device=["A", ""] * 20)
    found = [
        MeanSpectrum.measure(one, None, rate_hz=RATE, fft_size=FFT, hop_samples=HOP)
        for one in (training, plain, taken)
    ]
    assert [one.count for one in found] == [40, 40, 40]
    for one in found[1:]:
        np.testing.assert_array_equal(one.log_magnitude, found[0].log_magnitude)
    assert found[0].fitted_on == tuple(training.clip_ids())
    assert len(as_recordings(plain)) == 40


def test_observing_is_measuring(spectra: ClipSpectra, spectrum: MeanSpectrum) -> None:
    np.testing.assert_allclose(spectrum.observe(sound(7)), spectra.log_magnitude[7], atol=1e-6)


def test_recordings_of_one_sound_are_noticed_on_any_device(
    spectra: ClipSpectra, spectrum: MeanSpectrum
) -> None:
    """The response shifts all spectra alike; the variance among them is of the sounds."""
    response = np.sin(np.arange(BINS) / 9)
    various = spectrum.estimate(spectra.log_magnitude[:20] + response)
    assert various.variety == pytest.approx(1.0, abs=0.4)
    assert not various.alike
    alike = spectra.log_magnitude[:1] + 0.2 * (
        spectra.log_magnitude[:20] - spectra.log_magnitude[0]
    )
    found = spectrum.estimate(alike + response)
    assert found.alike
    assert found.notes[0].startswith(f"the 20 recordings are alike ({100 * found.variety:.0f} % of")
    assert not spectrum.estimate(alike[:1]).alike
    two = spectra.log_magnitude[:2]
    into, _ = band_matrices(RATE, FFT)
    between = np.square(into @ (two[0] - two[1])).sum() / 2  # the sample variance of two
    variety = between / np.trace(spectrum.covariance)
    assert spectrum.estimate(two).variety == pytest.approx(variety)
    tiny = spectra.log_magnitude[0] + 0.01 * (spectra.log_magnitude[:8] - spectrum.log_magnitude)
    assert spectrum.estimate(tiny).alike  # of eight recordings on
    assert not spectrum.estimate(tiny[:7]).alike


def test_gains_are_limited(spectrum: MeanSpectrum) -> None:
    gains = spectrum.gains(np.tile(spectrum.log_magnitude - 20, (10_000, 1)))
    assert gains.max() == pytest.approx(100.0)


def test_parts_make_an_equal_one(spectrum: MeanSpectrum) -> None:
    again = MeanSpectrum.from_parts(*spectrum.to_parts())
    observed = spectrum.observe(sound(50))[None]
    np.testing.assert_array_equal(again.gains(observed), spectrum.gains(observed))
    assert again.fitted_on == spectrum.fitted_on


def test_ten_clips_are_enough(training: Manifest) -> None:
    few = training.rows(range(10))
    found = MeanSpectrum.measure(few, None, rate_hz=RATE, fft_size=FFT, hop_samples=HOP)
    assert found.count == 10


def test_rejections(training: Manifest, spectrum: MeanSpectrum) -> None:
    with pytest.raises(
        DeviceError, match=r"9 clips can be used for the mean spectrum\. Expected at least 10"
    ):
        MeanSpectrum.measure(
            training.rows(range(9)), None, rate_hz=RATE, fft_size=FFT, hop_samples=HOP
        )
    with pytest.raises(DeviceError, match=r"spectra have shape \(0, 129\)\. Expected one or more"):
        spectrum.gains(np.empty((0, BINS)))
    with pytest.raises(DeviceError, match="recordings of 129 bins"):
        spectrum.gains(np.zeros((2, 5)))
    with pytest.raises(AudioError, match="is silent"):
        spectrum.observe(np.zeros(RATE, dtype=np.float32))
    with pytest.raises(DeviceError, match="non-finite log_magnitude; spread of 3"):
        replace(spectrum, spread=np.zeros(3), log_magnitude=np.full(BINS, np.nan))
    record, tensors = spectrum.to_parts()
    with pytest.raises(DeviceError, match="mean spectrum has version 3"):
        MeanSpectrum.from_parts({**record, "version": 3}, tensors)
    with pytest.raises(DeviceError, match=r"does not fit .*prior 'none'"):
        MeanSpectrum.from_parts({**record, "prior": "none"}, tensors)
    with pytest.raises(DeviceError, match="mean spectrum has no key 'log_magnitude'"):
        MeanSpectrum.from_parts(record, {})
