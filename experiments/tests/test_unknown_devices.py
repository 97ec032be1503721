"""The page on unknown devices in miniature: noise, made-up responses, random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic._internal.settings import read_yaml
from anymic.cli import main
from anymic.devices.simulation.random_responses import microphone_files
from anymic.evaluation.report.rows import read_json
from anymic.importers.yamnet import import_yamnet
from anymic_experiments.commands import ROOT
from anymic_experiments.experiment import Experiment, Paper
from anymic_experiments.findings import Findings
from anymic_experiments.pooling import Pooled
from anymic_experiments.unknown_devices import analysis, comparison

RATE_HZ = 16_000
DEVICES = read_yaml(ROOT / "unknown_devices" / "devices.yaml")
COLUMNS = [one["response"]["file"] for one in DEVICES["devices"].values() if "response" in one]
TEN = list("DELMNOPQFG")


def responses(folder: Path) -> Path:
    """Write a response for every microphone of the grid, and of the package's statistics."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in (*COLUMNS, *microphone_files()):
        taps = np.concatenate([[0.5], 0.05 * generator.standard_normal(63)])
        soundfile.write(folder / name, taps, RATE_HZ, subtype="PCM_24")
    return folder


def drums(root: Path) -> Path:
    """Write eight takes of two classes by three microphones."""
    generator, rows = np.random.default_rng(1), []
    root.mkdir()
    for take in range(8):
        sound = (0.02, 0.2)[take % 2] * generator.standard_normal(44_100)
        for device, level in (("Snare_top", 1.0), ("OHL", 0.3), ("AmbL", 0.5)):
            name = f"{device}-{take}.wav"
            soundfile.write(root / name, level * sound, 44_100)
            rows.append((name, ("Snare", "Tom1")[take % 2], device, str(take), str(take)))
    columns = ["path", "label", "device", "take", "group"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "manifest.csv", index=False)
    return root / "manifest.csv"


@pytest.mark.usefixtures("one_thread")
def test_all_parts_from_recordings_to_the_page(tmp_path: Path, esc50_with_few_tests: Path) -> None:
    extractor = import_yamnet(width=0.125, seed=2).save(tmp_path / "extractor")
    out, page = tmp_path / "out", tmp_path / "docs"
    sounds = esc50_with_few_tests
    command = ["reproduce", "unknown-devices", "--esc50", str(sounds)]
    command += ["--esc50-16k", str(sounds), "--drums", str(drums(tmp_path / "drums"))]
    command += ["--responses", str(responses(tmp_path / "micirp")), "--extractor", str(extractor)]
    command += ["--out", str(out), "--page", str(page), "--workers", "1"]
    for omitted in ("*A+B+C*", "pretrained: measured*blind*"):
        command += ["--leave-out", omitted]
    changes = ("folds=1", "seeds=1", "epochs=1", "batch_size=8", "width=0.1", "drums.folds=2")
    for change in changes:
        command += ["--set", change]
    assert main(command) == 0
    text = (page / "unknown_devices.md").read_text()
    # Of the ten, the four farthest from A, each of the ten, calibration errors, blind gains alone.
    assert (
        text.count("\n| generated devices, blind, one recording | ") == 4 + 1
    )  # blind gains alone
    assert text.count("\n| fine-tuned copies | ") == 4
    assert "n = 6 for each microphone" in text
    assert "correction A+B+C; " in text  # left out
    assert text.count("**no**") + text.count(" | yes |") == 12 + 7
    rows, _ = read_json(out / "unknown_devices" / "report.json")
    found = Findings(rows)
    tuned = found.of("accuracy_difference", condition="fine-tuned copies", device="unknown")
    assert tuned.value == 0  # none of the ten has a copy
    kept = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.npz")}
    assert main(command) == 0  # what is finished is used again
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_microphones_of_the_tables_are_in_no_augmentation() -> None:
    assert len(COLUMNS) == 12
    assert not set(COLUMNS) & set(microphone_files())
    unknown = Paper.read("unknown_devices").grid.devices["unknown"]
    assert list(unknown) == TEN
    assert not set(unknown) & set(DEVICES["recorded"]["train"])


