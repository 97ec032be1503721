"""Spectrum correction obeys scikit-learn's rules, as far as these apply to clips of devices."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from anymic.data.manifest import Manifest
from anymic.devices.correction.apply import apply_to_samples
from anymic.devices.correction.arrays import Domain
from anymic.devices.correction.spectra import measure
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.errors import DeviceError

RATE_HZ, FFT, HOP = 16000, 256, 64
pytestmark = pytest.mark.filterwarnings("ignore:device")

# The checks that do not apply, and why.
ANY_LENGTH = "a clip to be corrected may be longer or shorter than those of the fit"
NOT_APPLICABLE = {
    "check_n_features_in": ANY_LENGTH,
    "check_n_features_in_after_fitting": ANY_LENGTH,
    "check_transformer_general": ANY_LENGTH,
    "check_fit2d_predict1d": "a single clip (sample,) may be corrected",
    "check_fit2d_1sample": "one clip is one device: the error is that of a missing device",
    "check_dtype_object": "an array of objects is refused, whatever it holds",
    "check_estimators_empty_data_messages": "refused as asked, with a message of our own",
}


class OfRows(SpectrumCorrection):
    """Correct anonymous rows, which is what scikit-learn's checks pass.

    In the fit, A and B recorded the rows in turn, at 16 kHz; B recorded all rows to be corrected.
    """

    def __init__(self, *, fft_size: int = 16, hop_samples: int = 8) -> None:
        super().__init__(fft_size=fft_size, hop_samples=hop_samples)

    def fit(self, X: Any, y: Any = None) -> Any:  # type: ignore[override]
        rows = X.shape[0] if hasattr(X, "shape") else len(np.asarray(X))
        return super().fit(X, y, device=["AB"[row % 2] for row in range(rows)], rate_hz=RATE_HZ)

    def transform(self, X: Any) -> Any:  # type: ignore[override]
        return super().transform(X, device="B")

    def fit_transform(self, X: Any, y: Any = None) -> Any:  # type: ignore[override]
        return self.fit(X, y).transform(X)


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [OfRows()], expected_failed_checks=lambda _: NOT_APPLICABLE
)
def test_the_checks_of_scikit_learn_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return eight takes of two classes by A, flat, and B, dull; written as float WAV."""
    folder, generator, rows = tmp_path_factory.mktemp("takes"), np.random.default_rng(0), []
    for take in range(8):
        sound = 0.1 * generator.standard_normal(4000)
        label = ("low", "high")[take % 2]
        sound = np.convolve(sound, [1, 0.9 if label == "low" else -0.9], mode="same")
        for device, taps in (("A", [1.0]), ("B", [0.5, 0.3])):
            path = folder / f"{device}{take}.wav"
            samples = np.convolve(sound, taps, mode="same").astype(np.float32)
            soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
            rows.append({"path": str(path), "label": label, "device": device, "take": take})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def clips(table: pd.DataFrame) -> np.ndarray:
    return np.stack([soundfile.read(path, dtype="float32")[0] for path in table["path"]])


@pytest.fixture(scope="module")
def fitted(table: pd.DataFrame) -> SpectrumCorrection:
    return SpectrumCorrection(fft_size=FFT, hop_samples=HOP).fit(table)


def test_a_clone_has_the_settings_and_not_the_gains(fitted: SpectrumCorrection) -> None:
    copy = clone(fitted.set_params(limit_db=30.0))
    assert copy.get_params() == fitted.get_params()
    assert copy.limit_db == 30.0
    with pytest.raises(NotFittedError):
        copy.transform(np.zeros(100), device="B")
    fitted.set_params(limit_db=40.0)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.profile_.gains_for("B"), fitted.profile_.gains_for("B"))


@pytest.mark.parametrize("estimator", ["ratio_of_means", "mean_of_ratios", "geometric"])
def test_files_arrays_and_spectra_give_the_same_gains(
    table: pd.DataFrame, clips: np.ndarray, estimator: str
) -> None:
    import librosa

    settings: dict[str, Any] = {"estimator": estimator, "fft_size": FFT, "hop_samples": HOP}
    stft = librosa.stft(clips, n_fft=FFT, hop_length=HOP, pad_mode="constant")
    manifest = Manifest.from_table(table)
    expected = SpectrumCorrection(**settings).fit_spectra(
        measure(manifest, fft_size=FFT, hop_samples=HOP)
    )
    columns: dict[str, Any] = {"device": table["device"], "take": table["take"], "rate_hz": RATE_HZ}
    cases: list[tuple[Any, Domain, float]] = [
        (manifest, "waveform", 0),
        (table.drop(columns="label"), "waveform", 0),
        (clips, "waveform", 0),
        (stft, "stft", 1e-4),
        (np.abs(stft), "magnitude", 1e-4),
    ]
    for values, domain, tolerance in cases:
        correction = SpectrumCorrection(domain=domain, **settings)
        named = columns if isinstance(values, np.ndarray) else {}
        profile = correction.fit(values, **named).profile_
        for device, gains in expected.profile_.devices.items():
            np.testing.assert_allclose(profile.gains_for(device), gains.gains, rtol=tolerance)
            assert profile.devices[device].count == gains.count == 8


