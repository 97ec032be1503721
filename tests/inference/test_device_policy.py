from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.typing import NDArray

from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble, InputContract, load
from anymic.bundle.contract import UnknownDevice
from anymic.bundle.device_changes import with_device_policy
from anymic.data.manifest import Manifest
from anymic.devices.identification.identifier import DeviceIdentifier, Identification
from anymic.errors import BundleError, DeviceError, Failure, ManifestError
from anymic.inference.device_policy import PREVIEW_S
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor

RATE = 8000
TILT_DB = {"A": 0.0, "B": -9.0, "Z": 9.0}  # per octave


def sound(seed: int, device: str = "A", seconds: float = 1.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    spectrum = np.fft.rfft(generator.standard_normal(round(seconds * RATE)))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(round(seconds * RATE), 1 / RATE), 50) / 1000)
    spectrum *= 10 ** ((generator.normal(0, 0.7) + TILT_DB[device]) * octaves / 20)
    samples: np.ndarray = np.fft.irfft(spectrum, round(seconds * RATE))
    return np.asarray(0.05 * samples / samples.std(), dtype=np.float32)


def corpus(folder: Path, devices: str, *, first: int = 0) -> Manifest:
    """Write a clip a letter of `devices` and return their manifest."""
    rows = []
    for seed, device in enumerate(devices, start=first):
        soundfile.write(folder / f"{seed}.wav", sound(seed, device), RATE, subtype="FLOAT")
        rows.append({"path": f"{seed}.wav", "label": "dog", "device": device})
    return Manifest.from_table(pd.DataFrame(rows), folder)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("training"), 16 * "AB")


class ByTilt(DeviceIdentifier):
    """Names a device by the slope of the spectrum, so that these tests depend on no training."""

    def __init__(self, devices: tuple[str, ...] = ("A", "B"), rate_hz: int = RATE) -> None:
        super().__init__()
        self.rate_hz, self.devices, self.fitted_on = rate_hz, devices, ("an identifier's clip",)
        self.calls = 0

    def log_probabilities(self, clips: Sequence[Clip], *, sparse: int = 1) -> NDArray[np.float64]:
        found = [self.identify(clip) for clip in clips]
        return np.array(
            [
                [0.0 if name == one.device else -3.0 for name in (*self.devices, None)]
                for one in found
            ]
        )

    def identify(self, clip: Clip) -> Identification:
        self.calls += 1
        power = np.abs(np.fft.rfft(clip.samples)) ** 2
        hz = np.fft.rfftfreq(len(clip.samples), 1 / RATE)
        bands = [np.log10(power[(hz > f) & (hz < 1.2 * f)].mean()) for f in (200, 400, 800, 1600)]
        slope = 10 * np.polyfit([0, 1, 2, 3], bands, 1)[0]
        nearest = min(self.devices, key=lambda name: abs(slope - TILT_DB[name]))
        distance = abs(slope - TILT_DB[nearest])
        return Identification(nearest if distance < 4 else None, 0.75, nearest, -distance)


@pytest.fixture
def identifier() -> ByTilt:
    return ByTilt()


@pytest.fixture
def trained(small_bundle: Bundle, training: Manifest) -> Bundle:
    return replace(small_bundle, fitted_on={"weights": tuple(training.clip_ids())})


@pytest.fixture
def blind(trained: Bundle, training: Manifest) -> Bundle:
    changed = with_device_policy(trained, unknown="blind", training=training)
    assert isinstance(changed, Bundle)
    return changed


def predictor(bundle: Bundle | Ensemble) -> Predictor:
    return Predictor(bundle, precision="float32", accelerator="cpu", batch_size=3)


def shares(prediction: Prediction | Failure) -> list[float]:
    assert isinstance(prediction, Prediction), prediction
    return list(prediction.probabilities.values())


