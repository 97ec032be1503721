"""The page on pairs of microphones in miniature: noise and made-up responses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic.audio import Clip
from anymic.cli import main
from anymic.devices.simulation.chain import Device
from anymic.evaluation.report.rows import read_json
from anymic.features import Frontend, FrontendConfig
from anymic.metrics import intervals
from anymic.metrics.recovery import recovered_share
from anymic_experiments.commands import ROOT
from anymic_experiments.findings import Findings
from anymic_experiments.microphone_pairs.analysis import Hits, pairs_of
from anymic_experiments.microphone_pairs.noise_floor import BANDS, METRIC, Order, measure
from anymic_experiments.microphone_pairs.settings import Settings
from anymic_experiments.pooling import Pooled

NAMES = ("Bright", "Dark", "Ripple")


def responses(folder: Path) -> Path:
    """Write three coloured responses, a nearly flat one, and that of a faulty microphone."""
    folder.mkdir()
    taps = {name: np.zeros(64) for name in (*NAMES, "Flat", "Old_Faulty")}
    taps["Bright"][:2] = 0.5, -0.45
    taps["Dark"][:3] = 0.3, 0.3, 0.2
    taps["Ripple"][[0, 20]] = 0.5, 0.4
    taps["Flat"][0] = 0.5
    taps["Old_Faulty"][:2] = 0.5, -0.4999
    for name, own in taps.items():
        soundfile.write(folder / f"{name}.wav", own, 16_000, subtype="PCM_24")
    return folder


@pytest.mark.usefixtures("one_thread")
def test_from_recordings_to_the_page(tmp_path: Path, esc50_of_noise: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "docs"
    command = ["reproduce", "microphone-pairs", f"--esc50={esc50_of_noise}"]
    command += [f"--responses={responses(tmp_path / 'micirp')}", f"--out={out}", f"--page={page}"]
    command += ["--workers=1"]
    candidates = "{plain: {batch_size: 8}, small: {batch_size: 4}}"
    for change in ("microphones=3", "takes=4", "seeds=1", "epochs=1", "inner_folds=2"):
        command += ["--set", change]
    assert main([*command, "--set", f"candidates={candidates}"]) == 0
    text = (page / "microphone_pairs.md").read_text()
    assert (page / "microphone_pairs.png").is_file()
    for name in NAMES:
        assert text.count(f"\n| {name} | ") == 2
    assert "Flat" not in text
    assert "Old_Faulty" not in text
    assert text.count("| **100.0") == 2  # the first of equals, in each fold
    rows, _ = read_json(out / "microphone_pairs" / "report.json")
    found = Findings(rows)
    lost = [found.of("accuracy_difference", device=n, against_device="A").value for n in NAMES]
    every = found.of("accuracy_difference", device="all", against_device="A")
    assert every.value == pytest.approx(np.mean(lost))
    for name in ("A", *NAMES):
        assert [found.of(METRIC, device=name, bands=bands).n for bands in BANDS] == [28, 28]
    kept = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.npz")}
    # folds x candidates, folds x pairs x conditions, folds x microphones
    assert len(kept) == 2 * 2 + 2 * 3 * 4 + 2 * 4
    assert main([*command, "--set", f"candidates={candidates}"]) == 0
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_too_few_responses_are_refused(
    tmp_path: Path, esc50_of_noise: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["reproduce", "microphone-pairs", f"--esc50={esc50_of_noise}"]
    command += [f"--responses={responses(tmp_path / 'micirp')}", f"--out={tmp_path / 'out'}"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "has 4 impulse responses. Expected 8, of microphones that are in order." in said


def test_few_settings_are_chosen_from() -> None:
    """The best of many settings is partly the luckiest one."""
    grid = Settings.read(ROOT / "microphone_pairs")
    assert 2 <= len(grid.candidates) <= 12
    assert (grid.microphones, grid.inner_folds) == (8, 3)


def test_each_microphone_is_once_b_and_once_c() -> None:
    names = list("abcdefgh")
    pairs = pairs_of(names)
    assert [one for one, _ in pairs] == names
    assert sorted(two for _, two in pairs) == names
    assert all(one != two for one, two in pairs)


def test_shares_are_those_of_one_pair_by_hand() -> None:
    # Both pairs of two microphones have the same answers: a mean over pairs changes nothing.
    generator = np.random.default_rng(0)
    n = 60
    groups = np.array([f"r{number // 3}" for number in range(n)])
    devices = np.repeat(["A", "B", "C"], n)
    right = {
        name: generator.random(3 * n) < np.repeat(share, n)
        for name, share in {"plain": (0.95, 0.4, 0.4), "own": (0.9, 0.7, 0.7)}.items()
    }
    for own in right.values():
        own[2 * n :] = own[n : 2 * n]
    answers = {name: np.stack([own, ~own], axis=1).astype(float) for name, own in right.items()}
    pooled = Pooled(answers, np.zeros(3 * n, dtype=np.int64), devices, np.tile(groups, 3))
    pairs = {("x", "y"): pooled, ("y", "x"): pooled}
    hits = Hits.of(pairs, ["x", "y"], reference="A", coloured=("B", "C"))
    before, flat = hits.coloured["plain"], hits.reference["plain"]
    only = [0]
    found = hits.share((hits.coloured["own"] - before)[:, only], (flat - before)[:, only])
    wanted = recovered_share(
        right["own"], right["plain"], devices, np.tile(groups, 3), others=("B",)
    )
    assert found is not None
    assert found.value == pytest.approx(wanted.value)
    assert found.low == pytest.approx(wanted.low, abs=0.05)
    assert found.high == pytest.approx(wanted.high, abs=0.05)
    # Resampling two microphones alike adds nothing but the allowance for their number.
    both = hits.mean(flat - before)
    one = intervals.resampled_mean((flat - before)[:, 0], groups)
    assert both.value == pytest.approx(one.value)
    assert both.high - both.low > one.high - one.low


def test_a_loss_that_may_be_none_has_no_share() -> None:
    generator = np.random.default_rng(1)
    values = (generator.random((40, 2)) < 0.5).astype(float)
    hits = Hits({}, {}, np.arange(40).astype(str))
    assert hits.share(values, values - values[::-1]) is None
    assert hits.share(values, values + 0.1) is not None


RATE_HZ = 16_000
CELLS = FrontendConfig(rate_hz=RATE_HZ, fft_size=512, hop_samples=256, bands=24)


def test_the_spectrum_of_white_noise_is_its_level_over_the_floor() -> None:
    # An RMS of 0.01 is -40 dBFS; 6 dB lower it lies 34 dB over a floor at -80 dBFS.
    sound = 0.01 * np.random.default_rng(3).standard_normal(20 * RATE_HZ).astype(np.float32)
    device = Device(noise_db=-80, gain_db=-6)
    found = measure(Frontend(CELLS), [Clip(sound, RATE_HZ)], device, responses=".")
    assert found.hz[-1] * 2 ** (1 / 3) > RATE_HZ / 2 > found.hz[-1] * 2 ** (-1 / 6)
    assert found.level_db == pytest.approx(np.full(len(found.hz), 34.0), abs=1.0)
    assert found.below == pytest.approx(np.zeros((1, 2)))


def test_cells_below_the_floor_are_those_of_the_silent_half_and_of_the_missing_band() -> None:
    seconds = 4
    loud = 0.1 * np.random.default_rng(4).standard_normal(seconds * RATE_HZ).astype(np.float32)
    half = loud.copy()
    half[len(half) // 2 :] = 0
    # Nothing above 1.5 kHz, where the top third of the mel bands lies.
    spectrum = np.fft.rfft(loud)
    spectrum[np.fft.rfftfreq(len(loud), 1 / RATE_HZ) > 1500] = 0
    dark = np.fft.irfft(spectrum, len(loud)).astype(np.float32)
    clips = [Clip(one, RATE_HZ) for one in (half, dark)]
    found = measure(Frontend(CELLS), clips, Device(noise_db=-80), responses=".")
    frame = 1 / (seconds * RATE_HZ / CELLS.hop_samples)
    assert found.below[0] == pytest.approx([0.5, 0.5], abs=2 * frame)
    assert found.below[1, 1] == pytest.approx(1, abs=2 * frame)  # the clip begins and ends abruptly
    silent = measure(Frontend(CELLS), clips, Device(noise_db=0), responses=".")
    assert silent.below == pytest.approx(np.ones((2, 2)))


def test_the_order_of_shares_by_hand() -> None:
    # Ranks of d = 0, 0, 1, 1: the correlation is -(1 - 6 * 2 / (4 * 15)) = -0.8. Of 24 orders one
    # has -1, three -0.8 (a swap of neighbours), and as many the opposite signs: 8 of 24.
    below = {"v": 0.1, "w": 0.9, "x": 0.7, "y": 0.5, "unmeasured": 1.0}
    found = Order.of(below, {"w": 0.5, "x": 0.6, "y": 1.3, "v": 1.2})
    assert found.names == ("w", "x", "y", "v")
    assert found.followed == 2
    assert found.correlation == pytest.approx(-0.8)
    assert found.chance == pytest.approx(8 / 24)
    same = Order.of(below, {"w": 0.5, "x": 0.6, "y": 0.7, "v": 0.8})
    assert same.followed == 4
    assert same.correlation == pytest.approx(-1)
