"""A new device is added to any model in one call, and its known gains are recovered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
import torch
from numpy.typing import NDArray

import anymic
from anymic import models
from anymic.bundle import Bundle, Ensemble, InputContract
from anymic.devices.correction.blind import MeanSpectrum
from anymic.errors import AnymicError
from anymic.features import Frontend
from anymic.features.patches import VGGISH
from anymic.inference.predictor import Predictor
from anymic.training.heads import untrained

RATE_HZ = 8000
TAKES = 12
LAGS_S = {2: 1.25, 7: 2.0}  # of takes of the new device
TAPS = scipy.signal.firwin2(257, [0, 0.1, 0.3, 0.6, 1], [0.5, 2.0, 1.0, 0.3, 0.6])
ERROR_DB = 0.5


def write(path: Path, samples: NDArray[np.float64], rate_hz: int = RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.astype(np.float32), rate_hz, subtype="FLOAT")


class Recorded(NamedTuple):
    """The same sounds by two devices; the new one is late in two takes."""

    folder: Path
    old: Path
    new: Path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    generator = np.random.default_rng(0)
    for take in range(TAKES):
        sound = generator.standard_normal(3 * RATE_HZ) * np.repeat([0.02, 0.1, 0.05], RATE_HZ)
        late = np.zeros(round(LAGS_S.get(take, 0.0) * RATE_HZ))
        write(folder / "old" / f"{take:02}.wav", sound)
        filtered = scipy.signal.convolve(sound, TAPS, mode="same")
        write(folder / "new" / f"{take:02}.wav", np.concatenate([late, filtered]))
    write(folder / "new" / "alone.wav", sound)
    return Recorded(folder, folder / "old", folder / "new")


@pytest.fixture
def plain(small_bundle: Bundle) -> Bundle:
    """Return the model as if it had been trained on one device, without spectrum correction."""
    return replace(small_bundle, profile=None, frontend=Frontend(small_bundle.frontend.config))


def error_db(model: object, device: str = "new") -> float:
    """Return the largest error of gains between 100 Hz and 0.9 times half the rate."""
    profile = model.profile  # type: ignore[attr-defined]
    hz = profile.frequencies_hz()
    response = np.abs(scipy.signal.freqz(TAPS, worN=hz, fs=RATE_HZ)[1])
    used = (hz > 100) & (hz < 0.45 * RATE_HZ)
    found_db = 20 * np.log10(profile.gains_for(device) * response)
    return float(np.abs(found_db)[used].max())


def test_two_folders_are_matched_and_aligned(plain: Bundle, recorded: Recorded) -> None:
    added = anymic.add_device(plain, "new", takes=recorded.new, reference_takes=recorded.old)
    assert added.model.devices == ("new", "training")
    assert error_db(added.model) < ERROR_DB
    unmatched, late, *_ = added.notes
    assert unmatched == "left out, because they have no counterpart: new/alone.wav"
    assert late == "2 recordings are late, and shifted: 02.wav +1.250 s, 07.wav +2.000 s"
    assert added.failures == ()
    (expected,) = added.devices
    assert (expected.source, expected.recordings) == ("takes", TAKES)
    assert expected.lowest_db < -5
    assert expected.highest_db > 9
    assert expected.after_db < 1 < 4 < expected.before_db


def test_noise_is_subtracted_and_gains_are_limited_as_told(
    plain: Bundle, recorded: Recorded, tmp_path: Path
) -> None:
    generator = np.random.default_rng(3)
    for path in sorted(recorded.new.glob("[0-9]*")):
        samples, _ = soundfile.read(path)
        write(tmp_path / path.name, samples + generator.normal(scale=0.02, size=len(samples)))
    takes = {"takes": tmp_path, "reference_takes": recorded.old}
    found = [
        anymic.add_device(plain, "new", **takes, **settings)  # type: ignore[arg-type]
        for settings in ({}, {"subtract_noise": False}, {"limit_db": 3.0})
    ]
    less, whole, limited = (one.model.profile.of("new") for one in found)  # type: ignore[union-attr]
    assert less.noise is not None
    assert whole.noise is None
    np.testing.assert_array_equal(less.gains, whole.gains)
    assert any("noise is subtracted in" in note for note in found[0].notes)
    assert not any("noise is subtracted in" in note for note in found[1].notes)
    assert 20 * np.log10(whole.gains).max() > 6
    assert 20 * np.log10(limited.gains).max() == pytest.approx(3)


def test_a_folder_a_device_and_a_table_give_the_same(plain: Bundle, recorded: Recorded) -> None:
    rows = [
        (f"{device}/{take:02}.wav", device, f"{take:02}")
        for device in ("old", "new")
        for take in range(TAKES)
    ]
    table = pd.DataFrame(rows, columns=["path", "device", "take"])
    table.to_csv(recorded.folder / "takes.csv", index=False)
    found = [
        anymic.add_device(plain, "new", takes=place).model.profile
        for place in (recorded.folder, recorded.folder / "takes.csv")
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].reference == found[1].reference == ("old",)
    np.testing.assert_allclose(found[0].gains_for("new"), found[1].gains_for("new"))


def test_every_member_of_an_ensemble_gets_gains_of_its_own_analysis(
    plain: Bundle, recorded: Recorded
) -> None:
    other = replace(
        plain, frontend=Frontend(replace(plain.frontend.config, fft_size=512, hop_samples=256))
    )
    changed = anymic.add_device(
        Ensemble((plain, other)), "new", takes=recorded.new, reference_takes=recorded.old
    ).model
    assert isinstance(changed, Ensemble)
    for member in changed.members:
        assert error_db(member) < ERROR_DB


def test_a_head_on_a_pretrained_extractor_learns_a_device(
    recorded: Recorded, tmp_path: Path
) -> None:
    """Gains act on the magnitudes in front of the frozen network; takes are resampled."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.build("vggish", classes=0, width=0.125)
    embedder = Bundle(
        network=network,
        frontend=Frontend(VGGISH),
        labels=(),
        contract=InputContract(VGGISH.rate_hz, 0.96),
        network_name="vggish",
        network_arguments={"width": 0.125},
    )
    model = untrained(embedder, ["dog", "rain"], "dense_head", segments=2, hidden=8)
    added = anymic.add_device(model, "new", takes=recorded.new, reference_takes=recorded.old)
    assert f"24 recordings are resampled from {RATE_HZ} to 16000 Hz" in added.notes
    assert isinstance(added.model, Bundle)
    profile = added.model.profile
    assert profile is not None
    hz = profile.frequencies_hz()
    response = np.abs(scipy.signal.freqz(TAPS, worN=hz, fs=RATE_HZ)[1])
    used = (hz > 200) & (hz < 3500)
    found_db = 20 * np.log10(profile.gains_for("new") * response)[used]
    assert np.abs(found_db).max() < 1.0
    predict = Predictor(Bundle.load(added.model.save(tmp_path / "run")), precision="float32")
    name = "03.wav"
    through, corrected = (
        predict.predict(recorded.new / name, device=device).probabilities["dog"]
        for device in (None, "new")
    )
    original = predict.predict(recorded.old / name).probabilities["dog"]
    assert abs(corrected - original) < 0.2 * abs(through - original)
    # A device that was not added is treated as by the model without a profile, and this is said.
    other = predict.predict(recorded.new / name, device="other")
    without = Predictor(model, precision="float32").predict(recorded.new / name)
    assert other.probabilities == without.probabilities
    assert other.device_policy == "identity"
    assert "device other: no profile, not corrected" in other.notes