def test_a_stated_device_is_not_identified(
    blind: Bundle, small_bundle: Bundle, identifier: ByTilt
) -> None:
    """Known to the model or not: the identifier is not used, and nothing else changes."""
    changed = replace(blind, identifier=identifier)
    clip = Clip(sound(1), RATE)
    stated = predictor(changed).predict(clip, device="B")
    assert shares(stated) == shares(predictor(small_bundle).predict(clip, device="B"))
    assert (stated.device_from, stated.device_policy) == ("stated", "profile")
    assert stated.device_probability is None
    unknown = predictor(changed).predict(clip, device="Z")
    assert (unknown.device, unknown.device_from) == ("Z", "stated")
    assert unknown.device_policy == "blind"
    assert identifier.calls == 0


def test_an_identified_device_is_corrected_as_a_stated_one(
    trained: Bundle, identifier: ByTilt
) -> None:
    changed = with_device_policy(trained, identifier=identifier)
    for seed, device in enumerate("ABAB", start=900):
        clip = Clip(sound(seed, device), RATE)
        found = predictor(changed).predict(clip)
        assert (found.device, found.device_from) == (device, "identified")
        assert found.device_policy == "profile"
        assert found.device_probability == identifier.identify(clip).probability
        assert shares(found) == shares(predictor(trained).predict(clip, device=device))


class Doubtful(ByTilt):
    """Is not certain of the device that it names."""

    shares: ClassVar[dict[str | None, float]] = {"A": 0.2, "B": 0.5, None: 0.3}

    def identify(self, clip: Clip) -> Identification:
        return replace(super().identify(clip), device="B", nearest="B", shares=self.shares)


@pytest.mark.parametrize("policy", ["identity", "blind", "refuse"])
def test_gains_of_an_identified_clip_are_weighted_by_the_probabilities(
    blind: Bundle, policy: UnknownDevice
) -> None:
    """The mean of log gains: none of an unknown device, or blind ones; not where it is refused."""
    clip = Clip(sound(900, "B"), RATE)
    assert blind.profile is not None
    assert blind.spectrum is not None
    logs = {name: np.log(blind.profile.gains_for(name)) for name in "AB"}
    logs["unknown"] = np.zeros_like(logs["A"])
    if policy == "blind":
        spectra = blind.spectrum.observe(clip.samples)[None]
        logs["unknown"] = np.log(blind.spectrum.gains(spectra))
    weights = {"A": 0.2, "B": 0.5, "unknown": 0.3}
    if policy == "refuse":
        weights = {"A": 2 / 7, "B": 5 / 7, "unknown": 0.0}
    gains = np.exp(sum(weights[name] * logs[name] for name in weights))
    wanted = _with_gains(blind, gains).predict(clip, device="Y")
    changed = with_device_policy(blind, identifier=Doubtful(), unknown=policy)
    found = predictor(changed).predict(clip)
    assert (found.device, found.device_policy) == ("B", "profile")
    assert shares(found) == pytest.approx(shares(wanted), abs=1e-6)
    order = "B 0.71, A 0.29" if policy == "refuse" else "B 0.50, unknown 0.30, A 0.20"
    which = "" if policy == "refuse" else ", that of an unknown device included"
    assert f"device B: gains weighted by probability{which} ({order})" in found.notes
    alone = predictor(blind).predict(clip, device="B")
    assert shares(found) != pytest.approx(shares(alone), abs=1e-4)
    assert not any("weighted" in note for note in alone.notes)


def test_a_certain_identification_has_the_gains_of_the_device(trained: Bundle) -> None:
    class Certain(Doubtful):
        shares: ClassVar[dict[str | None, float]] = {"A": 0.004, "B": 0.995, None: 0.001}

    clip = Clip(sound(900, "B"), RATE)
    found = predictor(with_device_policy(trained, identifier=Certain())).predict(clip)
    assert shares(found) == shares(predictor(trained).predict(clip, device="B"))
    assert not any("weighted" in note for note in found.notes)


