"""The page of the service in a real browser, by mouse, by keyboard and by microphone.

The answer is read from `#answer` (data-label, data-probability, data-device, data-device-from,
data-device-policy) and `#labels li` (data-label, data-probability), in full precision.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page
from tests.browser import chromium, opened
from tests.serving.service import Running, running

import anymic
from anymic import audio
from anymic.audio import Clip
from anymic.codecs import Codec

REFUSED = "Failed to load resource: the server responded with a status of 422"


@contextmanager
def page_of(service: Running, browser: Browser, **options: Any) -> Iterator[Page]:
    """Open the page; afterwards there was no error, and no request left this machine."""
    with opened(browser, **options) as (page, errors):
        addresses: list[str] = []
        page.on("request", lambda one: addresses.append(one.url))
        page.set_default_timeout(20_000)
        page.goto(service.url)
        page.wait_for_selector("body[data-ready]")
        yield page
        aborted = ("predict", "page/features", "page/correct")  # requests that the page cancels
        allowed = (REFUSED, *(f"{service.url}/v1/{one}: net::ERR_ABORTED" for one in aborted))
        assert [one for one in errors if not one.startswith(allowed)] == []
        local = (service.url, "blob:" + service.url)
        assert [one for one in addresses if not one.startswith(local)] == []


def classify(page: Page, file: Path | dict[str, Any], *, device: str = "") -> None:
    page.select_option("#device", device)
    page.set_input_files("#file", file)  # type: ignore[arg-type]
    name = file["name"] if isinstance(file, dict) else file.name
    page.wait_for_function("name => document.querySelector('#results').dataset.done === name",
                           arg=name)  # fmt: skip


def data(page: Page, selector: str) -> dict[str, str]:
    found: dict[str, str] = page.eval_on_selector(selector, "one => ({...one.dataset})")
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return Chromium with a fake microphone that records noise up to 3 kHz, in place of any."""
    noise = np.random.default_rng(4).normal(size=20 * 48000)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / 48000) > 3000] = 0
    samples = np.fft.irfft(spectrum)
    file = tmp_path_factory.mktemp("microphone") / "noise.wav"
    clip = Clip((0.5 * samples / np.abs(samples).max()).astype(np.float32), 48000)
    audio.write(file, clip, subtype="PCM_16")
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(*flags, f"--use-file-for-fake-audio-capture={file}") as found:
        yield found


@pytest.fixture(scope="module")
def predictor(golden: Path) -> anymic.Predictor:
    return anymic.load(golden / "basic1")


@pytest.mark.parametrize("name", ["clip.flac", "long.flac"])
def test_the_page_has_the_answer_of_the_predictor(
    service: Running, browser: Browser, golden: Path, predictor: anymic.Predictor, name: str
) -> None:
    wanted = predictor.predict(golden / name, device="B")
    with page_of(service, browser) as page:
        classify(page, golden / name, device="B")
        found = data(page, "#answer")
        assert found["label"] == wanted.label
        assert float(found["probability"]) == pytest.approx(wanted.probability, abs=1e-4)
        assert (found["device"], found["deviceFrom"]) == ("B", "stated")
        assert found["devicePolicy"] == wanted.device_policy == "profile"
        rows: list[dict[str, str]] = page.eval_on_selector_all(
            "#labels li", "all => all.map(one => ({...one.dataset}))"
        )
        shares = {one["label"]: float(one["probability"]) for one in rows}
        assert shares == pytest.approx(wanted.probabilities, abs=1e-4)
        assert page.locator("#timeline rect").count() == wanted.windows
        assert page.locator("#timeline-table tbody tr").count() == wanted.windows
        assert page.locator("#waveform svg, #spectrogram canvas, #gains svg").count() == 3


def test_not_sure_below_the_threshold_and_unknown_device(
    service: Running, browser: Browser, golden: Path, predictor: anymic.Predictor
) -> None:
    wanted = predictor.predict(golden / "clip.flac")
    with page_of(service, browser) as page:
        classify(page, golden / "clip.flac")
        page.fill("#threshold", "0")
        assert page.inner_text("#answer") == wanted.label
        page.fill("#threshold", "100")
        assert page.inner_text("#answer") == "Not sure"
        assert float(data(page, "#answer")["probability"]) == pytest.approx(wanted.probability)
        assert "unknown" in page.inner_text("#device-line")
        assert page.is_hidden("#correction")