def test_a_folder_without_the_responses_is_refused(
    tmp_path: Path, esc50_of_noise: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = responses(tmp_path / "micirp")
    for name in microphone_files()[:2]:
        (folder / name).unlink()
    command = ["reproduce", "unknown-devices", f"--esc50={esc50_of_noise}"]
    command += [f"--responses={folder}", f"--out={tmp_path / 'out'}"]
    assert main(command) == 2
    assert f"has no {microphone_files()[0]}, nor 1 more" in capsys.readouterr().err
    assert not (tmp_path / "out" / "networks").exists()


def test_the_farthest_devices_are_those_whose_responses_deviate_most(tmp_path: Path) -> None:
    """By a slope of so many dB an octave, whatever the level; a flat response deviates by none."""
    folder = tmp_path / "micirp"
    folder.mkdir()
    grid = analysis.Settings.read(ROOT / "unknown_devices")
    slopes = dict(zip(TEN, (0, 1, -6, 2, 5, 0.5, -4, 1, 3, -1), strict=True))
    hz = np.maximum(np.arange(1025) * RATE_HZ / 2048, 50.0)
    for name, slope in slopes.items():
        level = np.where(hz < 7000, slope * np.log2(hz / 1000), 0.0) - 6
        taps = np.fft.fftshift(np.fft.irfft(10 ** (level / 20)))
        file = DEVICES["devices"][name]["response"]["file"]
        soundfile.write(folder / file, taps / np.abs(taps).max() / 2, RATE_HZ, subtype="PCM_24")
    ours = Experiment(grid, out=tmp_path, data=(), options={"responses": folder})
    found = analysis.farthest_of(ours)
    assert set(found) == {"L", "N", "P", "F"}
    octaves = np.log2(np.array(analysis.THIRDS_HZ))
    for name, deviation in found.items():
        assert deviation == pytest.approx(abs(slopes[name]) * octaves.std(), rel=0.05)
    flat = analysis.devices_of(ours).devices["A"]
    assert analysis.deviation_db(flat, str(folder)) == 0


def test_blind_rows_are_compared_with_the_same_training_without() -> None:
    rows = ["none", "correction A", "correction A, blind", "none, blind", "blind, one recording"]
    rows += ["blind, 80 recordings", "generated devices, blind, one recording"]
    pairs = [("correction A, blind", "correction A"), ("none, blind", "none")]
    pairs += [("blind, one recording", "none")]
    assert analysis._alone(rows) == pairs
    assert analysis._alone([*rows, "generated devices"])[3:] == [(rows[-1], "generated devices")]


def test_recordings_made_wrong_and_right_are_counted_among_the_unknown() -> None:
    devices, groups = np.repeat(["A", "D", "E"], 4), np.tile(list("wxyz"), 3)
    before = np.array([1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1], dtype=bool)
    after = np.array([0, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1], dtype=bool)
    answers = {
        "none": np.stack([before, ~before], axis=1),
        "row": np.stack([after, ~after], axis=1),
    }
    every = {name: values.astype(float) for name, values in answers.items()}
    ours = Pooled(every, np.zeros(12, dtype=int), devices, groups)
    found = Findings(comparison.changed_by(ours, "row", "none", reference="A", unknown=["D", "E"]))
    assert found.of("become_wrong").value == pytest.approx(1 / 8)
    assert found.of("become_right").value == pytest.approx(2 / 8)
    assert found.of("recovered_share").value == pytest.approx((5 - 4) / (8 - 4))


def test_the_farthest_devices_have_means_of_their_own() -> None:
    right = np.zeros((6, 10))
    right[:2] = 1.0
    rows = comparison.compared(pooled(right), "row", "none", TEN[1:6], farthest=TEN[1:4])
    found = Findings(rows)
    assert found.of("accuracy", condition="row", device="unknown").value == pytest.approx(1 / 5)
    own = found.of("accuracy", condition="row", device="farthest")
    assert own.value == pytest.approx(1 / 3)
    assert own.n == 30
    spread = found.of("spread", condition="row", device="farthest").value
    assert spread == pytest.approx(0.5)  # of D, which is known here, and three others: 1, 1, 0, 0


def pooled(right: np.ndarray) -> Pooled:
    """Return answers (device, recording), right or not, of a row against one that is all wrong."""
    devices = np.repeat(TEN[: len(right)], right.shape[1])
    groups = np.tile([f"recording {number}" for number in range(right.shape[1])], len(right))
    own = np.stack([right.ravel(), 1.0 - right.ravel()], axis=1)
    plain = np.stack([np.zeros(right.size), np.ones(right.size)], axis=1)
    return Pooled({"none": plain, "row": own}, np.zeros(right.size, dtype=int), devices, groups)


def test_the_mean_over_devices_is_uncertain_by_devices_and_by_recordings() -> None:
    """What all recordings share varies by device alone, and the other way round."""
    generator = np.random.default_rng(0)
    by_device = np.repeat(np.arange(8)[:, None] < 4, 200, axis=1).astype(float)
    by_recording = np.repeat(generator.permutation(np.arange(200) < 100)[None], 8, axis=0)
    widths = []
    for right in (by_device, by_recording.astype(float)):
        rows = comparison.compared(pooled(right), "row", "none", TEN[:8])
        mean = Findings(rows).of("accuracy_difference", device=comparison.MEAN)
        assert mean.value == pytest.approx(0.5)
        assert mean.low is not None
        assert mean.high is not None
        widths.append(mean.high - mean.low)
    # Standard errors of a mean of 8 devices and of 200 recordings, each half of them right.
    normal = 2 * 1.96 * 0.5
    assert widths[0] == pytest.approx(normal / np.sqrt(8), rel=0.35)  # few: wider than the normal
    assert widths[0] > normal / np.sqrt(8)
    assert widths[1] == pytest.approx(normal / np.sqrt(200), rel=0.35)


def test_the_spread_is_the_deviation_of_the_accuracies_of_devices() -> None:
    right = np.zeros((4, 10))
    right[:2] = 1.0
    rows = Findings(comparison.compared(pooled(right), "row", "none", TEN[:4]))
    assert rows.of("spread", condition="row").value == pytest.approx(0.5)
    for device, accuracy in zip(TEN, (1.0, 1.0, 0.0, 0.0), strict=False):
        assert rows.of("accuracy", device=device).value == accuracy
