"""Naming devices, saying unknown, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

from anymic import audio
from anymic.audio import Clip
from anymic.cli import main
from anymic.data.manifest import Manifest, concatenate
from anymic.devices.correction.clip_sources import usual_rate
from anymic.devices.identification.descriptions import describe_manifest
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.devices.identification.identifier_network import DeviceExamples, HeldOutScores, area
from anymic.errors import AnymicError, AudioError, ConfigError, DeviceError

RATE_HZ = 16000
CLIPS = 12
# Gains in dB at these frequencies: flat, dark, bright, and one with a notch that is not trained on.
FREQUENCIES = (0, 200, 1000, 3000, 8000)
DEVICES = {
    "A": (0, 0, 0, 0, 0),
    "B": (6, 6, 0, -12, -24),
    "C": (-24, -12, 0, 9, 6),
    "D": (12, -18, 12, -18, 12),
}


def sound(device: str, number: int) -> np.ndarray:
    """Return a second of noise whose tilt changes from clip to clip, recorded by a device."""
    generator = np.random.default_rng(number)
    spectrum = np.fft.rfft(generator.normal(size=RATE_HZ))
    hertz = np.fft.rfftfreq(RATE_HZ, 1 / RATE_HZ)
    tilt_db = generator.uniform(-1.0, 1.0) * np.log10(hertz + 100) * 6
    gain_db = np.interp(hertz, FREQUENCIES, DEVICES[device]) + tilt_db
    recorded = np.fft.irfft(spectrum * 10 ** (gain_db / 20))
    loudest: float = np.abs(recorded).max()
    return np.asarray(0.1 * recorded / loudest)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    root = tmp_path_factory.mktemp("devices")
    rows = []
    for device in DEVICES:
        for number in range(2 * CLIPS):
            name = f"{device}{number}.wav"
            soundfile.write(root / name, sound(device, number), RATE_HZ)
            split = "train" if number < CLIPS else "test"
            rows.append((name, "noise", device, f"take{number}", split))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take", "split"])
    return Manifest.from_table(table, root=root)


@pytest.fixture(scope="module")
def identifier(corpus: Manifest) -> DeviceIdentifier:
    training = corpus.where(split="train")
    return DeviceIdentifier().fit(training, held_out=["D"], seed=0)


def test_new_clips_are_named(corpus: Manifest, identifier: DeviceIdentifier) -> None:
    test = corpus.where(split="test", device=["A", "B", "C"])
    found = [identifier.identify(audio.read(path)) for path in test.paths()]
    assert [item.nearest for item in found] == list(test.table["device"])
    assert all(0 < item.probability <= 1 for item in found)


def test_an_unknown_device_scores_lower(corpus: Manifest, identifier: DeviceIdentifier) -> None:
    def scores(*devices: str) -> list[float]:
        paths = corpus.where(split="test", device=list(devices)).paths()
        return [identifier.identify(audio.read(path)).score for path in paths]

    assert np.median(scores("D")) < np.median(scores("A", "B", "C"))
    assert identifier.record_["unknown_auroc"] > 0.8


def test_the_threshold_accepts_a_share_of_each_device_whatever_their_clips() -> None:
    generator = np.random.default_rng(0)
    many, few = generator.normal(5, 1, 5000), generator.normal(0, 1, 50)
    scores = HeldOutScores((many, few, few[:0]), generator.normal(-3, 1, 100), many[:0])
    threshold = scores.threshold(0.9)
    shares = [float((found >= threshold).mean()) for found in (many, few)]
    assert shares[1] == pytest.approx(0.9, abs=0.02)
    assert shares[0] > 0.999
    record = scores.record(threshold, "ABC")
    assert record["accepts"]["B"] == {"accepted": 45, "clips": 50}  # type: ignore[index]
    assert record["accepts"]["C"] == {"accepted": 0, "clips": 0}  # type: ignore[index]
    assert "simulated_accepts" not in record


def test_the_area_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    known, unknown = generator.integers(0, 9, 40) / 2, generator.integers(-4, 6, 30) / 2
    truth = np.repeat([1, 0], [40, 30])
    expected = roc_auc_score(truth, np.concatenate([known, unknown]))
    assert area(known, unknown) == pytest.approx(expected, abs=1e-12)


def test_without_held_out_devices_unknown_ones_are_simulated(corpus: Manifest) -> None:
    training = corpus.where(split="train", device=["A", "B", "C"])
    found = DeviceIdentifier(true_accepts=0.8).fit(training)
    counts = found.record_["accepts"].values()
    assert min(one["accepted"] / one["clips"] for one in counts) == pytest.approx(0.8, abs=0.1)
    assert found.record_["simulated_clips"] == 4 * CLIPS
    low, high = found.record_["simulated_interval"]
    assert 0 <= low <= found.record_["simulated_accepts"] <= high <= 1
    assert found.record_["simulated_auroc"] > 0.8
    assert "unknown_accepts" not in found.record_  # no clip of an unknown device
    for share in (0, 1, 1.5):
        with pytest.raises(ConfigError, match="true_accepts"):
            DeviceIdentifier(true_accepts=share)


def test_examples_of_a_device_with_few_clips_have_its_effect_and_all_sounds() -> None:
    """Its mean is found within its uncertainty, and its examples vary as those of the others."""
    generator = np.random.default_rng(0)
    effect = np.array([4.0, -3.0, 0.0, 2.0])
    values = generator.standard_normal((310, 4))
    values[300:] += effect
    targets = np.repeat([0, 1], [300, 10])

    def draw(count: int, generator: np.random.Generator) -> np.ndarray:
        return 5 * generator.standard_normal((count, 4))

    examples = DeviceExamples(values, targets, devices=2, draw=draw, generator=generator)
    assert examples.anchor == 0
    drawn = examples.known(1, 4000, generator)
    np.testing.assert_allclose(drawn.mean(axis=0), effect, atol=4 / np.sqrt(10))
    np.testing.assert_allclose(drawn[2000:].std(axis=0), 1, atol=0.1)
    assert len(np.unique(drawn[:2000], axis=0)) == 10  # half are its own clips
    unknown = examples.unknown(4000, generator)
    np.testing.assert_allclose(unknown.std(axis=0), np.sqrt(26), rtol=0.1)


def test_recordings_of_one_device_are_judged_together(
    corpus: Manifest, identifier: DeviceIdentifier
) -> None:
    for device in DEVICES:
        test = corpus.where(split="test", device=device)
        clips = [audio.read(path) for path in test.paths()]
        each = [identifier.identify(clip).score for clip in clips]
        found = identifier.identify_together(clips)
        assert min(each) <= found.score <= max(each)
        assert (found.device == found.nearest) == (found.score >= identifier.threshold)
        if device == "D":
            assert found.device is None
        else:
            assert found.device == device
            assert found.probability >= np.median(
                [identifier.identify(c).probability for c in clips]
            )
        assert identifier.identify_together(clips[:1]) == identifier.identify(clips[0])
    with pytest.raises(DeviceError, match="no clips"):
        identifier.identify_together([])


def test_a_held_out_device_without_clips_is_refused(corpus: Manifest) -> None:
    with pytest.raises(DeviceError, match=r"no clip of the held-out device X"):
        DeviceIdentifier().fit(corpus.where(split="train"), held_out=["D", "X"])


def test_a_stored_identifier_of_another_version_is_refused(identifier: DeviceIdentifier) -> None:
    record, tensors = identifier.to_parts()
    with pytest.raises(DeviceError, match="version 1"):
        DeviceIdentifier.from_parts({**record, "version": 1}, tensors)


def test_a_clip_is_accepted_from_the_threshold_on(
    corpus: Manifest, identifier: DeviceIdentifier
) -> None:
    for path in corpus.where(split="test").paths():
        found = identifier.identify(audio.read(path))
        assert (found.device == found.nearest) == (found.score >= identifier.threshold)


def test_the_level_says_nothing(corpus: Manifest, identifier: DeviceIdentifier) -> None:
    clip = audio.read(corpus.paths()[0])
    quiet = Clip(clip.samples * np.float32(0.01), clip.rate_hz)
    loud, soft = identifier.identify(clip), identifier.identify(quiet)
    assert soft.score == pytest.approx(loud.score, abs=1e-3)


def test_the_same_seed_learns_the_same(corpus: Manifest, identifier: DeviceIdentifier) -> None:
    again = DeviceIdentifier().fit(corpus.where(split="train"), held_out=["D"], seed=0)
    assert again.threshold == identifier.threshold


def test_what_was_saved_answers_alike(
    corpus: Manifest, identifier: DeviceIdentifier, tmp_path: Path
) -> None:
    loaded = DeviceIdentifier.load(identifier.save(tmp_path / "identifier"))
    clip = audio.read(corpus.paths()[-1])
    assert loaded.identify(clip) == identifier.identify(clip)
    assert loaded.fitted_on == identifier.fitted_on
    assert len(loaded.fitted_on) == 4 * CLIPS  # the held-out device is among them


def test_an_altered_file_is_refused(identifier: DeviceIdentifier, tmp_path: Path) -> None:
    folder = identifier.save(tmp_path / "identifier")
    file = folder / "identifier.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(AnymicError, match=r"altered|sha256|not whole"):
        DeviceIdentifier.load(folder)


@pytest.mark.parametrize(
    ("devices", "clips", "message"),
    [
        (["A"], CLIPS, r"1 known device \(A\)\. Expected at least two"),
        (["A", "B"], 2, r"too few clips: 2 of A, 2 of B\. Expected at least 5"),
    ],
)
def test_too_little_to_learn_from_is_refused(
    corpus: Manifest, devices: list[str], clips: int, message: str
) -> None:
    parts = corpus.where(split="train", device=devices)
    few = parts.rows([row for row in range(len(parts)) if row % CLIPS < clips])
    with pytest.raises(DeviceError, match=message):
        DeviceIdentifier().fit(few)


def test_not_all_devices_can_be_held_out(corpus: Manifest) -> None:
    parts = corpus.where(split="train", device=["A", "B"])
    with pytest.raises(
        DeviceError, match=r"0 known devices, and A, B held out\. .* Hold out fewer"
    ):
        DeviceIdentifier().fit(parts, held_out=["A", "B"])


def test_a_device_whose_clips_are_all_of_one_recording(corpus: Manifest) -> None:
    """One of the four networks was trained without it; no score may become a NaN."""
    training = corpus.where(split="train", device=["A", "B"])
    table = training.table
    alone = training.with_columns(group=np.where(table["device"] == "A", "a", table["take"]))
    found = DeviceIdentifier().fit(alone)
    assert np.isfinite(found.threshold)
    with pytest.raises(DeviceError, match="one recording"):
        DeviceIdentifier().fit(training.with_columns(group=np.full(len(table), "a")))


def test_two_devices_are_enough(corpus: Manifest) -> None:
    pair = corpus.where(device=["B", "C"])
    found = DeviceIdentifier().fit(pair.where(split="train"))
    test = pair.where(split="test")
    named = [found.identify(audio.read(path)).nearest for path in test.paths()]
    assert named == list(test.table["device"])


def test_other_rates_and_silence_are_refused(identifier: DeviceIdentifier) -> None:
    with pytest.raises(AudioError, match="8000 Hz"):
        identifier.identify(Clip(np.ones(8000, dtype=np.float32), 8000))
    with pytest.raises(AudioError, match="is silent"):
        identifier.identify(Clip(np.zeros(RATE_HZ, dtype=np.float32), RATE_HZ))


def test_a_clip_of_another_rate_loses_no_other(corpus: Manifest, tmp_path: Path) -> None:
    """Even the first: the rate is that of most clips."""
    training = corpus.where(split="train", device=["A", "B"])
    soundfile.write(tmp_path / "other.wav", sound("A", 99)[: RATE_HZ // 2], RATE_HZ // 2)
    others = {"path": [str(tmp_path / "other.wav")], "label": "noise", "device": "A", "take": "x"}
    odd = Manifest.from_table(pd.DataFrame(others))
    found = describe_manifest(concatenate([odd, training]))
    assert [failure.path for failure in found.failures] == others["path"]
    assert f"Expected {RATE_HZ} Hz" in found.failures[0].reason
    np.testing.assert_array_equal(found.values, describe_manifest(training).values)
    assert usual_rate(odd) == RATE_HZ // 2


def test_the_commands_fit_and_identify(
    corpus: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = corpus.write(tmp_path / "clips.csv"), tmp_path / "identifier"
    assert main(["devices", "fit", str(data), "--out", str(out), "--held-out", "D"]) == 0
    printed = capsys.readouterr().out
    assert "held-out devices: " in printed
    assert re.search(rf"\n  A: \d+ % \[\d+, \d+\] of {CLIPS}\n", printed)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    files = [str(path) for path in corpus.where(split="test", device="B").paths()[:2]]
    arguments = ["devices", "identify", *files, str(bad), "--identifier", str(out), "--json"]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    rows = json.loads(captured.out)
    assert [row.get("nearest") for row in rows] == ["B", "B", None]
    assert "1 of 3 files failed" in captured.err
    assert main(["devices", "identify", *files, "--identifier", str(out), "--together"]) == 0
    name, recordings, _ = capsys.readouterr().out.split("\t")
    assert (name, recordings) == ("B", "2 recordings")
    assert main(["devices", "identify", files[0], "--identifier", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("error: No folder")