def test_an_unknown_device_follows_the_policy(
    blind: Bundle, identifier: ByTilt, training: Manifest
) -> None:
    clip = Clip(sound(900, "Z"), RATE)
    assert identifier.identify(clip).device is None
    for policy in ("identity", "blind", "refuse"):
        changed = with_device_policy(blind, identifier=identifier, unknown=policy)
        if policy == "refuse":
            with pytest.raises(
                DeviceError, match=r"device of a clip is unknown \(nearest: [AB], prob"
            ):
                predictor(changed).predict(clip)
            continue
        found = predictor(changed).predict(clip)
        assert (found.device, found.device_from) == (None, "identified")
        assert found.device_policy == policy
        assert found.device_probability == identifier.identify(clip).probability


def test_blind_gains_are_those_of_the_spectrum(blind: Bundle) -> None:
    """Against the same gains, computed by hand and known to the model as those of a device."""
    clip = Clip(sound(900, "Z"), RATE)
    assert blind.spectrum is not None
    gains = blind.spectrum.gains(blind.spectrum.observe(clip.samples)[None])
    assert np.ptp(20 * np.log10(gains)) > 6
    wanted = _with_gains(blind, gains).predict(clip, device="Y")
    found = predictor(blind).predict(clip)
    assert found.device_policy == "blind"
    assert shares(found) == pytest.approx(shares(wanted), abs=1e-6)
    as_it_is = predictor(replace(blind, contract=_identity(blind))).predict(clip)
    assert shares(found) != pytest.approx(shares(as_it_is), abs=1e-3)


def test_clips_of_one_device_share_their_gains(blind: Bundle, tmp_path: Path) -> None:
    """The rows of a manifest's unknown device, and clips that are passed as together."""
    unknown = corpus(tmp_path, "ZZZZB", first=900)
    assert blind.spectrum is not None
    spectra = [blind.spectrum.observe(sound(seed, "Z")) for seed in range(900, 904)]
    together = _with_gains(blind, blind.spectrum.gains(np.array(spectra)))
    paths = unknown.paths()[:4]
    wanted = [shares(together.predict(path, device="Y")) for path in paths]
    found = predictor(blind).predict_manifest(unknown)
    np.testing.assert_allclose(found.probabilities[:4], wanted, atol=1e-6)
    assert found.policies == ("blind",) * 4 + ("profile",)
    assert found.devices == ("Z",) * 4 + ("B",)
    many = predictor(blind).predict_many(paths, together=True)
    np.testing.assert_allclose([shares(one) for one in many], wanted, atol=1e-6)
    alone = list(predictor(blind).predict_many(paths))
    assert not np.allclose([shares(one) for one in alone], wanted, atol=1e-3)
    unnamed = predictor(blind).predict_manifest(unknown.with_columns(device=""))
    np.testing.assert_allclose(unnamed.probabilities[:4], [shares(one) for one in alone], atol=1e-6)


def test_recordings_of_one_sound_have_a_note(blind: Bundle, tmp_path: Path) -> None:
    """Eight recordings of one sound together: gains cannot tell the sound from the device."""
    paths = [tmp_path / f"{number}.wav" for number in range(8)]
    for path in paths:
        soundfile.write(path, sound(900, "Z"), RATE, subtype="FLOAT")
    for prediction in predictor(blind).predict_many(paths, together=True):
        assert isinstance(prediction, Prediction)
        assert any("8 recordings are alike (0 %" in note for note in prediction.notes)
    (few, *_) = predictor(blind).predict_many(paths[:4], together=True)
    assert isinstance(few, Prediction)
    assert not any("alike" in note for note in few.notes)


def test_a_bad_file_fails_alone(blind: Bundle, tmp_path: Path) -> None:
    paths = corpus(tmp_path, "ZZZ", first=900).paths()
    good = list(predictor(blind).predict_many(paths, together=True))
    (tmp_path / "x.wav").write_text("no audio")
    first, bad, *rest = predictor(blind).predict_many(
        [paths[0], tmp_path / "x.wav", *paths[1:]], together=True
    )
    assert isinstance(bad, Failure)
    for one, other in zip(good, [first, *rest], strict=True):
        assert shares(one) == pytest.approx(shares(other), abs=1e-6)


