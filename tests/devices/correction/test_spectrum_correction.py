from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from anymic.data.manifest import Manifest
from anymic.devices.correction.estimators import ESTIMATORS as REGISTRY
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.errors import DeviceError, ManifestError

RATE_HZ = 16000
BINS = 1025
ESTIMATORS = REGISTRY.names()
ALIGNED = tuple(spec.name for spec in REGISTRY.specs() if spec.takes != "ignored")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

# Gains of two devices at 0, 1, ... 8 kHz, in dB; A is flat.
CURVES_DB = {
    "B": [-20.0, -12, -3, 0, 4, 6, 2, -8, -15],
    "C": [3.0, 9, 12, 4, -4, -9, -12, -6, 0],
}


def response(device: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the taps of a linear-phase filter and its magnitude at the bins."""
    if device == "A":
        return np.ones(1), np.ones(BINS)
    gains = 10 ** (np.array(CURVES_DB[device]) / 20)
    taps = scipy.signal.firwin2(129, np.linspace(0, 1, 9), gains)
    return taps, np.abs(np.fft.rfft(taps, 2048))


def write_takes(folder: Path, *, takes: int = 12, noise: float = 0.0, extra: int = 0) -> Manifest:
    """Write white-noise takes recorded by A, B and C, and clips recorded by A alone."""
    generator = np.random.default_rng(0)
    rows = []
    for take, device in product(range(takes + extra), "ABC"):
        if device == "A":
            sound = 0.1 * generator.standard_normal(2 * RATE_HZ)
            if take >= takes:
                sound = 0.5 * np.sin(np.arange(len(sound)))
        elif take >= takes:
            continue
        recorded = scipy.signal.convolve(sound, response(device)[0], mode="same")
        recorded = recorded + noise * generator.standard_normal(len(recorded))
        name = f"{device}{take}.wav"
        soundfile.write(folder / name, recorded.astype(np.float32), RATE_HZ, subtype="FLOAT")
        row = {"path": name, "label": "x", "device": device, "take": f"t{take}"}
        rows.append(row)
    return Manifest.from_table(pd.DataFrame(rows), folder)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_takes(tmp_path_factory.mktemp("takes"))


@pytest.fixture(scope="module")
def spectra(manifest: Manifest) -> ClipSpectra:
    return measure(manifest)


def gains_db(correction: SpectrumCorrection, device: str) -> np.ndarray:
    return np.asarray(20 * np.log10(correction.profile_.gains_for(device)))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_known_response_is_recovered(spectra: ClipSpectra, estimator: str) -> None:
    correction = SpectrumCorrection(estimator=estimator).fit_spectra(spectra)
    for device in "BC":
        error_db = gains_db(correction, device) + 20 * np.log10(response(device)[1])
        assert np.abs(error_db[2:-2]).max() < 0.2
        assert correction.profile_.devices[device].count == 12
        if estimator in ALIGNED:  # else it is that of the sounds as well
            assert np.median(correction.profile_.devices[device].spread_db) < 0.1


def test_unaligned_clips_of_like_sounds_are_enough(manifest: Manifest) -> None:
    # A keeps takes 0 to 5, B and C 6 to 11: no two clips share their sound.
    number = manifest.table["take"].str[1:].astype(int)
    halves = manifest.rows(((manifest.table["device"] == "A") == (number < 6)).to_numpy())
    without = Manifest.from_table(halves.table.drop(columns="take"), manifest.root)
    for estimator in ("geometric_unaligned", "ratio_of_means"):
        correction = SpectrumCorrection(estimator=estimator).fit(without)
        for device in "BC":
            error_db = gains_db(correction, device) + 20 * np.log10(response(device)[1])
            assert np.abs(error_db[2:-2]).mean() < 0.6
            assert correction.profile_.devices[device].count == 6


def test_takes_that_are_all_empty_are_as_no_takes(manifest: Manifest) -> None:
    without = Manifest.from_table(manifest.table.drop(columns="take"), manifest.root)
    found = [
        gains_db(SpectrumCorrection(estimator="ratio_of_means").fit(one), "B")
        for one in (without, manifest.with_columns(take=""))
    ]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("reference", ["A", ("B", "C"), "all"])
def test_gains_lead_every_device_to_the_same_spectrum(
    spectra: ClipSpectra, estimator: str, reference: str
) -> None:
    correction = SpectrumCorrection(reference=reference, estimator=estimator).fit_spectra(spectra)
    logs = {"geometric": spectra.joint_log_magnitude, "geometric_unaligned": spectra.log_magnitude}
    means = {}
    for device in "ABC":
        rows = spectra.rows(device)
        mean = (
            np.exp(logs[estimator][rows].mean(axis=0))
            if estimator in logs
            else spectra.magnitude[rows].mean(axis=0)
        )
        means[device] = mean * correction.profile_.gains_for(device)
    # Exact where the estimator matches these very means; takes of noise differ a little.
    tolerance = 0.02 if estimator == "mean_of_ratios" else 1e-9
    np.testing.assert_allclose(means["B"], means["A"], rtol=tolerance)
    np.testing.assert_allclose(means["C"], means["A"], rtol=tolerance)


def test_the_reference_device_has_gains_of_exactly_one(spectra: ClipSpectra) -> None:
    for estimator in ESTIMATORS:
        profile = SpectrumCorrection(estimator=estimator).fit_spectra(spectra).profile_
        assert (profile.gains_for("A") == 1).all()
        assert profile.devices["A"].count == 12
        assert len(profile.fitted_on) == 36


def test_a_virtual_reference_maps_its_own_devices_too(spectra: ClipSpectra) -> None:
    geometric = SpectrumCorrection(reference="all", estimator="geometric").fit_spectra(spectra)
    total = sum(gains_db(geometric, device) for device in "ABC")
    np.testing.assert_allclose(total, 0, atol=1e-9)
    ratio = SpectrumCorrection(reference=("B", "C")).fit_spectra(spectra).profile_
    inverse = np.mean([1 / ratio.gains_for(device) for device in "BC"], axis=0)
    np.testing.assert_allclose(inverse, 1, rtol=1e-9)
    assert not np.allclose(ratio.gains_for("A"), 1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_virtual_reference_of_one_is_that_device(spectra: ClipSpectra, estimator: str) -> None:
    one = SpectrumCorrection(reference=["B"], estimator=estimator).fit_spectra(spectra)
    same = SpectrumCorrection(reference="B", estimator=estimator).fit_spectra(spectra)
    every = SpectrumCorrection(reference="all", estimator=estimator).fit_spectra(spectra)
    named = SpectrumCorrection(reference=("C", "A", "B"), estimator=estimator).fit_spectra(spectra)
    for device in "ABC":
        np.testing.assert_array_equal(gains_db(one, device), gains_db(same, device))
        np.testing.assert_array_equal(gains_db(every, device), gains_db(named, device))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_order_of_clips_does_not_matter(
    spectra: ClipSpectra, estimator: str, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(spectra))))
    shuffled = chosen(spectra, np.array(order))
    before = SpectrumCorrection(reference="all", estimator=estimator).fit_spectra(spectra)
    after = SpectrumCorrection(reference="all", estimator=estimator).fit_spectra(shuffled)
    for device in "ABC":
        np.testing.assert_allclose(gains_db(after, device), gains_db(before, device), atol=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_device_k_times_as_loud_has_gains_of_one_kth(tmp_path: Path, estimator: str) -> None:
    manifest = write_takes(tmp_path, takes=3)
    before = SpectrumCorrection(estimator=estimator).fit(manifest)
    for path in tmp_path.glob("B*.wav"):
        samples, _ = soundfile.read(path, dtype="float32")
        soundfile.write(path, 3 * samples, RATE_HZ, subtype="FLOAT")
    after = SpectrumCorrection(estimator=estimator).fit(manifest)
    ratio = after.profile_.gains_for("B") / before.profile_.gains_for("B")
    np.testing.assert_allclose(ratio, 1 / 3, rtol=1e-4)


def test_clips_of_the_reference_alone_change_nothing(tmp_path: Path) -> None:
    manifest = write_takes(tmp_path, takes=3, extra=4)
    common = manifest.where(take=["t0", "t1", "t2"])
    for estimator in ALIGNED:
        few = SpectrumCorrection(estimator=estimator).fit(common)
        many = SpectrumCorrection(estimator=estimator).fit(manifest)
        grid = SpectrumCorrection(estimator=estimator).fit_spectra(measure(manifest))
        for device in "BC":
            np.testing.assert_array_equal(gains_db(few, device), gains_db(many, device))
            np.testing.assert_array_equal(gains_db(few, device), gains_db(grid, device))
        assert many.profile_.devices["A"].count == 3
    loose = SpectrumCorrection(estimator="geometric_unaligned").fit(manifest)
    assert loose.profile_.devices["A"].count == 7
    assert loose.profile_.devices["B"].count == 3


def test_each_device_uses_the_takes_it_shares_with_the_reference(spectra: ClipSpectra) -> None:
    gone = [
        row
        for row, (device, take) in enumerate(zip(spectra.devices, spectra.takes, strict=True))
        if (device == "B" and take in ("t0", "t1")) or (device == "C" and take != "t0")
    ]
    rest = chosen(spectra, np.delete(np.arange(len(spectra)), gone))
    profile = SpectrumCorrection().fit_spectra(rest).profile_
    assert {name: gains.count for name, gains in profile.devices.items()} == {
        "A": 11,
        "B": 10,
        "C": 1,
    }
    assert (profile.devices["C"].spread_db == 0).all()
    with pytest.raises(DeviceError, match=r"no aligned takes of B\+C and A"):
        SpectrumCorrection(reference="all").fit_spectra(rest)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_bins_without_energy_get_finite_limited_gains(tmp_path: Path, estimator: str) -> None:
    manifest = write_takes(tmp_path, takes=2)
    low = scipy.signal.butter(20, 2000, fs=RATE_HZ, output="sos")
    for path in tmp_path.glob("B*.wav"):
        samples, _ = soundfile.read(path)
        cut = scipy.signal.sosfiltfilt(low, samples).astype(np.float32)
        soundfile.write(path, cut, RATE_HZ, subtype="FLOAT")
    correction = SpectrumCorrection(estimator=estimator, limit_db=25.0).fit(manifest)
    gains = gains_db(correction, "B")
    np.testing.assert_allclose(gains[BINS // 2 :], 25.0, atol=1e-9)
    assert gains[60:200].max() < 17  # 14.4 dB at most by B's own curve
    assert any("bins at the limit of 25 dB" in note for note in correction.notes_)
    both = SpectrumCorrection(reference="B", estimator=estimator, limit_db=25.0).fit(manifest)
    np.testing.assert_allclose(gains_db(both, "A")[BINS // 2 :], -25.0, atol=1e-9)


@pytest.mark.parametrize("estimator", ALIGNED)
def test_digital_silence_after_the_sound_does_not_matter(tmp_path: Path, estimator: str) -> None:
    """A fades to zeros, B to its own hiss 60 dB down: the gains stay those of the sound."""
    manifest = write_takes(tmp_path, takes=3)
    before = SpectrumCorrection(estimator=estimator).fit(manifest)
    hiss = 1e-4 * np.random.default_rng(5).standard_normal(3 * RATE_HZ)
    for path in tmp_path.glob("*.wav"):
        samples, _ = soundfile.read(path)
        tail = hiss if path.name.startswith("B") else 0 * hiss
        padded = np.concatenate([samples, tail]).astype(np.float32)
        soundfile.write(path, padded, RATE_HZ, subtype="FLOAT")
    after = SpectrumCorrection(estimator=estimator).fit(manifest)
    change = np.abs(gains_db(after, "B") - gains_db(before, "B"))[2:-2]
    assert np.median(change) < 0.1
    assert change.max() < 0.6


# Rejections


def test_aligned_estimators_need_takes(manifest: Manifest) -> None:
    without = Manifest.from_table(manifest.table.drop(columns="take"), manifest.root)
    empty = manifest.with_columns(take="")
    for estimator in ("mean_of_ratios", "geometric"):
        with pytest.raises(ManifestError, match=f"take for the aligned estimator {estimator}"):
            SpectrumCorrection(estimator=estimator).fit(without)
        with pytest.raises(DeviceError, match="no aligned takes"):
            SpectrumCorrection(estimator=estimator).fit(empty)


def test_no_common_take_is_refused_before_any_audio_is_read(manifest: Manifest) -> None:
    apart = manifest.with_columns(
        take=[
            "" if device == "C" else take
            for device, take in manifest.table[["device", "take"]].to_numpy()
        ],
        path=[f"gone/{path}" for path in manifest.table["path"]],
    )
    with pytest.raises(DeviceError, match=r"no aligned takes of A and C\. Expected at least"):
        SpectrumCorrection().fit(apart)


def test_unknown_devices_are_refused_with_the_nearest(manifest: Manifest) -> None:
    phones = manifest.with_columns(device=[f"phone-{name}" for name in manifest.table["device"]])
    with pytest.raises(DeviceError, match=r"reference device 'phone-D'.*Did you mean 'phone-"):
        SpectrumCorrection(reference="phone-D").fit(phones)
    with pytest.raises(DeviceError, match="Unknown device 'X'"):
        SpectrumCorrection().fit(manifest, devices=["B", "X"])
    with pytest.raises(DeviceError, match="only the devices A"):
        SpectrumCorrection().fit(manifest.where(device="A"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"estimator": "geometrical"}, "did you mean 'geometric'"),
        ({"floor_db": 3.0}, "floor_db is 3.0"),
        ({"limit_db": -40.0}, "limit_db is -40.0"),
        ({"limit_db": float("nan")}, "limit_db is nan"),
        ({"silence_db": 0.0}, "silence_db is 0.0"),
        ({"reference": ()}, "no reference device"),
        ({"hop_samples": 2049}, "hop is 2049 samples"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    spectra: ClipSpectra, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        SpectrumCorrection(**settings).fit_spectra(spectra)


def test_spectra_of_other_settings_are_refused(spectra: ClipSpectra) -> None:
    with pytest.raises(DeviceError, match=r"floor_db -100.0\. Expected floor_db -80.0"):
        SpectrumCorrection(floor_db=-80.0).fit_spectra(spectra)


def test_takes_of_failed_clips_are_left_out_and_listed(tmp_path: Path) -> None:
    manifest = write_takes(tmp_path, takes=6)
    (tmp_path / "B2.wav").write_bytes(b"")
    correction = SpectrumCorrection()
    with pytest.warns(UserWarning, match=r"some clips could not be used.*B2\.wav"):
        correction.fit(manifest)
    assert [Path(failure.path).name for failure in correction.failures_] == ["B2.wav"]
    counts = {name: gains.count for name, gains in correction.profile_.devices.items()}
    assert counts == {"A": 6, "B": 5, "C": 6}
    for path in tmp_path.glob("C*.wav"):
        path.unlink()
    with pytest.raises(
        DeviceError, match=r"No clip can be used of device C\. 7 clips failed\. The first"
    ):
        correction.fit(manifest)


def test_few_takes_are_warned_of(manifest: Manifest) -> None:
    few = manifest.where(take=["t0", "t1"])
    with pytest.warns(UserWarning, match="gains estimated from only 2 clips"):
        SpectrumCorrection().fit(few)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SpectrumCorrection().fit(manifest)


def chosen(spectra: ClipSpectra, rows: np.ndarray) -> ClipSpectra:
    """Return the same spectra with these rows."""
    return replace(
        spectra,
        clip_ids=tuple(spectra.clip_ids[row] for row in rows),
        devices=tuple(spectra.devices[row] for row in rows),
        takes=tuple(spectra.takes[row] for row in rows),
        magnitude=spectra.magnitude[rows],
        log_magnitude=spectra.log_magnitude[rows],
        joint_log_magnitude=spectra.joint_log_magnitude[rows],
        frames=spectra.frames[rows],
        active_frames=spectra.active_frames[rows],
    )
