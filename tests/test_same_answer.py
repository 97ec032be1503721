"""The same answer everywhere: twenty clips through every way to use a model, one row a way.

The clips have all formats, several rates, one or two channels, and a part of a window to several.
Their devices are stated and known, stated and unknown, or not stated. Ways that take samples get
the decoded ones, at the model's rate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx
import numpy as np
import onnxruntime
import pytest
import soundfile
from playwright.sync_api import Page
from tests.browser import chromium, copy_runtime, opened, served
from tests.closeness import of_commands
from tests.deploy_page import JAVASCRIPT, blocks
from tests.odd_files.writing import coded
from tests.serving.service import running

import anymic
from anymic import audio
from anymic.audio import Clip
from anymic.cli import main

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "basic1"
FLOAT32 = 1e-4
COMMANDS = of_commands(FLOAT32)

Answer: TypeAlias = "dict[str, float]"  # the probability of each label


@dataclass(frozen=True)
class Case:
    """A file, and the device that is stated for it."""

    path: Path
    device: str | None

    @property
    def samples(self) -> np.ndarray:
        """The decoded samples (sample,), float32, at the model's rate."""
        rate_hz = anymic.load(MODEL).bundle.contract.rate_hz
        return audio.read(self.path, rate_hz=rate_hz, channel="mean").samples


# Name, rate in Hz, channels, seconds, device.
FILES = """\
int16.wav         16000 1 1.0 -
int16-stereo.wav  44100 2 2.5 A
int24.wav         48000 1 0.3 B
float.wav         22050 2 1.7 C
float-8k.wav       8000 1 2.0 phone
uint8.wav         11025 1 1.2 B
mono.flac         16000 1 2.5 B
stereo.flac       48000 2 0.7 -
long.flac         32000 1 4.6 C
mono.ogg          16000 1 1.0 phone
stereo.ogg        44100 2 2.2 A
mono.mp3          44100 1 1.4 B
stereo.mp3        48000 2 2.5 -
low.mp3           16000 1 0.5 C
mono.m4a          44100 1 2.0 A
low.m4a           16000 1 1.1 recorder
mono.opus         48000 1 2.5 C
short.opus        48000 1 0.4 -
mono.aiff         24000 1 1.0 A
long.wav          16000 1 5.2 B
""".splitlines()
SUBTYPES = {"int16": "PCM_16", "int24": "PCM_24", "float": "FLOAT", "uint8": "PCM_U8"}


def write(place: Path, rate_hz: int, channels: int, seconds: float) -> None:
    """Write a part of a recording, repeated if need be, in the format of the name's ending."""
    clip = audio.read(GOLDEN / "long.flac")
    repeated = np.tile(clip.samples, 3)[: round(seconds * clip.rate_hz)]
    mono = audio.resample(Clip(repeated, clip.rate_hz), rate_hz).samples
    if place.suffix == ".m4a":
        place.write_bytes(coded("mp4", "aac", mono, rate_hz=rate_hz))
    elif place.suffix == ".opus":
        place.write_bytes(coded("ogg", "libopus", mono, rate_hz=rate_hz))
    else:
        sides = np.stack([mono, 0.4 * mono[::-1]], axis=1) if channels == 2 else mono
        subtype = next((one for key, one in SUBTYPES.items() if key in place.stem), None)
        soundfile.write(place, sides, rate_hz, subtype=subtype)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for name, rate_hz, channels, seconds, device in map(str.split, FILES):
        write(folder / name, int(rate_hz), int(channels), float(seconds))
        found.append(Case(folder / name, None if device == "-" else device))
    return found


@pytest.fixture(scope="module")
def expected(cases: list[Case]) -> list[Answer]:
    """Return the answers of `Predictor` in float32."""
    predictor = anymic.load(MODEL, precision="float32")
    return [predictor.predict(one.path, device=one.device).probabilities for one in cases]


def samples(cases: list[Case], folder: Path) -> Iterator[Answer]:
    predictor = anymic.load(MODEL, precision="float32")
    rate_hz = predictor.bundle.contract.rate_hz
    for one in cases:
        yield predictor.predict(one.samples, rate_hz=rate_hz, device=one.device).probabilities


def command(cases: list[Case], folder: Path) -> Iterator[Answer]:
    """Classify by `anymic predict`, once for each device."""
    found = {}
    for device in sorted({one.device or "" for one in cases}):
        paths = [str(one.path) for one in cases if (one.device or "") == device]
        stated = ["--device", device] if device else []
        with (folder / "out").open("w") as out, pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", out)
            options = ["--model", str(MODEL), *stated, "--top", "3", "--json"]
            assert main(["predict", *paths, *options]) == 0
        for row in json.loads((folder / "out").read_text()):
            found[row["path"]] = {one: float(p) for one, p in row["probabilities"].items()}
    yield from (found[str(one.path)] for one in cases)


def service(cases: list[Case], folder: Path, model: Path = MODEL) -> Iterator[Answer]:
    with running(model) as found, httpx.Client(base_url=found.url, timeout=30) as client:
        for one in cases:
            fields = {"device": one.device} if one.device else {}
            with one.path.open("rb") as file:
                response = client.post("/v1/predict", files={"file": file}, data=fields)
            assert response.status_code == 200, response.text
            yield response.json()["probabilities"]


def service_of_file(cases: list[Case], folder: Path) -> Iterator[Answer]:
    exported(folder)
    yield from service(cases, folder, folder / "model.onnx")


