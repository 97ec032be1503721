"""`anymic devices profile` and `anymic correct`, on aligned recordings in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
from typer.testing import CliRunner, Result

import anymic
from anymic.cli import app
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import AnymicError, AudioError, ConfigError, DeviceError, ManifestError

RATE_HZ = 16000
TAPS = scipy.signal.firwin2(65, [0, 0.2, 0.5, 1], [0.4, 2.0, 1.0, 0.5])


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, AnymicError):
        raise result.exception
    return result


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """Eight takes by A and B, the last two of them in the test split."""
    generator = np.random.default_rng(0)
    rows = []
    for take in range(8):
        sound = 0.1 * generator.standard_normal(RATE_HZ)
        original = {"A": sound, "B": scipy.signal.convolve(sound, TAPS, mode="same")}
        for device, samples in original.items():
            name = f"{device}{take}.wav"
            soundfile.write(tmp_path / name, samples.astype(np.float32), RATE_HZ, subtype="FLOAT")
            split = "train" if take < 6 else "test"
            rows.append((name, "noise", device, f"take-{take}", split))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "take", "split"])
    table.to_csv(tmp_path / "takes.csv", index=False)
    return tmp_path / "takes.csv"


@pytest.fixture
def profile(takes: Path) -> Path:
    out = takes.with_name("profile.json")
    assert run("devices", "profile", takes, "--split", "train", "--out", out).exit_code == 0
    return out


def test_from_recordings_to_a_corrected_file(takes: Path, profile: Path) -> None:
    """The held-out clip of B, corrected, is the clip of A."""
    out = takes.with_name("corrected.wav")
    original = takes.with_name("B7.wav")
    result = run("correct", original, "--profile", profile, "--device", "B", "--out", out)
    assert result.exit_code == 0
    assert "B towards A (ratio_of_means, 6 clips): gains" in result.stdout
    wanted, got, before = (
        soundfile.read(path, dtype="float32")[0]
        for path in (takes.with_name("A7.wav"), out, original)
    )
    assert len(got) == len(wanted)
    error, error_before = (np.sqrt(np.mean((one - wanted) ** 2)) for one in (got, before))
    assert error < 0.03 * wanted.std()
    assert error_before > 0.4 * wanted.std()
    assert soundfile.info(out).subtype == "FLOAT"


def test_the_profile_and_the_figure_are_written(takes: Path) -> None:
    out, plot = takes.with_name("both.json"), takes.with_name("gains.png")
    result = run(
        "devices", "profile", takes, "--reference", "A,B", "--estimator", "geometric", "--fft", 512,
        "--hop", 128, "--device", "B", "--out", out, "--plot", plot, "--json",
    )  # fmt: skip
    assert result.exit_code == 0
    outcome = json.loads(result.stdout)
    assert outcome["reference"] == ["A", "B"]
    assert outcome["devices"]["B"]["clips"] == 8
    assert outcome["failures"] == []
    assert "all splits are used" in result.stderr
    read = DeviceProfile.read(out)
    assert (read.fft_size, read.hop_samples, read.estimator) == (512, 128, "geometric")
    np.testing.assert_allclose(read.gains_for("A") * read.gains_for("B"), 1, rtol=1e-9)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_failed_clip_is_listed_and_the_others_are_used(takes: Path) -> None:
    takes.with_name("B0.wav").write_text("not sound")
    out = takes.with_name("profile.json")
    result = run("devices", "profile", takes, "--split", "train", "--out", out)
    assert result.exit_code == 1
    assert "failed: " in result.stderr
    assert "B0.wav" in result.stderr
    assert DeviceProfile.read(out).devices["B"].count == 5


def test_few_takes_are_noted(takes: Path) -> None:
    result = run(
        "devices", "profile", takes, "--split", "test", "--out", takes.with_name("few.json")
    )
    assert result.exit_code == 0
    assert "note: device B: gains estimated from only 2 clips" in result.stderr
    assert "device A: gains estimated" not in result.stderr  # the reference: its gains are 1


def test_wrong_settings_are_refused(takes: Path) -> None:
    out = takes.with_name("profile.json")
    for error, message, arguments in (
        (ManifestError, "No file", (takes.with_name("gone.csv"),)),
        (DeviceError, "reference device 'Z'", (takes, "--reference", "Z")),
        (DeviceError, "did you mean 'geometric'", (takes, "--estimator", "geometrc")),
        (DeviceError, "device 'Q'", (takes, "--device", "Q")),
        (
            ManifestError,
            r"No clip has the split 'tset' \(splits: test, train\)",
            (takes, "--split", "tset"),
        ),
        (DeviceError, "The FFT size is 511", (takes, "--fft", 511)),
        (
            ConfigError,
            r"gains.pdf cannot be drawn\. Expected a .png",
            (takes, "--plot", "gains.pdf"),
        ),
    ):
        with pytest.raises(error, match=message):
            run("devices", "profile", *arguments, "--out", out)
    assert not out.exists()


def test_another_rate_is_refused_with_the_remedy(takes: Path, profile: Path) -> None:
    other = takes.with_name("other.wav")
    soundfile.write(other, np.random.default_rng(1).uniform(-0.1, 0.1, 4800), 48000)
    out = takes.with_name("out.wav")
    with pytest.raises(DeviceError, match=r"48000 Hz\. Expected 16000 Hz.*Resample the audio"):
        run("correct", other, "--profile", profile, "--device", "B", "--out", out)
    assert not out.exists()


def test_over_full_scale_is_kept_in_wav_and_refused_in_flac(takes: Path, profile: Path) -> None:
    original, flac = takes.with_name("B7.wav"), takes.with_name("loud.flac")
    arguments = ("correct", original, "--profile", profile, "--device", "B", "--gain-db", 20)
    with pytest.raises(DeviceError, match=r"Pass --gain-db \d+\.\d, or write \.wav") as caught:
        run(*arguments, "--out", flac)
    assert not flac.exists()
    wav = takes.with_name("loud.wav")
    result = run(*arguments, "--out", wav)
    assert "over full scale, and not clipped" in result.stderr
    assert np.abs(soundfile.read(wav)[0]).max() > 1
    # What the remedy names works, and uses the room there is.
    gain_db = str(caught.value).split("--gain-db ")[1].split(",")[0]
    assert run(*arguments[:-1], gain_db, "--out", flac).exit_code == 0
    assert 0.97 < np.abs(soundfile.read(flac)[0]).max() <= 1


def test_json_says_what_was_done(takes: Path, profile: Path) -> None:
    stereo, out = takes.with_name("stereo.wav"), takes.with_name("out.wav")
    samples = soundfile.read(takes.with_name("B7.wav"))[0]
    soundfile.write(stereo, np.stack([samples, samples], axis=1), RATE_HZ, subtype="FLOAT")
    arguments = ("correct", stereo, "--profile", profile, "--device", "B", "--out", out)
    outcome = json.loads(run(*arguments, "--json").stdout)
    assert outcome["notes"] == ["2 channels became one (mean)"]
    assert (outcome["samples"], outcome["device"], outcome["clips"]) == (RATE_HZ, "B", 6)
    with pytest.raises(AudioError, match="channel is 'only'"):
        run(*arguments, "--channel", "only")


def test_correct_refuses_wrong_arguments(takes: Path, profile: Path) -> None:
    original, out = takes.with_name("B7.wav"), takes.with_name("out.wav")
    with pytest.raises(DeviceError, match=r"no device 'C'\. Expected one of A, B"):
        run("correct", original, "--profile", profile, "--device", "C", "--out", out)
    with pytest.raises(ConfigError, match="is both input and output"):
        run("correct", original, "--profile", profile, "--device", "B", "--out", original)
    with pytest.raises(DeviceError, match="No file"):
        run("correct", original, "--profile", "gone.json", "--device", "B", "--out", out)
    with pytest.raises(DeviceError, match=r"not a device profile|cannot be read"):
        run("correct", original, "--profile", takes, "--device", "B", "--out", out)
    with pytest.raises(AudioError):
        run("correct", takes, "--profile", profile, "--device", "B", "--out", out)
    with pytest.raises(DeviceError, match="gain-db is nan"):
        run("correct", original, "--profile", profile, "--device", "B", "--out", out,
            "--gain-db", "nan")  # fmt: skip
    assert not out.exists()


def test_a_measured_response_is_a_profile(tmp_path: Path) -> None:
    (tmp_path / "mic.cal").write_text("* measured\n20 -6\n500 -6\n1000 0\n2000 6\n4000 6\n")
    response, out = tmp_path / "mic.cal", tmp_path / "mic.json"
    result = run("devices", "profile", "--response", response, "--device", "B", "--out", out)
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if " B " in line)
    assert row.rstrip(" │|").endswith("-")  # a response has no spread
    gains_db = 20 * np.log10(DeviceProfile.read(out).gains_for("B"))
    assert gains_db[0] == pytest.approx(6)
    assert gains_db[-1] == pytest.approx(-6)
    for wrong in (["--response", response], [response, "--response", response], []):
        with pytest.raises(ConfigError):
            run("devices", "profile", *wrong, "--out", out)


def test_takes_need_no_labels(takes: Path) -> None:
    """A table with path, device and take gives the profile that one with labels gives."""
    table = pd.read_csv(takes)
    plain, profiles = takes.with_name("plain.csv"), []
    table[["path", "device", "take"]].to_csv(plain, index=False)
    for manifest in (takes, plain):
        out = manifest.with_suffix(".json")
        assert run("devices", "profile", manifest, "--out", out).exit_code == 0
        profiles.append(DeviceProfile.read(out).gains_for("B"))
    np.testing.assert_array_equal(profiles[0], profiles[1])
    in_python = anymic.profile(plain, reference="A")
    np.testing.assert_array_equal(in_python.gains_for("B"), profiles[0])
    table[["path", "take"]].to_csv(plain, index=False)
    with pytest.raises(ManifestError, match="device"):
        run("devices", "profile", plain)
