from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import anymic
from anymic.audio import Clip
from anymic.bundle import Bundle, InputContract
from anymic.data.manifest import Manifest
from anymic.errors import AudioError, BundleError, DeviceError, Failure, ManifestError
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor

RATE = 8000


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE))
    return samples.astype(np.float32)


@pytest.fixture
def predictor(small_bundle: Bundle) -> Predictor:
    return Predictor(small_bundle, precision="float32", accelerator="cpu", batch_size=3)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return files of 0.5 to 4.5 s, one of them no audio."""
    paths = []
    for number, seconds in enumerate((1.0, 4.5, 0.5, 2.2, 1.0, 3.0)):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], noise(seconds, number), RATE, subtype="FLOAT")
    (tmp_path / "2b.wav").write_text("not audio")
    paths.insert(3, tmp_path / "2b.wav")
    return paths


def by_hand(bundle: Bundle, samples: np.ndarray, device: str | None = None) -> np.ndarray:
    """Return probabilities (window, label), from the parts of the bundle alone."""
    batch = torch.from_numpy(samples.reshape(-1, RATE))
    row = bundle.frontend.device_index([device] * len(batch))
    with torch.inference_mode():
        logits = bundle.network(bundle.frontend(batch, row))
    return torch.softmax(logits / bundle.temperature, dim=1).numpy()


def test_one_window_is_the_chain_by_hand(small_bundle: Bundle, predictor: Predictor) -> None:
    samples = noise(1.0)
    found = predictor.predict(samples, rate_hz=RATE, device="B")
    (wanted,) = by_hand(small_bundle, samples, "B")
    np.testing.assert_allclose(list(found.probabilities.values()), wanted, atol=1e-5)
    assert found.label == small_bundle.labels[int(wanted.argmax())]
    assert found.probability == max(found.probabilities.values())
    assert sum(found.probabilities.values()) == pytest.approx(1.0, abs=1e-12)
    assert (found.windows, found.duration_s, found.notes) == (1, 1.0, ())


def test_windows_are_averaged(small_bundle: Bundle, predictor: Predictor) -> None:
    samples = noise(7.0)
    found = predictor.predict(Clip(samples, RATE))
    each = by_hand(small_bundle, samples)
    np.testing.assert_allclose(found.window_probabilities, each, atol=1e-5)
    np.testing.assert_allclose(list(found.probabilities.values()), each.mean(axis=0), atol=1e-5)
    assert found.window_starts_s == (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def test_temperature_divides_the_logits(small_bundle: Bundle) -> None:
    cold = Predictor(small_bundle, precision="float32").predict(noise(1.0), rate_hz=RATE)
    warm = Predictor(replace(small_bundle, temperature=10.0), precision="float32").predict(
        noise(1.0), rate_hz=RATE
    )
    wanted = np.array(list(cold.probabilities.values())) ** 0.1
    np.testing.assert_allclose(list(warm.probabilities.values()), wanted / wanted.sum(), rtol=1e-5)


def test_bfloat16_stays_near_float32(small_bundle: Bundle) -> None:
    samples = noise(20.0)
    exact = Predictor(small_bundle, precision="float32").predict(samples, rate_hz=RATE)
    coarse = Predictor(small_bundle, precision="bfloat16").predict(samples, rate_hz=RATE)
    difference = np.abs(exact.window_probabilities - coarse.window_probabilities)
    assert difference.max() < 0.01


def test_many_are_as_each_alone(predictor: Predictor, files: list[Path]) -> None:
    results = list(predictor.predict_many(files))
    assert [result.path for result in results] == [str(path) for path in files]
    for path, result in zip(files, results, strict=True):
        if path.name == "2b.wav":
            assert isinstance(result, Failure)
            assert "contains text" in result.reason
        else:
            assert isinstance(result, Prediction)
            alone = predictor.predict(path)
            np.testing.assert_allclose(
                result.window_probabilities, alone.window_probabilities, atol=1e-6
            )
            assert replace(result, probabilities={}, probability=0) == replace(
                alone, probabilities={}, probability=0
            )
    with pytest.raises(AudioError, match="contains text"):
        predictor.predict(files[3])


def test_a_bad_end_spoils_its_file_only(predictor: Predictor, tmp_path: Path) -> None:
    """A file that turns out to be damaged after some windows, between two good ones."""
    spoilt = noise(5.5)
    spoilt[-1] = np.nan
    for name, samples in (("a", noise(1.0)), ("b", spoilt), ("c", noise(1.0))):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="FLOAT")
    first, second, third = predictor.predict_many(tmp_path / f"{name}.wav" for name in "abc")
    assert isinstance(first, Prediction)
    assert isinstance(second, Failure)
    assert "NaN" in second.reason
    assert isinstance(third, Prediction)


def test_levels_beyond_float32_are_refused_not_nan(predictor: Predictor) -> None:
    loud = noise(3.0) * np.float32(1e38)
    with pytest.raises(AudioError, match="samples beyond"):
        predictor.predict(Clip(loud, RATE))
    bad, good = predictor.predict_many([Clip(loud, RATE, path="loud"), Clip(noise(1.0), RATE)])
    assert isinstance(bad, Failure)
    assert isinstance(good, Prediction)


def test_devices_and_what_was_done_about_them(small_bundle: Bundle, predictor: Predictor) -> None:
    clip = Clip(noise(1.0), RATE)
    stated, unknown, silent = predictor.predict_many([clip] * 3, devices=["B", "Z", None])
    assert isinstance(stated, Prediction)
    assert isinstance(unknown, Prediction)
    assert isinstance(silent, Prediction)
    facts = [(one.device, one.device_from, one.device_policy) for one in (stated, unknown, silent)]
    assert facts == [
        ("B", "stated", "profile"),
        ("Z", "stated", "identity"),
        (None, "assumed", "identity"),
    ]
    assert unknown.probabilities == pytest.approx(silent.probabilities, abs=1e-6)
    assert stated.probabilities != pytest.approx(silent.probabilities, abs=1e-3)
    np.testing.assert_allclose(
        list(stated.probabilities.values()),
        by_hand(small_bundle, clip.samples, "B")[0],
        atol=1e-5,
    )
    with pytest.raises(DeviceError, match="2 devices for 1 clip"):
        list(predictor.predict_many([clip], devices=["A", "B"]))


def test_unknown_devices_may_be_refused(small_bundle: Bundle) -> None:
    contract = replace(small_bundle.contract, unknown_device="refuse")
    strict = Predictor(replace(small_bundle, contract=contract))
    clip = Clip(noise(1.0), RATE)
    assert strict.predict(clip, device="A").device_policy == "profile"
    with pytest.raises(
        DeviceError, match=r"device 'Z' stated for a clip is unknown\. Expected one of A, B"
    ):
        strict.predict(clip, device="Z")
    with pytest.raises(DeviceError, match="No device is stated"):
        strict.predict(clip)


def test_a_model_without_profile_treats_every_device_alike(small_bundle: Bundle) -> None:
    frontend = type(small_bundle.frontend)(small_bundle.frontend.config)
    plain = replace(small_bundle, frontend=frontend, profile=None)
    one, other = Predictor(plain).predict_many([Clip(noise(1.0), RATE)] * 2, devices=["B", None])
    assert isinstance(one, Prediction)
    assert isinstance(other, Prediction)
    assert one.device_policy == other.device_policy == "identity"
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    with pytest.raises(BundleError, match="refuses unknown devices, and there is no known device"):
        replace(plain, contract=replace(plain.contract, unknown_device="refuse"))


@pytest.fixture
def manifest(tmp_path: Path, files: list[Path]) -> Manifest:
    rows = [
        {"path": path.name, "label": "dog", "device": "B" if number % 2 else ""}
        for number, path in enumerate(files)
    ]
    return Manifest.from_table(pd.DataFrame(rows), tmp_path)


def test_manifest(predictor: Predictor, manifest: Manifest, files: list[Path]) -> None:
    steps: list[int] = []
    found = predictor.predict_manifest(manifest, progress=steps.append)
    assert found.rows.tolist() == [0, 1, 2, 4, 5, 6]
    assert [failure.path for failure in found.failures] == [str(files[3])]
    assert sum(steps) == len(manifest)
    for row, probabilities in zip(found.rows, found.probabilities, strict=True):
        alone = predictor.predict(files[row], device="B" if row % 2 else None)
        np.testing.assert_allclose(probabilities, list(alone.probabilities.values()), atol=1e-6)


def test_manifest_of_stretches(predictor: Predictor, tmp_path: Path, files: list[Path]) -> None:
    rows = [{"path": files[1].name, "label": "dog", "start_s": start} for start in (0.0, 1.5)]
    found = predictor.predict_manifest(Manifest.from_table(pd.DataFrame(rows), tmp_path))
    samples, _ = soundfile.read(files[1], dtype="float32")
    for own, begin in zip(found.probabilities, (0, 12000), strict=True):
        alone = predictor.predict(samples[begin : begin + 8000], rate_hz=RATE)
        np.testing.assert_allclose(own, list(alone.probabilities.values()), atol=1e-6)


def test_a_part_at_the_end_of_a_file_may_be_shorter_than_a_window(
    predictor: Predictor, tmp_path: Path
) -> None:
    samples = np.random.default_rng(5).standard_normal(12000).astype(np.float32) / 10
    soundfile.write(tmp_path / "end.wav", samples, RATE, subtype="FLOAT")
    rows = [{"path": "end.wav", "label": "dog", "start_s": 0.75}]
    manifest = Manifest.from_table(pd.DataFrame(rows), tmp_path)
    alone = list(predictor.predict(samples[6000:], rate_hz=RATE).probabilities.values())
    for cache in (None, tmp_path / "cache"):
        found = predictor.predict_manifest(manifest, cache=cache)
        assert not found.failures
        np.testing.assert_allclose(found.probabilities[0], alone, atol=1e-6)


def test_manifest_from_cached_features(
    predictor: Predictor, manifest: Manifest, tmp_path: Path
) -> None:
    """The probabilities are those without a cache; a longer file is a failure with one."""
    cache = tmp_path / "cache"
    first = predictor.predict_manifest(manifest, cache=cache)
    second = predictor.predict_manifest(manifest, cache=cache)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    assert first.rows.tolist() == [0, 2, 5]
    assert len(first.failures) == 4
    direct = predictor.predict_manifest(manifest)
    same = np.isin(direct.rows, first.rows)
    np.testing.assert_allclose(first.probabilities, direct.probabilities[same], atol=1e-6)


def test_wrong_arguments(small_bundle: Bundle, predictor: Predictor, files: list[Path]) -> None:
    with pytest.raises(AudioError, match=r"Samples without a rate\. Expected rate_hz"):
        predictor.predict(noise(1.0))
    with pytest.raises(AudioError, match="rate_hz=8000 for"):
        predictor.predict(files[0], rate_hz=RATE)
    with pytest.raises(AudioError, match="mono float32"):
        predictor.predict(np.zeros((2, RATE), dtype=np.float32), rate_hz=RATE)
    with pytest.raises(BundleError, match="no accelerator 'vulcan9'"):
        Predictor(small_bundle, accelerator="vulcan9")
    contract = InputContract(rate_hz=RATE, clip_s=0.2)
    with pytest.raises(BundleError, match=r"13 frames x 32 bands\. Expected at least 21"):
        Predictor(replace(small_bundle, contract=contract))


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (["a.wav", "b.wav"], "A list of 2 in place of one clip.*predict_many"),
        ([Clip(noise(1.0), RATE)], "A list of 1 in place of one clip"),
        ([noise(1.0), noise(2.0)], "A list of 2 in place of one clip"),
        (None, "A value of type NoneType in place of a clip.*Clip"),
        (7, "A value of type int in place of a clip"),
        (pd.DataFrame({"path": ["a.wav"]}), "A value of type DataFrame in place of a clip"),
    ],
)
def test_what_is_not_one_clip_is_refused(predictor: Predictor, source: object, line: str) -> None:
    with pytest.raises(AudioError, match=line) as error:
        predictor.predict(source, rate_hz=RATE)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_what_is_not_several_clips_is_refused(predictor: Predictor, files: list[Path]) -> None:
    def many(sources: object, **options: object) -> None:
        list(predictor.predict_many(sources, **options))  # type: ignore[arg-type]

    with pytest.raises(
        AudioError, match=r"Clip 2 of 2: samples without a rate\. Expected rate_hz.*Clip\("
    ):
        many([files[0], noise(1.0)])
    with pytest.raises(AudioError, match=r"type str in place of several clips.*predict"):
        many(str(files[0]))
    with pytest.raises(AudioError, match="A value of type Clip in place of several clips"):
        many(Clip(noise(1.0), RATE))
    with pytest.raises(AudioError, match="A value of type int in place of several clips"):
        many(3)
    with pytest.raises(AudioError, match="A value of type ndarray in place of several clips"):
        many(noise(0.01))  # the samples of one clip
    with pytest.raises(AudioError, match="A value of type NoneType in place of a clip"):
        many([None])
    with pytest.raises(AudioError, match="rate_hz=8000 for"):
        many([files[0]], rate_hz=RATE)
    table = pd.DataFrame({"path": ["a.wav"], "label": ["dog"]})
    with pytest.raises(ManifestError, match="A value of type DataFrame in place of a manifest"):
        predictor.predict_manifest(table)  # type: ignore[arg-type]
    manifest = Manifest.from_table(table)
    with pytest.raises(AudioError, match=r"type Manifest in place of .*predict_manifest"):
        many(manifest)


def test_the_way_of_the_readme(bundle_folder: Path, files: list[Path]) -> None:
    found = anymic.load(bundle_folder).predict(files[0], device="A")
    assert found.label in ("dog", "rain", "siren")
    assert (found.device, found.device_policy) == ("A", "profile")


def test_every_public_name_is_there() -> None:
    for name in anymic.__all__:
        assert getattr(anymic, name) is not None
    assert set(anymic.__all__) <= set(dir(anymic))
    assert anymic.__version__[0].isdigit()