def page(cases: list[Case], folder: Path) -> Iterator[Answer]:
    """Classify by the page of the service, in a browser."""
    with running(MODEL) as found, chromium() as browser, opened(browser) as (tab, errors):
        answers = [page_answer(tab, found.url, one) for one in cases]
    left = ("blob:", "net::ERR_ABORTED")  # a player that was loading when the page was left
    assert [one for one in errors if not (one.startswith(left[0]) and one.endswith(left[1]))] == []
    yield from answers


def page_answer(tab: Page, url: str, case: Case) -> Answer:
    tab.goto(url)
    tab.wait_for_selector("body[data-ready]")
    known = case.device in anymic.load(MODEL).bundle.devices  # the page offers no others
    tab.select_option("#device", case.device if known else "")
    tab.set_input_files("#file", case.path)
    tab.wait_for_selector("#results[data-done]")
    rows = tab.eval_on_selector_all("#labels li", "all => all.map(one => ({...one.dataset}))")
    return {one["label"]: float(one["probability"]) for one in rows}


def stream(cases: list[Case], folder: Path, model: Path = MODEL) -> Iterator[Answer]:
    """Classify by `anymic stream`: the mean over its windows."""
    for one in cases:
        stated = ["--device", one.device] if one.device else []
        with (folder / "out").open("w") as out, pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", out)
            options = [*stated, "--every-window", "--json"]
            assert main(["stream", str(model), str(one.path), *options]) == 0
        rows = [json.loads(line)["probabilities"] for line in (folder / "out").open()]
        yield {label: float(np.mean([row[label] for row in rows])) for label in rows[0]}


def exported(folder: Path) -> tuple[list[str], list[str]]:
    """Write model.onnx, which cuts windows; return its labels and devices."""
    place = folder / "model.onnx"
    assert main(["export", str(MODEL), "--out", str(place), "--windows"]) == 0
    stated = onnxruntime.InferenceSession(place).get_modelmeta().custom_metadata_map
    return json.loads(stated["labels"]), json.loads(stated["devices"])


def number(devices: list[str], device: str | None) -> int:
    return 1 + devices.index(device) if device in devices else 0


def onnx_python(cases: list[Case], folder: Path) -> Iterator[Answer]:
    labels, devices = exported(folder)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    for one in cases:
        device = np.array([number(devices, one.device)])
        inputs = {"samples": one.samples[None], "device": device}
        yield dict(zip(labels, session.run(["probabilities"], inputs)[0][0], strict=True))


def onnx_browser(cases: list[Case], folder: Path) -> Iterator[Answer]:
    """Classify by the JavaScript of docs/deploy.md."""
    labels, devices = exported(folder)
    copy_runtime(folder)
    (folder / "classify.mjs").write_text(blocks("js")[JAVASCRIPT])
    (folder / "index.html").write_text("<!doctype html><link rel=icon href=data:,>")
    for place, one in enumerate(cases):
        one.samples.astype("<f4").tofile(folder / f"{place}.f32")
    numbers = [number(devices, one.device) for one in cases]
    script = """async (numbers) => {
      const {classify} = await import("/classify.mjs");
      const found = [];
      for (const [place, device] of numbers.entries()) {
        const samples = new Float32Array(await (await fetch(`/${place}.f32`)).arrayBuffer());
        found.push(Array.from(await classify(samples, device)));
      }
      return found;
    }"""
    with chromium() as browser, served(folder) as address, opened(browser) as (page, errors):
        page.goto(f"{address}/index.html")
        found: list[list[float]] = page.evaluate(script, numbers)
    assert errors == []
    yield from (dict(zip(labels, one, strict=True)) for one in found)


WAYS: dict[str, tuple[Callable[[list[Case], Path], Iterator[Answer]], float]] = {
    "samples in Python": (samples, FLOAT32),
    "anymic predict": (command, COMMANDS),
    "anymic serve": (service, COMMANDS),
    "anymic serve with an ONNX file": (service_of_file, FLOAT32),
    "the page of the service": (page, COMMANDS),
    "ONNX in Python": (onnx_python, FLOAT32),
    "ONNX in a browser": (onnx_browser, FLOAT32),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_answer_is_the_same(
    way: str, cases: list[Case], expected: list[Answer], tmp_path: Path
) -> None:
    run, tolerance = WAYS[way]
    found = list(run(cases, tmp_path))
    assert len(found) == len(FILES) == 20
    for case, answer, wanted in zip(cases, found, expected, strict=True):
        assert answer == pytest.approx(wanted, abs=tolerance), case.path.name
        assert max(answer, key=answer.__getitem__) == max(wanted, key=wanted.__getitem__)


@pytest.mark.parametrize("form", ["folder", "ONNX"])
def test_the_windows_of_a_stream_are_the_same(form: str, cases: list[Case], tmp_path: Path) -> None:
    """A stream has no end, and each of its windows is calibrated by itself."""
    predictor = anymic.load(MODEL, precision="float32")
    model = MODEL
    if form == "ONNX":
        exported(tmp_path)
        model = tmp_path / "model.onnx"
    for case, answer in zip(cases, stream(cases, tmp_path, model), strict=True):
        windows = predictor.predict(case.path, device=case.device).window_probabilities
        wanted = dict(zip(predictor.labels, np.mean(windows, axis=0).tolist(), strict=True))
        assert answer == pytest.approx(wanted, abs=COMMANDS), case.path.name


def test_devices_and_clips_have_different_answers(expected: list[Answer]) -> None:
    """Otherwise equal answers would show nothing."""
    shares = np.array([list(one.values()) for one in expected])
    distances = np.abs(shares[:, None] - shares[None]).max(axis=2)
    assert np.median(distances) > 100 * FLOAT32
