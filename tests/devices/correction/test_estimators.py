"""Estimators of gains, on spectra of known ratios and on sounds through measured microphones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anymic
from anymic import audio
from anymic.data.manifest import Manifest
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.devices.simulation.response import ResponseSpec, impulse_response
from anymic.errors import DeviceError

RATE_HZ = 16000
BINS = 1025
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def gains_db(correction: SpectrumCorrection, device: str) -> np.ndarray:
    return np.asarray(20 * np.log10(correction.profile_.gains_for(device)))


def made(magnitude: dict[str, np.ndarray], logs: dict[str, np.ndarray]) -> ClipSpectra:
    """Return aligned spectra (take, bin) of each device as if they had been measured."""
    devices = [name for name, values in magnitude.items() for _ in values]
    takes = [f"t{take}" for values in magnitude.values() for take in range(len(values))]
    log = np.concatenate(list(logs.values()))
    frames = np.full(len(devices), 100)
    return ClipSpectra(
        rate_hz=RATE_HZ,
        fft_size=2 * (log.shape[1] - 1),
        hop_samples=(log.shape[1] - 1) // 2,
        floor_db=-100.0,
        silence_db=-40.0,
        clip_ids=tuple(f"{device}{take}" for device, take in zip(devices, takes, strict=True)),
        devices=tuple(devices),
        takes=tuple(takes),
        magnitude=np.concatenate(list(magnitude.values())),
        log_magnitude=log,
        joint_log_magnitude=log,
        frames=frames,
        active_frames=frames,
    )


@settings(max_examples=30, deadline=None)
@given(
    levels_db=st.lists(st.floats(-30, 30), min_size=1, max_size=6),
)
def test_mean_of_ratios_is_at_least_the_geometric_mean(levels_db: list[float]) -> None:
    """Arithmetic and geometric mean, of takes that differ in level only."""
    generator = np.random.default_rng(1)
    base = np.exp(generator.normal(size=(len(levels_db), 33)))
    factors = 10 ** (np.array(levels_db) / 20)[:, None]
    spectra = made(
        {"A": base, "B": base * factors}, logs={"A": np.log(base), "B": np.log(base * factors)}
    )
    kwargs: dict[str, Any] = {"fft_size": 64, "hop_samples": 16}
    arithmetic = SpectrumCorrection(estimator="mean_of_ratios", **kwargs).fit_spectra(spectra)
    geometric = SpectrumCorrection(estimator="geometric", **kwargs).fit_spectra(spectra)
    assert (gains_db(arithmetic, "B") >= gains_db(geometric, "B") - 1e-9).all()
    np.testing.assert_allclose(gains_db(geometric, "B"), -np.mean(levels_db), atol=1e-9)
    np.testing.assert_allclose(arithmetic.profile_.gains_for("B"), np.mean(1 / factors), rtol=1e-9)
    if len(levels_db) > 1:
        spread = np.std(levels_db, ddof=1)
        np.testing.assert_allclose(geometric.profile_.devices["B"].spread_db, spread, atol=1e-9)


@pytest.mark.parametrize(("gains", "ratios"), [(33, 32), (32, 33)])
def test_an_estimator_that_returns_another_number_of_bins_is_refused(
    gains: int, ratios: int
) -> None:
    """Either of its two arrays."""

    @anymic.register_estimator("other_bins", takes="ignored")
    def other_bins(recordings: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(gains), np.zeros((4, ratios))

    base = np.ones((4, 33))
    spectra = made({"A": base, "B": base}, logs={"A": base, "B": base})
    correction = SpectrumCorrection(estimator="other_bins", fft_size=64, hop_samples=16)
    with pytest.raises(DeviceError, match=rf"returns \({gains},\) and \(4, {ratios}\)"):
        correction.fit_spectra(spectra)


def test_real_microphones_are_recovered_from_real_sound(shared_data: Path, tmp_path: Path) -> None:
    """Ten clips of ten classes through two measured microphones, with noise at -80 dBFS."""
    meta = pd.read_csv(shared_data / "ESC-50" / "meta" / "esc50.csv")
    clips = meta.groupby("category").nth(3)
    folder = str(shared_data / "micirp")
    microphones = {"B": "GEC_bigdynamic.wav", "C": "IR_Lomo52A5M.wav"}
    generator = np.random.default_rng(0)
    rows = []
    for name in clips["filename"]:
        path = shared_data / "ESC-50" / "audio" / name
        clean = audio.read(path)
        for device in "ABC":
            samples = clean.samples / np.float32(2)
            if device in microphones:
                spec = ResponseSpec(file=microphones[device])
                samples = impulse_response(spec, clean.rate_hz, folder).apply(samples)
            hiss = generator.standard_normal(len(samples), dtype=np.float32)
            samples = samples + np.float32(1e-4) * hiss
            file = f"{device}-{Path(name).stem}.wav"
            audio.write(tmp_path / file, replace(clean, samples=samples))
            rows.append({"path": file, "label": "x", "device": device, "take": name})
    spectra = measure(Manifest.from_table(pd.DataFrame(rows), tmp_path))
    noise = 1e-4 * np.sqrt(3 / 8 * 2048 * np.pi) / 2  # mean magnitude of noise of that RMS
    for device, file in microphones.items():
        taps = impulse_response(ResponseSpec(file=file), spectra.rate_hz, folder).taps
        fine = np.abs(np.fft.rfft(taps, 1 << 17))
        truth = np.interp(np.linspace(0, len(fine) - 1, BINS), np.arange(len(fine)), fine)
        clear = np.all(
            [
                spectra.magnitude[spectra.rows(one)].mean(axis=0) > 10 * noise
                for one in "A" + device
            ],
            axis=0,
        )
        assert clear.sum() > 250
        limits_db = {"ratio_of_means": 0.3, "mean_of_ratios": 1.0, "geometric": 1.0}
        for estimator, limit_db in limits_db.items():
            correction = SpectrumCorrection(estimator=estimator).fit_spectra(spectra)
            error_db = np.abs(gains_db(correction, device) + 20 * np.log10(truth))
            assert np.median(error_db[clear]) < limit_db, (device, estimator)