def test_identified_clips_leave_the_group(
    blind: Bundle, identifier: ByTilt, tmp_path: Path
) -> None:
    paths = corpus(tmp_path, "ZBZ", first=900).paths()
    found = list(
        predictor(replace(blind, identifier=identifier)).predict_many(paths, together=True)
    )
    policies = [one.device_policy for one in found if isinstance(one, Prediction)]
    assert policies == ["blind", "profile", "blind"]
    without = predictor(blind).predict_many([paths[0], paths[2]], together=True)
    for one, other in zip([found[0], found[2]], without, strict=True):
        assert shares(one) == pytest.approx(shares(other), abs=1e-6)


def test_the_first_half_minute_is_identified(blind: Bundle, identifier: ByTilt) -> None:
    """All windows get the gains it leads to; silence before the first sound does not count."""
    changed = predictor(replace(blind, identifier=identifier))
    begin = sound(900, "B", PREVIEW_S)
    late = np.concatenate([np.zeros(40 * RATE, np.float32), begin, sound(901, "Z", 10.0)])
    found = changed.predict(Clip(late, RATE))
    assert (found.device, found.windows) == ("B", 80)
    stated = predictor(blind).predict(Clip(late, RATE), device="B")
    np.testing.assert_allclose(
        found.window_probabilities[40:], stated.window_probabilities[40:], atol=1e-6
    )
    assert found.window_probabilities[:40] == pytest.approx(
        np.tile(found.window_probabilities[0], (40, 1)), abs=1e-6
    )


def test_features_are_cached_for_known_devices(
    blind: Bundle, identifier: ByTilt, tmp_path: Path
) -> None:
    """With a cache the probabilities are those without, row by row."""
    clips = corpus(tmp_path, "ZBAZB", first=900).with_columns(device=["Z", "B", "", "Z", ""])
    one = predictor(replace(blind, identifier=identifier))
    direct, cached = one.predict_manifest(clips), one.predict_manifest(clips, cache=tmp_path / "c")
    assert direct.devices == cached.devices == ("Z", "B", "A", "Z", "B")
    assert direct.policies == cached.policies
    np.testing.assert_array_equal(direct.rows, cached.rows)
    np.testing.assert_allclose(direct.probabilities, cached.probabilities, atol=1e-6)


@pytest.fixture(scope="module")
def learned(training: Manifest) -> DeviceIdentifier:
    return DeviceIdentifier().fit(training)


def test_a_bundle_saves_its_device_policy(
    blind: Bundle, learned: DeviceIdentifier, tmp_path: Path
) -> None:
    changed = with_device_policy(blind, identifier=learned)
    folder = changed.save(tmp_path / "policy")
    again = load(folder)
    for clip in (Clip(sound(900, "Z"), RATE), Clip(sound(901, "B"), RATE)):
        assert predictor(again).predict(clip) == predictor(changed).predict(clip)
    assert again.fitted_on["identifier"] == learned.fitted_on
    assert again.fitted_on["spectrum"] == blind.fitted_on["weights"]
    (folder / "spectrum.safetensors").write_bytes(b"0" * 99)
    with pytest.raises(BundleError, match=r"was altered since it was saved: spectrum\.safetensors"):
        load(folder)
    (folder / "identifier.safetensors").unlink()
    with pytest.raises(BundleError, match=r"has no identifier\.safetensors"):
        load(folder)
    replace(blind, spectrum=None, contract=_identity(blind)).save(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "bundle.json",
        "profile.json",
        "weights.safetensors",
    ]


