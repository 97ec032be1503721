"""The estimators beside an implementation of their own, of the formulas as they were published.

X(take, device) is the magnitude of the STFT. The table has the largest difference of a gain in dB;
the estimators compute in float32. As a program this prints the rows of the table in
docs/devices.md.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.training import CorrectionConfig, load_config

Array = NDArray[np.float64]
RATE_HZ, FFT, HOP, TAKES = 16_000, 256, 64, 6
DEVICES = ("A", "B", "C")
REFERENCES: dict[str, tuple[str, ...]] = {"A": ("A",), "B+C": ("B", "C"), "all": DEVICES}
EVERYTHING = {"floor_db": -300.0, "silence_db": -300.0, "limit_db": 300.0, "weighting": "none"}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "devices.md"
PAGE_UNIT_DB = 1e-6  # of the table on the page
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def stft(samples: Array) -> Array:
    """Return magnitudes (frame, bin): Hann window, centred, zeros beyond both ends."""
    padded = np.concatenate([np.zeros(FFT // 2), samples, np.zeros(FFT // 2)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    starts = range(0, len(padded) - FFT + 1, HOP)
    return np.abs([np.fft.rfft(padded[at : at + FFT] * window) for at in starts])


def takes() -> dict[str, list[Array]]:
    """Return noises whose level rises and falls, by each device: A is flat, B and C are not."""
    generator, found = np.random.default_rng(5), {name: list[Array]() for name in DEVICES}
    for number in range(TAKES):
        length = RATE_HZ // 2 + 100 * number
        level = 10 ** (np.sin(np.linspace(0, 9 + number, length)) - 1.5)
        sound = level * generator.standard_normal(length)
        for name, filters in zip(DEVICES, ([1.0], [0.6, 0.5], [0.7, -0.4, 0.2]), strict=True):
            own = np.convolve(sound, filters)[:length]
            found[name].append(own + 1e-4 * generator.standard_normal(length))
    return found


def published(name: str, spectra: dict[str, list[Array]], device: str, reference: str) -> Array:
    """Return the gains (bin,) by the formula of a paper."""
    references = REFERENCES[reference]
    magnitude = {one: np.array([x.mean(axis=0) for x in own]) for one, own in spectra.items()}
    logarithm = {
        one: np.array([np.log(x).mean(axis=0) for x in own]) for one, own in spectra.items()
    }
    virtual = np.mean([magnitude[one] for one in references], axis=0)
    if name == "ratio_of_means":  # Nguyen 2020, section 2.1
        return np.asarray(virtual.mean(axis=0) / magnitude[device].mean(axis=0))
    if name == "mean_of_ratios":  # Kosmider 2019, section 2
        return np.asarray((virtual / magnitude[device]).mean(axis=0))
    # exp of the mean over takes and frames of log X(reference) - log X(device)
    mean = np.mean([logarithm[one] for one in references], axis=0) - logarithm[device]
    return np.asarray(np.exp(mean.mean(axis=0)))


def fitted(estimator: str, reference: str, **settings: object) -> SpectrumCorrection:
    sounds = takes()
    shortest = min(len(one) for own in sounds.values() for one in own)
    clips = np.array([one[:shortest] for own in sounds.values() for one in own])
    analysis = {"fft_size": FFT, "hop_samples": HOP, **settings}
    chosen = "all" if reference == "all" else list(REFERENCES[reference])
    correction = SpectrumCorrection(reference=chosen, estimator=estimator, **analysis)  # type: ignore[arg-type]
    named = [(name, number) for name in DEVICES for number in range(TAKES)]
    device, take = zip(*named, strict=True)
    return correction.fit(clips.astype(np.float32), device=device, take=take, rate_hz=RATE_HZ)


ESTIMATORS = ("ratio_of_means", "mean_of_ratios", "geometric", "geometric_unaligned")


def differences() -> dict[tuple[str, str], float]:
    """Return the largest difference of a gain in dB, by estimator and reference."""
    sounds = takes()
    shortest = min(len(one) for own in sounds.values() for one in own)
    spectra = {name: [stft(one[:shortest]) for one in own] for name, own in sounds.items()}
    table = {}
    for estimator, reference in itertools.product(ESTIMATORS, REFERENCES):
        profile = fitted(estimator, reference, **EVERYTHING).profile_
        apart = [
            20 * np.log10(profile.gains_for(name) / published(estimator, spectra, name, reference))
            for name in DEVICES
        ]
        table[estimator, reference] = float(np.abs(apart).max())
    return table


def rows(table: dict[tuple[str, str], float]) -> list[str]:
    """Return the lines of the table on the page."""
    each = {
        name: " | ".join(f"{table[name, one] / PAGE_UNIT_DB:.1f}" for one in REFERENCES)
        for name in ESTIMATORS
    }
    return [f"| `{name}` | {cells} |" for name, cells in each.items()]


def test_every_estimator_is_the_published_formula_and_the_page_says_how_nearly() -> None:
    """The last digits of float32 differ between processors: a factor of two is as printed."""
    table, text = differences(), PAGE.read_text(encoding="utf-8")
    assert len(table) == 4 * 3
    assert max(table.values()) < 1e-4, table
    assert f"| estimator | {' | '.join(REFERENCES)} |" in text
    for name in ESTIMATORS:
        (cells,) = re.findall(rf"^\| `{name}` \| ([\d. |]+) \|$", text, re.MULTILINE)
        stated = PAGE_UNIT_DB * np.array([float(cell) for cell in cells.split(" | ")])
        ratios = stated / [table[name, one] for one in REFERENCES]
        assert np.all((ratios > 0.5) & (ratios < 2)), rows(table)


def test_weights_silence_and_floor_are_what_the_geometric_estimator_adds() -> None:
    plain = fitted("geometric", "A", **EVERYTHING).profile_.gains_for("B")
    for name, default in (("weighting", "loudness"), ("silence_db", -20.0), ("floor_db", -20.0)):
        changed = fitted("geometric", "A", **{**EVERYTHING, name: default}).profile_
        assert np.abs(20 * np.log10(changed.gains_for("B") / plain)).max() > 0.01, name


def test_a_profile_keeps_its_weighting() -> None:
    profile = fitted("geometric", "A", **EVERYTHING).profile_
    again = type(profile).from_mapping(profile.to_mapping())
    assert again.weighting == "none"
    usual = fitted("geometric", "A").profile_.to_mapping()
    assert "weighting" not in usual  # as before there was another
    assert type(profile).from_mapping(usual).weighting == "loudness"


def test_settings_have_what_python_has() -> None:
    changes = {"correction": {"reference": "all", "estimator": "geometric", "weighting": "none"}}
    config = load_config("kosmider2019", changes=changes).correction
    assert config == CorrectionConfig((), "geometric", weighting="none")
    assert CorrectionConfig("A") == CorrectionConfig(("A",))


if __name__ == "__main__":
    print("\n".join(rows(differences())))
