"""How well spectrum correction finds known responses, and what it does to the features.

    python benchmarks/correction_recovery.py fold1.csv --responses ../shared/data/micirp

takes a manifest that `anymic data simulate` wrote (its devices.yaml lies beside it). Gains come
from the aligned takes of the training split. Printed for each estimator and device:

- recovery: |gain x response| in dB, median over the bins in which the device's mean spectrum over
  the takes lies at least 20 dB above its own noise, beside the number of such bins;
- features: mean |difference| of log-mel features in dB between device A and the device, over the
  same clips of the test split (every fourth), and how much of it is a constant per band.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch

from anymic import audio
from anymic.data.manifest import Manifest
from anymic.devices.correction.estimators import ESTIMATORS
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.response import impulse_response
from anymic.features.frontend import Frontend
from anymic.features.frontend_config import FrontendConfig

CLEAR_DB = 20.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4, help="every how many test clips")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    torch.set_num_threads(1)
    manifest = Manifest.read(arguments.manifest)
    bank = DeviceSet.read(arguments.manifest.parent / "devices.yaml", responses=arguments.responses)
    spectra = measure(manifest.where(split="train"))
    names = sorted(set(spectra.devices) - {"A"})
    truth = {name: response(bank, name, spectra) for name in names}
    gains: dict[str, dict[str, np.ndarray]] = {"no correction": {}}
    gains["inverse response"] = {name: 1 / np.maximum(truth[name], 0.01) for name in names}
    for estimator in ESTIMATORS:
        profile = SpectrumCorrection(estimator=estimator).fit_spectra(spectra).profile_
        gains[estimator] = {name: profile.gains_for(name) for name in names}
    table = features(manifest.where(split="test"), gains, names, arguments.every)
    print(f"{'':20s}" + "".join(f"{name + ': recovery  features':>34s}" for name in names))
    for label, factors in gains.items():
        cells = ""
        for name in names:
            recovery = ""
            if label in ESTIMATORS:
                clear = clear_bins(bank, name, spectra)
                error = np.abs(20 * np.log10(factors[name] * truth[name]))[clear]
                recovery = f"{np.median(error):.2f} dB ({clear.sum()} bins)"
            all_db, band_db = table[label, name]
            cells += f"{recovery:>20s}{all_db:7.2f} / {band_db:.2f}"
        print(f"{label:20s}{cells}")


def response(bank: DeviceSet, name: str, spectra: ClipSpectra) -> np.ndarray:
    """Return the magnitude response (bin,) of a device against A, whose response is flat."""
    device, reference = bank.devices[name], bank.devices["A"]
    assert device.response is not None
    assert reference.response is None
    taps = impulse_response(device.response, spectra.rate_hz, str(bank.responses)).taps
    size = 1 << 17
    fine = np.abs(np.fft.rfft(taps, size))
    bins = np.linspace(0, len(fine) - 1, spectra.fft_size // 2 + 1)
    level = 10 ** ((device.gain_db - reference.gain_db) / 20)
    return np.asarray(np.interp(bins, np.arange(len(fine)), fine) * level)


def clear_bins(bank: DeviceSet, name: str, spectra: ClipSpectra) -> np.ndarray:
    """Return (bin,) bool: where both devices' mean spectra over the takes rise above noise."""
    rows = spectra.aligned_rows(["A", name])
    clear = np.ones(spectra.magnitude.shape[1], dtype=bool)
    for column, one in enumerate(("A", name)):
        noise_db = bank.devices[one].noise_db
        # White noise of rms r through a Hann window: |X| has mean r sqrt(3/8 size) sqrt(pi)/2.
        level = 10 ** ((-120 if noise_db is None else noise_db) / 20)
        level *= np.sqrt(3 / 8 * spectra.fft_size * np.pi) / 2
        mean = spectra.magnitude[rows[:, column]].mean(axis=0)
        clear &= mean > level * 10 ** (CLEAR_DB / 20)
    return clear


def features(
    test: Manifest, gains: dict[str, dict[str, np.ndarray]], names: list[str], every: int
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return {(row, device): (mean |difference|, mean |difference of band means|)} in dB."""
    config = FrontendConfig(bands=128, hop_samples=1024)
    fronts = {label: Frontend(config, device_gains=factors) for label, factors in gains.items()}
    takes, paths = test.takes(["A", *names]).iloc[::every], test.paths()
    differences: dict[tuple[str, str], list[torch.Tensor]] = {}
    for _, rows in takes.iterrows():
        samples = {
            name: torch.from_numpy(audio.read(paths[row]).samples)[None]
            for name, row in rows.items()
        }
        clean = fronts["no correction"].log_mel(samples["A"])
        for label, front in fronts.items():
            for name in names:
                recorded = front.log_mel(samples[name], front.device_index([name]))
                differences.setdefault((label, name), []).append((recorded - clean)[0])
    decibels = 20 / np.log(10)
    return {
        key: (
            float(torch.cat(parts, dim=1).abs().mean() * decibels),
            float(torch.cat(parts, dim=1).mean(dim=1).abs().mean() * decibels),
        )
        for key, parts in differences.items()
    }


if __name__ == "__main__":
    main()
