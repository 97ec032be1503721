"""A recording in which the device or the band changes is judged by stretch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic import audio
from anymic.audio import Clip
from anymic.bundle import Bundle
from anymic.bundle.device_changes import with_device_policy
from anymic.data.manifest import Manifest
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.inference.event_formats.rows import COLUMNS, rows_of
from anymic.inference.predictor import Predictor
from anymic.inference.recordings import EventSettings, RecordingEvents, recording_events
from anymic.inference.requests import ClipRequest
from anymic.inference.windowing import End, Window

RATE = 8000
TILT_DB = {"A": 0.0, "B": -9.0}  # per octave


def sound(seed: int, device: str, seconds: float = 1.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    spectrum = np.fft.rfft(generator.standard_normal(round(seconds * RATE)))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(round(seconds * RATE), 1 / RATE), 50) / 1000)
    spectrum *= 10 ** (TILT_DB[device] * octaves / 20)
    samples = np.fft.irfft(spectrum, round(seconds * RATE))
    return np.asarray(0.05 * samples / samples.std(), dtype=np.float32)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("training")
    rows = []
    for seed, device in enumerate(16 * "AB"):
        soundfile.write(folder / f"{seed}.wav", sound(seed, device), RATE, subtype="FLOAT")
        rows.append({"path": f"{seed}.wav", "label": "dog", "device": device})
    return Manifest.from_table(pd.DataFrame(rows), folder)


@pytest.fixture(scope="module")
def identifier(training: Manifest) -> DeviceIdentifier:
    return DeviceIdentifier().fit(training)


@pytest.fixture
def predictor(small_bundle: Bundle, identifier: DeviceIdentifier) -> Predictor:
    bundle = with_device_policy(small_bundle, identifier=identifier)
    return Predictor(bundle, precision="float32", accelerator="cpu")


def changing(*parts: tuple[str, float]) -> Clip:
    every = [sound(100 + row, device, seconds) for row, (device, seconds) in enumerate(parts)]
    return Clip(np.concatenate(every), RATE)


def test_each_stretch_has_the_gains_of_its_device(predictor: Predictor) -> None:
    clip = changing(("A", 40.0), ("B", 60.0), ("A", 25.0))
    found = predictor.predict(clip)
    assert [one.device for one in found.stretches] == ["A", "B", "A"]
    for one, at_s in zip(found.stretches[1:], (40.0, 100.0), strict=True):
        assert one.start_s == pytest.approx(at_s, abs=3.0)
    assert found.stretches[-1].end_s == pytest.approx(125.0)
    assert (found.device, found.device_from) == ("A", "identified")  # 65 s of 125 s
    border = round(found.stretches[1].start_s)
    whole = {name: predictor.predict(clip, device=name) for name in "AB"}
    each = found.window_probabilities
    np.testing.assert_allclose(each[:border], whole["A"].window_probabilities[:border], atol=1e-5)
    own = whole["B"].window_probabilities[border:99]
    np.testing.assert_allclose(each[border:99], own, atol=1e-5)
    assert any("device B, corrected" in note for note in found.notes)


def test_events_have_the_devices_and_notes_of_a_prediction(
    predictor: Predictor, tmp_path: Path
) -> None:
    path = tmp_path / "day.wav"
    samples = changing(("A", 40.0), ("B", 60.0)).samples
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    wanted = predictor.predict(path)
    settings = EventSettings(every_window=True)
    pipeline, bundle = predictor.pipeline, predictor.bundle
    (found,) = recording_events(pipeline, bundle, [ClipRequest(path)], settings)
    assert isinstance(found, RecordingEvents)
    assert RecordingEvents.from_mapping(json.loads(json.dumps(found.as_mapping()))) == found
    assert (found.notes, found.stretches) == (wanted.notes, wanted.stretches)
    for start_s, each, row in zip(
        wanted.window_starts_s, wanted.window_probabilities, rows_of(found), strict=True
    ):
        values = dict(zip(COLUMNS, row, strict=True))
        assert values["probability"] == pytest.approx(each.max(), abs=1e-4)
        assert values["device"] == ("A" if start_s < wanted.stretches[1].start_s else "B")


def test_one_device_is_one_stretch(predictor: Predictor) -> None:
    """Nothing changes: no note, and the answer of a file of which nothing is held."""
    clip = changing(("B", 90.0))
    found = predictor.predict(clip)
    assert found.stretches == ()
    assert found.device == "B"
    stated = predictor.predict(clip, device="B")
    np.testing.assert_array_equal(found.window_probabilities, stated.window_probabilities)
    assert not any(" s: " in note for note in found.notes)


def test_a_short_interruption_is_no_stretch(predictor: Predictor) -> None:
    assert predictor.predict(changing(("A", 40.0), ("B", 4.0), ("A", 40.0))).stretches == ()


def test_silence_changes_nothing(predictor: Predictor) -> None:
    clip = changing(("A", 100.0))
    samples = clip.samples.copy()
    samples[: 20 * RATE] = 0
    samples[50 * RATE : 75 * RATE] = 0
    found = predictor.predict(Clip(samples, RATE))
    assert found.stretches == ()
    assert found.device == "A"
    assert found.windows == 100


def test_windows_are_in_order_and_few_are_held(predictor: Predictor, tmp_path: Path) -> None:
    """Windows are held for about half a minute, whatever the length of the recording."""
    path = tmp_path / "long.wav"
    soundfile.write(path, changing(("A", 60.0), ("B", 120.0)).samples, RATE, subtype="FLOAT")
    selector = predictor.pipeline.gain_selector
    read = 0

    def counted(items: Iterator[Window | End]) -> Iterator[Window | End]:
        nonlocal read
        for item in items:
            read += 1
            yield item

    request, most, starts = ClipRequest(path), 0, []
    for given, item in enumerate(
        selector._stretches.windows(request, counted(selector._open(request)))
    ):
        most = max(most, read - given)
        if isinstance(item, Window):
            starts.append(item.start_s)
            assert item.gains is not None
    assert starts == [float(second) for second in range(180)]
    assert most < 40


def varied(seed: int, device: str, seconds: int) -> np.ndarray:
    """Return seconds of sounds that differ in their spectrum, as a device records them."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(seconds):
        spectrum = np.fft.rfft(generator.standard_normal(RATE))
        octaves = np.log2(np.maximum(np.fft.rfftfreq(RATE, 1 / RATE), 50) / 1000)
        curve_db = (generator.normal(0, 2) + TILT_DB[device]) * octaves
        curve_db += generator.normal(0, 4) * np.cos(2 * octaves) + generator.normal(0, 3)
        found.append(0.002 * np.fft.irfft(spectrum * 10 ** (curve_db / 20), RATE))
    return np.concatenate(found).astype(np.float32)