def test_each_row_is_multiplied_by_the_gains_of_its_device(
    fitted: SpectrumCorrection, table: pd.DataFrame, clips: np.ndarray
) -> None:
    before = clips.copy()
    profile = fitted.profile_
    corrected = fitted.transform(clips, device=table["device"])
    for row, device in enumerate(table["device"]):
        gains = profile.gains_for(device)
        wanted = apply_to_samples(clips[row], gains, fft_size=FFT, hop_samples=HOP)
        np.testing.assert_array_equal(corrected[row], wanted)
        np.testing.assert_array_equal(fitted.transform(clips[row], device=device), wanted)
        np.testing.assert_array_equal(profile.apply(clips[row], RATE_HZ, device=device), wanted)
    np.testing.assert_array_equal(fitted.transform(table), corrected)
    np.testing.assert_array_equal(clips, before)
    np.testing.assert_array_equal(
        profile.apply(clips, RATE_HZ, device="B"), fitted.transform(clips, device="B")
    )


def test_spectra_keep_their_shape_and_type(fitted: SpectrumCorrection) -> None:
    generator = np.random.default_rng(1)
    magnitude = generator.random((3, FFT // 2 + 1, 5), dtype=np.float32)
    gains = fitted.profile_.gains_for("B")[:, None]
    for values, domain in (
        (magnitude, "magnitude"),
        (magnitude.astype(np.float64), "magnitude"),
        (magnitude * np.exp(1j), "stft"),
        ((magnitude * np.exp(1j)).astype(np.complex64), "stft"),
    ):
        fitted.set_params(domain=domain)
        found = fitted.transform(values, device=["A", "B", "B"])
        assert (found.dtype, found.shape) == (values.dtype, values.shape)
        np.testing.assert_allclose(found[0], values[0])
        np.testing.assert_allclose(found[1:], values[1:] * gains, rtol=1e-6)
        np.testing.assert_array_equal(fitted.transform(values[1], device="B"), found[1])
    fitted.set_params(domain="waveform")


def test_an_unknown_device_is_refused_or_left_as_it_is(
    fitted: SpectrumCorrection, clips: np.ndarray
) -> None:
    with pytest.raises(DeviceError, match="'phone'"):
        fitted.transform(clips[:2], device=["A", "phone"])
    lenient = SpectrumCorrection(fft_size=FFT, hop_samples=HOP, unknown="identity")
    lenient.fit_spectra(fitted.spectra_)
    found = lenient.transform(clips[:2], device=["B", None])
    np.testing.assert_allclose(found[1], clips[1], atol=1e-6)
    np.testing.assert_array_equal(found[0], fitted.transform(clips[0], device="B"))


def test_a_pipeline_of_files_is_fitted_and_cross_validated(table: pd.DataFrame) -> None:
    pipeline = make_pipeline(
        SpectrumCorrection(fft_size=FFT, hop_samples=HOP),
        FunctionTransformer(lambda samples: np.log(np.abs(np.fft.rfft(samples))[:, 1:])),
        LogisticRegression(max_iter=1000),
    )
    pipeline.fit(table, table["label"])
    assert (pipeline.predict(table) == table["label"]).all()
    assert len(cross_val_score(pipeline, table, table["label"], cv=2, groups=table["take"])) == 2


def test_devices_of_arrays_are_metadata_of_a_pipeline(
    table: pd.DataFrame, clips: np.ndarray
) -> None:
    with config_context(enable_metadata_routing=True):
        correction = SpectrumCorrection(fft_size=FFT, hop_samples=HOP)
        correction.set_fit_request(device=True, take=True, rate_hz=True)
        correction.set_transform_request(device=True)
        pipeline = make_pipeline(correction, LogisticRegression(max_iter=1000))
        columns: dict[str, Any] = {
            "device": table["device"].to_numpy(),
            "take": table["take"].to_numpy(),
        }
        pipeline.fit(clips, table["label"], rate_hz=RATE_HZ, **columns)
        assert len(pipeline.predict(clips, device=columns["device"])) == len(clips)


# Rejections


@pytest.mark.parametrize(
    ("values", "domain", "message"),
    [
        (np.ones((2, 3, 4)), "waveform", r"shape \(2, 3, 4\)"),
        (np.ones((2, 30), dtype=complex), "waveform", "Complex data not .* Expected real numbers"),
        (np.ones((2, 129, 4)), "stft", "Data of type float64 .* Expected complex numbers"),
        (np.ones((2, 100, 4)), "magnitude", "129 bins, as the FFT size is 256"),
        (-np.ones((2, 129, 4)), "magnitude", "magnitudes are negative"),
        (np.full((2, 30), np.nan), "waveform", "NaN or infinite values"),
        (np.ones((2, 0)), "waveform", r"shape \(2, 0\)"),
        (np.array(["a", "b"]), "waveform", "not supported in the domain waveform"),
        (np.ones((2, 30)), "power", "domain='power'"),
    ],
)
def test_an_array_that_does_not_fit_its_domain_is_refused(
    fitted: SpectrumCorrection, values: np.ndarray, domain: Any, message: str
) -> None:
    correction = SpectrumCorrection(fft_size=FFT, hop_samples=HOP, domain=domain)
    for refused in (
        lambda: correction.fit(values, device=["A", "B"], rate_hz=RATE_HZ),
        lambda: correction.fit_spectra(fitted.spectra_).transform(values, device="B"),
    ):
        with pytest.raises(DeviceError, match=message):
            refused()


def test_arrays_need_devices_and_a_rate(fitted: SpectrumCorrection, clips: np.ndarray) -> None:
    with pytest.raises(DeviceError, match="has no device for each clip"):
        SpectrumCorrection().fit(clips, rate_hz=RATE_HZ)
    with pytest.raises(DeviceError, match="has no rate_hz"):
        SpectrumCorrection().fit(clips, device=["A"] * len(clips))
    with pytest.raises(DeviceError, match="Row 1 has no device"):
        SpectrumCorrection().fit(
            clips[:2],
            device=["A", None],  # type: ignore[list-item]
            rate_hz=RATE_HZ,
        )
    with pytest.raises(DeviceError, match="1 device names for 16 clips"):
        fitted.transform(clips, device=["A"])
    with pytest.raises(DeviceError, match="The array has no devices"):
        fitted.transform(clips)


def test_files_of_another_rate_or_length_are_refused(
    fitted: SpectrumCorrection, table: pd.DataFrame, tmp_path: Path
) -> None:
    samples = np.ones(4000, dtype=np.float32)
    soundfile.write(tmp_path / "8k.wav", samples, 8000)
    soundfile.write(tmp_path / "long.wav", np.tile(samples, 2), RATE_HZ)
    other = table.head(2).assign(path=[table["path"][0], str(tmp_path / "8k.wav")])
    with pytest.raises(DeviceError, match=r"rate of .*8k\.wav is 8000 Hz"):
        fitted.transform(other)
    other["path"] = [table["path"][0], str(tmp_path / "long.wav")]
    with pytest.raises(DeviceError, match="clips have 4000 to 8000 samples"):
        fitted.transform(other)
    with pytest.raises(DeviceError, match="8000 Hz"):
        fitted.profile_.apply(samples, 8000, device="B")
    with pytest.raises(DeviceError, match="`device` or `take` is passed with a table"):
        SpectrumCorrection().fit(table, device=table["device"])


def test_clips_of_arrays_count_where_only_one_device_recorded_the_take(
    table: pd.DataFrame, clips: np.ndarray
) -> None:
    """With an estimator that uses all clips; those of files count, too."""
    lone = (table["device"] == "B") & (table["take"] < 2)  # A did not record these two
    kept = (~((table["device"] == "A") & (table["take"] < 2))).to_numpy()
    settings: dict[str, Any] = {"fft_size": FFT, "hop_samples": HOP}
    settings["estimator"] = "geometric_unaligned"
    arrays = SpectrumCorrection(**settings).fit(
        clips[kept],
        device=table["device"][kept],
        take=table["take"][kept],
        rate_hz=RATE_HZ,
    )
    without = SpectrumCorrection(**settings).fit(
        clips[kept & ~lone],
        device=table["device"][kept & ~lone],
        take=table["take"][kept & ~lone],
        rate_hz=RATE_HZ,
    )
    files = SpectrumCorrection(**settings).fit(table[kept])
    np.testing.assert_allclose(
        arrays.profile_.gains_for("B"), files.profile_.gains_for("B"), rtol=1e-6
    )
    apart = arrays.profile_.gains_for("B") / without.profile_.gains_for("B")
    assert np.abs(apart - 1).max() > 1e-3
