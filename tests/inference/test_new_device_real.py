"""Gains of real recordings: through a measured microphone, and by microphones around a kit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
import torch

import anymic
from anymic import audio
from anymic.bundle import Bundle, InputContract
from anymic.features import Frontend, FrontendConfig

RATE_HZ = 44100
TAKES = 12


@pytest.fixture
def plain(small_bundle: Bundle) -> Bundle:
    """Return a model for 44.1 kHz, without a profile."""
    config = FrontendConfig(rate_hz=RATE_HZ, fft_size=2048, hop_samples=512, bands=32)
    contract = InputContract(rate_hz=RATE_HZ, clip_s=1.0)
    return replace(small_bundle, profile=None, frontend=Frontend(config), contract=contract)


def test_twelve_takes_give_the_inverse_of_a_measured_response(
    plain: Bundle, shared_data: Path, tmp_path: Path
) -> None:
    impulse, rate_hz = soundfile.read(shared_data / "micirp" / "IR_Shure510C.wav", always_2d=True)
    assert rate_hz == RATE_HZ
    response = np.abs(np.fft.rfft(impulse[:, 0], 8192))
    table = pd.read_csv(shared_data / "ESC-50" / "meta" / "esc50.csv")
    names = table[table.fold == 3].groupby("category").head(2).filename[:TAKES]
    generator = np.random.default_rng(0)
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    lags_s = {}
    for take, name in enumerate(names):
        sound = audio.read(shared_data / "ESC-50" / "audio" / name).samples / 2
        late = int(generator.uniform(0.3, 3) * RATE_HZ) if take % 3 == 0 else 0
        through = scipy.signal.fftconvolve(sound, impulse[:, 0] / response[186])[: len(sound)]
        through = np.concatenate([np.zeros(late), through])
        through += 5e-5 * generator.standard_normal(len(through))
        lags_s[f"{take:02}.wav"] = late / RATE_HZ
        soundfile.write(tmp_path / "old" / f"{take:02}.wav", sound, RATE_HZ, subtype="FLOAT")
        soundfile.write(
            tmp_path / "new" / f"{take:02}.wav", through.astype(np.float32), RATE_HZ, "FLOAT"
        )
    added = anymic.add_device(plain, "B", takes=tmp_path / "new", reference_takes=tmp_path / "old")
    assert added.failures == ()
    assert any(note.startswith("4 recordings are late, and shifted") for note in added.notes)
    profile = added.model.profile
    assert profile is not None
    hz = profile.frequencies_hz()
    nearest = (hz / RATE_HZ * 8192).round().astype(int)
    error_db = np.abs(20 * np.log10(profile.gains_for("B") * response[nearest] / response[186]))
    for low, high in ((100, 1000), (1000, 5000)):
        used = (hz >= low) & (hz < high)
        assert np.median(error_db[used]) < 0.2
        assert np.quantile(error_db[used], 0.9) < 0.5
    # Other sounds: subtraction brings the features of most of them nearer to the reference's.
    subtracts = added.model.frontend  # type: ignore[union-attr]
    keeps = Frontend(subtracts.config, device_gains={"B": profile.gains_for("B")})
    far: list[list[float]] = []
    for name in table[table.fold == 4].filename[::5]:
        sound = audio.read(shared_data / "ESC-50" / "audio" / name).samples / 2
        through = scipy.signal.fftconvolve(sound, impulse[:, 0] / response[186])[: len(sound)]
        through += 5e-5 * generator.standard_normal(len(through))
        wanted = subtracts.log_mel(torch.from_numpy(sound)[None])
        found = [
            one.log_mel(torch.from_numpy(through).float()[None], one.device_index(["B"]))
            for one in (subtracts, keeps)
        ]
        far.append([float((one - wanted).abs().mean()) for one in found])
    less, more = np.array(far).T
    assert np.mean(less < more) > 0.5
    assert np.median(less) < 0.8 * np.median(more)


def test_real_microphones_at_one_moment_are_takes(plain: Bundle, shared_data: Path) -> None:
    """Each drum is nearest to another microphone: lags are below a window, none is shifted."""
    folder = shared_data / "drums-9-microphones"
    if not folder.is_dir():
        pytest.skip("the drums are not on this machine")
    table = pd.read_csv(folder / "manifest.csv")
    chosen = table[table["take"].isin(table["take"].unique()[::20][:TAKES])]
    chosen = chosen[chosen["device"].isin(["OHL", "AmbL", "Snare_top"])]
    clips = anymic.Manifest.from_table(chosen, folder)
    added = anymic.add_device(plain, takes=clips, reference="OHL")
    assert {one.device for one in added.devices} == {"AmbL", "Snare_top"}
    assert not any("late" in note for note in added.notes)
    assert len(added.failures) <= 2
    for one in added.devices:  # position and microphone differ, and so does each drum
        assert one.recordings >= TAKES - 2
        assert one.spread_db is not None
        assert one.spread_db > 1