def test_blind_gains_are_estimated_for_each_stretch(small_bundle: Bundle, tmp_path: Path) -> None:
    """Devices of different responses, of which none is known."""
    rows = []
    for seed in range(40):
        path = tmp_path / f"{seed}.wav"
        soundfile.write(path, varied(seed, "A", 1), RATE, subtype="FLOAT")
        rows.append({"path": path.name, "label": "dog", "device": "A"})
    training = Manifest.from_table(pd.DataFrame(rows), tmp_path)
    trained = replace(small_bundle, fitted_on={"weights": tuple(training.clip_ids())})
    blind = with_device_policy(trained, unknown="blind", training=training)
    predictor = Predictor(blind, precision="float32", accelerator="cpu")
    both = np.concatenate([varied(100, "A", 60), varied(101, "B", 60)])
    found = predictor.predict(Clip(both, RATE))
    assert [one.device_policy for one in found.stretches] == ["blind", "blind"]
    assert found.stretches[1].start_s == pytest.approx(60.0, abs=6.0)
    assert predictor.predict(Clip(varied(102, "B", 120), RATE)).stretches == ()


def test_a_band_that_changes_is_said(predictor: Predictor) -> None:
    wide = changing(("A", 60.0))
    narrow = audio.resample(audio.resample(changing(("A", 60.0)), 4000), RATE)
    found = predictor.predict(
        Clip(np.concatenate([wide.samples, narrow.samples]), RATE), device="A"
    )
    assert [round(one.bandwidth_hz or 0, -3) for one in found.stretches] == [4000, 2000]
    assert found.stretches[1].start_s == pytest.approx(60.0, abs=5.0)
    assert any("in a part of the recording" in note for note in found.notes)
    assert any(re.search(r"bandwidth (1\.9|2\.0) kHz", note) for note in found.notes)
