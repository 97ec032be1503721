"""The page with models of every kind: one that identifies devices, several labels, an int8 file.

In colours of day and night, on a wide and on a narrow screen, with a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.browser import chromium, opened
from tests.serving.service import Running, running
from tests.serving.test_page import classify, data

import anymic
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.inference.files import predict_files
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.prediction import Prediction

TOKEN = "0123456789abcdef"
SCREENS = [("light", 1200), ("dark", 1200), ("light", 360), ("dark", 360)]


@pytest.fixture(scope="module")
def folder(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model of several labels a clip, and an int8 file."""
    place = tmp_path_factory.mktemp("models")
    several = replace(Bundle.load(golden / "basic1").uncalibrated(), targets="several")
    several.save(place / "several")
    rows = [f"{golden / name},park,B,train\n" for name in ("clip.flac", "long.flac")]
    (place / "clips.csv").write_text("path,label,device,split\n" + "".join(rows))
    options = ["--quantize", "int8", "--data", str(place / "clips.csv"), "--windows"]
    assert main(["export", str(golden / "basic1"), "--out", str(place / "i8.onnx"), *options]) == 0
    return place


@pytest.fixture(scope="module")
def service(golden: Path, folder: Path) -> Iterator[Running]:
    models = (golden / "fcnn", folder / "several", folder / "i8.onnx")
    with running(*models, ANYMIC_TOKEN=TOKEN) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@contextmanager
def page_of(
    service: Running, browser: Browser, model: str, screen: tuple[str, int]
) -> Iterator[Page]:
    """Open the page with the token, and choose a model; afterwards there was no other error."""
    scheme, width = screen
    size = {"width": width, "height": 800}
    with opened(browser, viewport=size, color_scheme=scheme) as (page, errors):
        page.set_default_timeout(60_000)
        page.goto(service.url)
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_selector("body[data-ready]")
        page.select_option("#model", model)
        yield page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [one for one in errors if "status of 401" not in one] == []


@pytest.mark.parametrize("screen", SCREENS)
def test_an_identified_device(
    service: Running, browser: Browser, golden: Path, screen: tuple[str, int]
) -> None:
    wanted = anymic.load(golden / "fcnn").predict(golden / "clip.flac")
    assert wanted.device_probability is not None
    with page_of(service, browser, "fcnn", screen) as page:
        classify(page, golden / "clip.flac")
        found = data(page, "#answer")
        assert (
            (found["device"], found["deviceFrom"])
            == (wanted.device, "identified")
            == ("B", "identified")
        )
        assert float(found["probability"]) == pytest.approx(wanted.probability, abs=1e-4)
        line = page.inner_text("#device-line")
        assert f"(identified, probability {100 * wanted.device_probability:.1f}\u00a0%" in line
        assert page.is_visible("#correction")  # its gains, and the recording before and after
        assert page.locator("#gains svg").count() == 1


@pytest.mark.parametrize("screen", SCREENS[::3])
def test_several_labels_a_clip(
    service: Running, browser: Browser, golden: Path, folder: Path, screen: tuple[str, int]
) -> None:
    wanted = anymic.load(folder / "several").predict(golden / "clip.flac", device="B")
    with page_of(service, browser, "several", screen) as page:
        classify(page, golden / "clip.flac", device="B")
        assert page.inner_text("#answer") == (", ".join(wanted.labels) or "None of the labels")
        assert "each has its own threshold" in page.inner_text("#confidence")
        assert page.is_hidden("#threshold")  # that of a single label


@pytest.mark.parametrize("screen", SCREENS[1:3])
def test_an_int8_file(
    service: Running, browser: Browser, golden: Path, folder: Path, screen: tuple[str, int]
) -> None:
    (wanted,) = predict_files(OnnxModel(folder / "i8.onnx"), [golden / "long.flac"], device="B")[1]
    assert isinstance(wanted, Prediction)
    with page_of(service, browser, "i8.onnx", screen) as page:
        classify(page, golden / "long.flac", device="B")
        found = data(page, "#answer")
        assert found["label"] == wanted.label
        assert float(found["probability"]) == pytest.approx(wanted.probability, abs=1e-4)
        assert found["devicePolicy"] == "profile"
        assert "a file without gains to show" in page.inner_text("#correction-text")
        assert page.is_hidden("#correction")
        assert page.locator("#timeline rect").count() == wanted.windows