def test_recordings_alone_give_blind_gains(plain: Bundle, recorded: Recorded) -> None:
    paths = sorted(recorded.old.iterdir())
    table = pd.DataFrame({"path": [str(path) for path in paths], "label": "noise"})
    config = plain.frontend.config
    spectrum = MeanSpectrum.measure(
        anymic.Manifest.from_table(table), None, rate_hz=config.rate_hz,
        fft_size=config.fft_size, hop_samples=config.hop_samples,
    )  # fmt: skip
    added = anymic.add_device(
        replace(plain, spectrum=spectrum), "new", recordings=sorted(recorded.new.glob("[0-9]*"))
    )
    (expected,) = added.devices
    assert (expected.source, expected.recordings) == ("blind", TAKES)
    assert added.model.devices == ("new",)
    assert added.model.profile is not None
    assert added.model.profile.blind == ("new",)
    assert "blind" in added.notes[0]
    assert error_db(added.model) < 6 < expected.before_db * 2
    assert expected.after_db > 0
    assert not any("or more are better" in note for note in added.notes)
    own = replace(plain, spectrum=spectrum)
    first = [anymic.add_device(own, "new", recordings=paths[:count]) for count in (1, 2)]
    notes = [[note for note in one.notes if "or more are better" in note] for one in first]
    assert notes == [
        [f"device new: only {counted}; 10 or more are better"]
        for counted in ("1 recording", "2 recordings")
    ]
    spreads = [one.model.profile.of("new").spread_db for one in first]  # type: ignore[union-attr]
    assert not spreads[0].any()
    observed = [spectrum.observe(soundfile.read(path, dtype="float32")[0]) for path in paths[:2]]
    wanted = 20 / np.log(10) * np.abs(observed[0] - observed[1]) / np.sqrt(2)
    np.testing.assert_allclose(spreads[1], wanted, atol=1e-6)