def test_bundles_of_before_still_load(small_bundle: Bundle, bundle_folder: Path) -> None:
    index = bundle_folder / "bundle.json"
    values = json.loads(index.read_text())
    del values["identifier"], values["spectrum"]
    index.write_text(json.dumps(values))
    clip = Clip(sound(1), RATE)
    assert predictor(load(bundle_folder)).predict(clip) == predictor(small_bundle).predict(clip)


def test_an_ensemble_follows_the_policy_of_a_model(
    trained: Bundle,
    identifier: ByTilt,
    learned: DeviceIdentifier,
    training: Manifest,
    tmp_path: Path,
) -> None:
    """Each member has the gains that it would have alone."""
    frontend = type(trained.frontend)(trained.frontend.config)
    other = replace(trained, frontend=frontend, profile=None)
    members = (trained, other)
    changed = with_device_policy(
        Ensemble(members), unknown="blind", identifier=identifier, training=training
    )
    assert isinstance(changed, Ensemble)
    clip = Clip(sound(900, "Z"), RATE)
    found = predictor(changed).predict(clip)
    assert (found.device_from, found.device_policy) == ("identified", "blind")
    each = [
        predictor(with_device_policy(one, unknown="blind", training=training)).predict(clip)
        for one in members
    ]
    np.testing.assert_allclose(
        shares(found), np.mean([shares(one) for one in each], axis=0), atol=1e-5
    )
    assert predictor(changed).predict(Clip(sound(901, "B"), RATE)).device == "B"
    saved = load(replace(changed, identifier=learned).save(tmp_path / "ensemble"))
    wanted = predictor(replace(changed, identifier=learned))
    assert predictor(saved).predict(clip) == wanted.predict(clip)
    assert saved.fitted_on["identifier"] == learned.fitted_on


def test_rejections(
    trained: Bundle, training: Manifest, identifier: ByTilt, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="Blind gains need the training clips"):
        with_device_policy(trained, unknown="blind")
    with pytest.raises(BundleError, match="estimates gains blindly, and there is no mean spectrum"):
        replace(trained, contract=replace(trained.contract, unknown_device="blind"))
    others = corpus(tmp_path, "AB", first=40)
    with pytest.raises(ManifestError, match="The model was not trained on 2 of 2 clips"):
        with_device_policy(trained, training=others)
    both = Manifest.from_table(
        pd.concat(
            [
                training.table.assign(path=list(map(str, training.paths()))),
                others.table.assign(path=list(map(str, others.paths()))),
            ]
        )
    )
    stated = replace(trained, fitted_on={"weights": tuple(both.clip_ids()[:32])})
    with pytest.raises(ManifestError, match=r"2 of 34 clips \(first: .*40.wav\)"):
        with_device_policy(stated, training=both)
    with_device_policy(stated, training=both.with_columns(split=["train"] * 32 + ["test"] * 2))
    with pytest.raises(BundleError, match="does not record the clips that it was trained on"):
        with_device_policy(replace(trained, fitted_on={}), training=training)
    with pytest.raises(
        BundleError, match="identifier has the devices X, Y, and the model has gains for A, B"
    ):
        with_device_policy(trained, identifier=ByTilt(("X", "Y")))
    with pytest.raises(BundleError, match="identifier is for 16000 Hz and the model for 8000 Hz"):
        with_device_policy(trained, identifier=ByTilt(rate_hz=16000))
    with pytest.raises(BundleError, match="with unknown_device 'identity'"):
        list(predictor(trained).predict_many([Clip(sound(1), RATE)], together=True))


def _identity(bundle: Bundle) -> InputContract:
    return replace(bundle.contract, unknown_device="identity")


def _with_gains(bundle: Bundle, gains: np.ndarray) -> Predictor:
    """Return the model with a device Y of these gains."""
    frontend = type(bundle.frontend)(bundle.frontend.config, device_gains={"Y": gains})
    frontend.mean.copy_(bundle.frontend.mean)
    frontend.scale.copy_(bundle.frontend.scale)
    return predictor(replace(bundle, frontend=frontend, profile=None))