def test_before_and_after_play_and_a_codec_classifies(
    service: Running, browser: Browser, golden: Path, predictor: anymic.Predictor
) -> None:
    codec = Codec("mu-law")
    coded = codec.apply(audio.read(golden / "long.flac")).clip
    wanted = predictor.predict(coded, device="B")
    with page_of(service, browser) as page:
        classify(page, golden / "long.flac", device="B")
        page.select_option("#codec", "mu-law")
        page.click("#encode")
        page.wait_for_selector("#codec-result:not([hidden])")
        found = data(page, "#codec-result")
        assert found["label"] == wanted.label
        assert float(found["probability"]) == pytest.approx(wanted.probability, abs=1e-4)
        for player in ("before", "after", "coded"):
            page.wait_for_function(f"() => document.querySelector('#{player}').duration > 0")
            seconds = page.eval_on_selector(f"#{player}", "one => one.duration")
            assert seconds == pytest.approx(2.5, abs=0.01)
        page.eval_on_selector("#after", "one => one.play()")
        page.wait_for_function("() => document.querySelector('#after').currentTime > 0.05")


def test_an_error_has_three_parts_and_names_are_text(
    service: Running, browser: Browser, golden: Path
) -> None:
    with page_of(service, browser) as page:
        text = {"name": "notes.wav", "mimeType": "audio/wav", "buffer": b"no recording at all"}
        page.set_input_files("#file", text)  # type: ignore[arg-type]
        page.wait_for_selector("#error .problem")
        parts = [page.inner_text(f"#error .{name}") for name in ("problem", "expected", "fix")]
        assert "notes.wav" in parts[0]
        assert all(parts)
        assert page.is_hidden("#results")
        name = "<img src=x onerror=alert(1)>.flac"
        content = (golden / "clip.flac").read_bytes()
        classify(page, {"name": name, "mimeType": "audio/flac", "buffer": content})
        assert page.inner_text("#recording-name") == name
        assert page.inner_text("#error") == ""


def test_a_request_aborted_while_its_body_arrives_is_no_error(
    service: Running, browser: Browser
) -> None:
    script = """async (status) => {
        const { post } = await import("/page/api.js");
        const controller = new AbortController();
        const { signal } = controller;
        const start = (body) => signal.addEventListener("abort", () => body.error(signal.reason));
        window.fetch = async () => new Response(new ReadableStream({ start }), { status });
        const answer = post("/v1/predict", {}, signal);
        setTimeout(() => controller.abort());
        return await answer.then(() => "an answer", (error) => error.name);
    }"""
    with page_of(service, browser) as page:
        assert [page.evaluate(script, status) for status in (200, 422)] == ["AbortError"] * 2


def test_the_keyboard_is_enough(service: Running, browser: Browser, golden: Path) -> None:
    def focused() -> str:
        found: str = page.evaluate("document.activeElement.id")
        return found

    def tab_to(name: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if focused() == name:
                outline = page.eval_on_selector(f"#{name}", "one => getComputedStyle(one).outline")
                assert "solid" in outline
                return
        raise AssertionError(f"{name} is not reached")

    with page_of(service, browser) as page:
        tab_to("model")
        tab_to("tab-classify")
        tab_to("choose")
        page.evaluate("() => { document.querySelector('#file').onclick = "
                      "event => { event.target.dataset.opened = 'true'; } }")  # fmt: skip
        page.keyboard.press("Enter")  # the browser opens its dialog
        assert data(page, "#file") == {"opened": "true"}
        page.set_input_files("#file", golden / "long.flac")
        page.wait_for_selector("#results[data-done]")
        tab_to("device")
        page.keyboard.press("B")
        page.wait_for_function("() => document.querySelector('#answer').dataset.device === 'B'")
        tab_to("threshold")
        page.keyboard.press("End")
        assert page.inner_text("#answer") == "Not sure"
        page.wait_for_selector("#correction:not([hidden])")
        tab_to("before")
        tab_to("after")
        tab_to("codec")
        tab_to("kbps")
        page.keyboard.press("ArrowRight")
        tab_to("encode")
        page.keyboard.press("Enter")
        page.wait_for_selector("#codec-result:not([hidden])")
        page.focus("#tab-classify")
        page.keyboard.press("ArrowRight")
        assert focused() == "tab-profile"
        assert page.is_visible("#profile")
        assert page.is_hidden("#classify")
        tab_to("profile-device")


RECORDED = """async () => {
  const { record } = await import('/page/recorder.js');
  const { file } = await record(1, () => {}, () => {});
  const bytes = new Uint8Array(await (await file).arrayBuffer());
  return btoa(Array.from(bytes, one => String.fromCharCode(one)).join(''));
}"""


def test_the_microphone(service: Running, browser: Browser) -> None:
    """Chromium's fake microphone records noise up to 3 kHz."""
    with page_of(service, browser) as page:
        page.select_option("#seconds", "3")
        page.click("#record")
        page.wait_for_function("() => document.querySelector('#level').value > -40")
        assert page.inner_text("#record") == "Stop"
        page.wait_for_selector("#results[data-done='microphone.wav']")
        assert page.inner_text("#record") == "Record"
        assert page.inner_text("#facts dd >> nth=0") == "3.00 s"
        assert float(data(page, "#answer")["probability"]) > 0
        encoded = page.evaluate(RECORDED)
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(encoded)))
    assert len(samples) == rate_hz
    power = np.abs(np.fft.rfft(samples)) ** 2
    assert power[3100:].sum() < 0.05 * power.sum()  # a bin is 1 Hz; white noise has 86 %