def test_more_recordings_are_surer(plain: Bundle) -> None:
    bands = 32
    config = plain.frontend.config
    spectrum = MeanSpectrum(
        config.rate_hz, config.fft_size, config.hop_samples, -100.0, -40.0,
        np.zeros(config.bins), np.zeros((0, config.bins)),
        np.eye(len(_bands(config.rate_hz, config.fft_size))), np.ones(config.bins), bands,
    )  # fmt: skip
    few, many = (
        spectrum.estimate(np.zeros((count, config.bins))).uncertainty_db for count in (2, 200)
    )
    assert (many < few).all()
    assert (many > 0).all()


def _bands(rate_hz: int, fft_size: int) -> NDArray[np.float64]:
    from anymic.devices.correction.blind import bands_hz

    return bands_hz(rate_hz, fft_size)


def test_a_measured_response_is_added(plain: Bundle, tmp_path: Path) -> None:
    hz = np.linspace(10, RATE_HZ / 2, 400)
    response_db = 20 * np.log10(np.abs(scipy.signal.freqz(TAPS, worN=hz, fs=RATE_HZ)[1]))
    path = tmp_path / "mic.cal"
    path.write_text("".join(f"{a} {b}\n" for a, b in zip(hz, response_db, strict=True)))
    added = anymic.add_device(plain, "new", response=path)
    at_1_khz = 20 * np.log10(np.abs(scipy.signal.freqz(TAPS, worN=[1000], fs=RATE_HZ)[1][0]))
    assert error_db(added.model) == pytest.approx(abs(at_1_khz), abs=0.3)  # without a level
    assert "the response of the reference device is taken to be flat" in added.notes


def test_what_cannot_be_used_is_refused_in_one_line(
    small_bundle: Bundle, plain: Bundle, recorded: Recorded, tmp_path: Path
) -> None:
    write(tmp_path / "others" / "x.wav", np.ones(RATE_HZ))
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.csv").write_text("path,device,take\nothers/x.wav,new,1\n")
    two: dict[str, object] = {"takes": recorded.new, "reference_takes": recorded.old}
    cases: list[tuple[str, Bundle, str | None, dict[str, object]]] = [
        ("already has gains for B", small_bundle, "B", two),
        ("no recording in .* has the name", plain, "new",
         {"takes": recorded.new, "reference_takes": tmp_path / "others"}),
        ("has 0 folders of devices", plain, "new", {"takes": recorded.new}),
        ("reference is not known. Expected the name of the device that recorded", plain, None,
         {"takes": recorded.folder}),
        ("no take is of the device tablet", plain, "tablet", {"takes": recorded.folder}),
        ("2 sources", plain, "new", {**two, "recordings": recorded.new}),
        ("0 sources", plain, "new", {}),
        ("has no name", plain, None, {"recordings": recorded.new}),
        ("has no mean spectrum", plain, "new", {"recordings": recorded.new}),
        ("no file or folder missing", plain, "new",
         {"takes": recorded.new, "reference_takes": "missing"}),
        ("has no recording", plain, "new",
         {"takes": recorded.new, "reference_takes": tmp_path / "empty"}),
        ("all takes are of new", plain, "new", {"takes": tmp_path / "one.csv"}),
    ]  # fmt: skip
    for message, model, device, given in cases:
        with pytest.raises(AnymicError, match=f"(?i){message}") as caught:
            anymic.add_device(model, device, **given)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_a_take_of_other_sounds_is_left_out_and_named(
    plain: Bundle, recorded: Recorded, tmp_path: Path
) -> None:
    for path in recorded.new.glob("0*.wav"):
        write(tmp_path / "new" / path.name, soundfile.read(path)[0])
    generator = np.random.default_rng(9)
    write(tmp_path / "new" / "01.wav", 0.1 * generator.standard_normal(3 * RATE_HZ))
    added = anymic.add_device(plain, "new", takes=tmp_path / "new", reference_takes=recorded.old)
    assert {Path(one.path).name for one in added.failures} == {"01.wav"}
    assert all("no sound in common" in one.reason for one in added.failures)
    assert error_db(added.model) < ERROR_DB