def test_a_profile_from_takes_to_a_try(
    service: Running, browser: Browser, predictor: anymic.Predictor, tmp_path: Path
) -> None:
    """A device with half the level, 0.2 s late in one take: gains of 6 dB, and a lag of 200 ms."""
    generator = np.random.default_rng(5)
    for number in range(3):
        samples = generator.normal(0, 0.1, 32000).astype(np.float32)
        late = np.zeros(3200 if number == 1 else 0, np.float32)
        for device, clip in (("rec", samples), ("new", np.concatenate([late, samples / 2]))):
            (tmp_path / device).mkdir(exist_ok=True)
            audio.write(tmp_path / device / f"{number}.wav", Clip(clip, 16000))
    takes, others = (sorted((tmp_path / name).iterdir()) for name in ("new", "rec"))
    without = predictor.predict(takes[0])
    with page_of(service, browser) as page:
        page.click("#tab-profile")
        page.fill("#profile-device", "earbud")
        page.set_input_files("#takes", takes)
        page.set_input_files("#reference", others)
        assert "3 with a counterpart" in page.inner_text("#takes-list")
        page.click("#estimate")
        page.wait_for_selector("#profile-results:not([hidden])")
        assert "earbud is 200 ms late" in page.inner_text("#lags tbody tr >> nth=1")
        label = page.get_attribute("#profile-gains svg", "aria-label") or ""
        assert "+6.0 dB at 1 kHz" in label
        with page.expect_download() as download:
            page.click("#download")
        download.value.save_as(tmp_path / "profile.json")
        assert "earbud" in json.loads((tmp_path / "profile.json").read_text())["devices"]
        page.set_input_files("#try", takes[0])
        page.wait_for_selector("#try-table table")
        found = data(page, "#try-table")
        assert float(found["without"]) == pytest.approx(without.probability, abs=1e-4)
        wanted = predictor.predict(others[0]).probability
        assert float(found["with"]) == pytest.approx(wanted, abs=0.02)


def test_a_token_is_asked_for(browser: Browser, golden: Path) -> None:
    token = "0123456789abcdef"
    with (
        running(golden / "basic1", ANYMIC_TOKEN=token) as service,
        opened(browser) as (page, errors),
    ):
        page.set_default_timeout(20_000)
        page.goto(service.url)
        page.wait_for_selector("#token-form:not([hidden])")
        assert page.inner_text("#error .problem") == "This service needs a token."
        page.fill("#token", "another")
        page.press("#token", "Enter")
        page.wait_for_selector("text=This is not the token of the service.")
        page.fill("#token", token)
        page.press("#token", "Enter")
        page.wait_for_selector("body[data-ready]")
        assert page.is_hidden("#token-form")
        classify(page, golden / "clip.flac")
        assert data(page, "#answer")["label"]
        stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        assert token not in page.evaluate(stored)
    assert [one for one in errors if "status of 401" not in one] == []


NAMELESS = """() => [...document.querySelectorAll(
  'button, input, select, meter, audio, a, summary, textarea, [role=region], [role=img]')]
  .filter(one => ![one.getAttribute('aria-label'), one.textContent,
    document.getElementById(one.getAttribute('aria-labelledby'))?.textContent,
    ...[...(one.labels ?? [])].map(each => each.textContent)].some(text => text?.trim()))
  .map(one => one.outerHTML)"""
HEADINGS = "() => [...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.tagName[1])"
PALE = """() => {
  const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')].filter(one => one.checkVisibility() && !one.disabled
      && [...one.childNodes].some(child => child.nodeType === 3 && child.data.trim()))
    .map(one => {
      const style = getComputedStyle(one), svg = one instanceof SVGElement;
      const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(one))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.outerHTML.slice(0, 120)];
    }).filter(([ratio]) => ratio < 4.5);
}"""  # noqa: E501


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_headings_contrast_and_a_phone(
    service: Running, browser: Browser, golden: Path, scheme: str
) -> None:
    size = {"width": 360, "height": 740}
    with page_of(service, browser, viewport=size, color_scheme=scheme) as page:
        classify(page, golden / "long.flac", device="B")
        page.click("#encode")
        page.wait_for_selector("#codec-result:not([hidden])")
        for tab in ("classify", "profile"):
            page.click(f"#tab-{tab}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            assert page.evaluate(PALE) == []
        assert page.evaluate(NAMELESS) == []
        levels = page.evaluate(HEADINGS)
        assert levels.count(1) == 1
        assert all(level <= before + 1 for before, level in pairwise(levels))
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") < "rgb(2"
        assert dark == (scheme == "dark")
