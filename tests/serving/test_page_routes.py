"""What the page shows of a recording, as plain values."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import soundfile
from tests.serving.service import running

import anymic
from anymic import audio
from anymic.audio import AudioInfo, Clip, DecodedFile
from anymic.bundle import Bundle
from anymic.bundle.device_changes import with_device_policy
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.devices.correction.apply import apply_to_waveform
from anymic.devices.correction.profile import DeviceProfile
from anymic.inference.requests import ClipRequest
from anymic.serving.app import create_app
from anymic.serving.comparing import corrected, equally_loud, gains_of
from anymic.serving.pictures import BANDS, COLUMNS, envelope, features, log_mel
from anymic.serving.profiling import stem
from anymic.serving.served import Service

RATE_HZ = 16000


def sound(seconds: float = 2.0, seed: int = 1, level: float = 0.1) -> Clip:
    samples = np.random.default_rng(seed).normal(0, level, round(seconds * RATE_HZ))
    return Clip(samples.astype(np.float32), RATE_HZ)


def decoded(*clips: Clip) -> DecodedFile:
    frames = sum(len(clip.samples) for clip in clips)
    return DecodedFile(AudioInfo("a.wav", RATE_HZ, 1, frames, frames / RATE_HZ, "WAV"), clips)


def wav(clip: Clip) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, clip.samples, clip.rate_hz, format="WAV", subtype="FLOAT")
    return file.getvalue()


def samples_of(text: str) -> np.ndarray:
    found, _ = soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="float32")
    return np.asarray(found)


def test_the_envelope_has_the_extremes_of_all_samples() -> None:
    samples = sound().samples
    found = envelope(samples)
    assert len(found["low"]) == len(found["high"]) == COLUMNS
    assert min(found["low"]) == pytest.approx(samples.min(), abs=1e-4)
    assert max(found["high"]) == pytest.approx(samples.max(), abs=1e-4)
    assert len(envelope(samples[:7])["low"]) == 7


@pytest.mark.parametrize("hz", [300, 1000, 4000])
def test_a_tone_is_brightest_in_its_band(hz: int) -> None:
    seconds = np.arange(3 * RATE_HZ) / RATE_HZ
    clip = Clip((0.5 * np.sin(2 * np.pi * hz * seconds)).astype(np.float32), RATE_HZ)
    found = log_mel(clip)
    picture = np.frombuffer(base64.b64decode(found["data"]), np.uint8)
    picture = picture.reshape(found["bands"], found["columns"])
    assert found["columns"] <= COLUMNS
    brightest = int(picture[:, 5:-5].mean(axis=1).argmax())
    assert found["hz"][brightest] == pytest.approx(hz, rel=0.08)


def test_a_long_recording_and_one_sample_have_pictures() -> None:
    assert log_mel(sound(70))["columns"] == COLUMNS
    found = features(decoded(Clip(np.ones(1, np.float32), RATE_HZ)), RATE_HZ)
    assert len(base64.b64decode(found["log_mel"]["data"])) == BANDS


def test_both_players_have_one_level_and_no_sample_beyond_full_scale() -> None:
    before, after = sound(level=0.02), sound(seed=2, level=3.0)
    before.samples[0] = 0.9
    first, second, first_db, second_db = equally_loud(before, after)
    levels = [float(np.sqrt(np.mean(one.samples**2.0))) for one in (first, second)]
    assert levels[0] == pytest.approx(levels[1], rel=1e-3)
    assert max(np.abs(one.samples).max() for one in (first, second)) <= 1
    np.testing.assert_allclose(first.samples, before.samples * 10 ** (first_db / 20), rtol=1e-4)
    np.testing.assert_allclose(second.samples, after.samples * 10 ** (second_db / 20), rtol=1e-4)


def test_corrected_is_the_recording_with_the_gains_of_the_profile(golden: Path) -> None:
    predictor = anymic.load(golden / "basic1")
    bundle = predictor.bundle
    assert bundle.profile is not None
    clip = sound()
    found = corrected(predictor, "B", decoded(clip))
    steps = {"fft_size": bundle.profile.fft_size, "hop_samples": bundle.profile.hop_samples}
    wanted = apply_to_waveform(clip, bundle.profile.of("B").factors, **steps).samples
    scaled = samples_of(found["after"]) / 10 ** (found["after_db"] / 20)
    np.testing.assert_allclose(scaled, wanted, atol=1e-4)
    hz, gains_db = bundle.profile.frequencies_hz(), 20 * np.log10(bundle.profile.gains_for("B"))
    np.testing.assert_allclose(
        found["gains"]["gain_db"], np.interp(found["gains"]["hz"], hz, gains_db), atol=0.05
    )


def test_blind_gains_are_those_of_the_prediction(golden: Path, tmp_path: Path) -> None:
    """Of a recording that begins with silence, and is longer than what gains are estimated from."""
    for seed in range(12):
        audio.write(tmp_path / f"{seed}.wav", sound(seed=seed))
    rows = [{"path": f"{seed}.wav", "label": "bus", "device": "A"} for seed in range(12)]
    training = Manifest.from_table(pd.DataFrame(rows), tmp_path)
    bundle = Bundle.load(golden / "basic1")
    fitted = replace(bundle, fitted_on={"weights": tuple(training.clip_ids())})
    blind = with_device_policy(fitted, unknown="blind", training=training)
    predictor = anymic.Predictor(blind)
    silence = Clip(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    recording = decoded(silence, *(sound(1.0, seed, 0.1 + seed / 100) for seed in range(40)))
    found = gains_of(predictor, None, recording).gains_for("this recording")
    (request,) = predictor.pipeline.run([ClipRequest(recording)])
    assert request.gains is not None
    (used,) = request.gains
    assert used is not None
    np.testing.assert_allclose(found, used.cpu().numpy(), rtol=1e-5)


def test_blind_gains_need_the_spectrum_of_the_training_clips(client: httpx.Client) -> None:
    found = client.post("/v1/page/correct", files={"file": ("a.wav", wav(sound()))})
    assert found.status_code == 422
    assert "mean spectrum" in found.json()["expected"]


def test_a_codec_gives_what_codec_apply_gives(client: httpx.Client) -> None:
    clip = sound()
    codec = Codec("mu-law")
    found = client.post(
        "/v1/page/codec",
        files={"file": ("a.wav", wav(clip))},
        data={"codec": codec.name, "kbps": f"{codec.kbps:g}"},
    ).json()
    wanted = codec.apply(clip)
    assert found["measured_kbps"] == pytest.approx(wanted.kbps)
    np.testing.assert_array_equal(samples_of(found["wav"]), wanted.clip.samples)
    listed = client.get("/v1/page/codecs").json()["codecs"]
    assert {one["codec"] for one in listed} >= {"mu-law", "mp3"}


def test_a_codec_that_does_not_exist_is_refused(client: httpx.Client) -> None:
    found = client.post(
        "/v1/page/codec", files={"file": ("a.wav", wav(sound()))}, data={"codec": "tape"}
    )
    assert found.status_code == 422
    assert set(found.json()) == {"problem", "expected", "fix"}


def takes(name: str, count: int, factor: float = 1.0) -> list[tuple[str, tuple[str, bytes]]]:
    clips = [sound(seed=seed) for seed in range(count)]
    return [
        (name, (f"{at:02d}.wav", wav(Clip(clip.samples * np.float32(factor), RATE_HZ))))
        for at, clip in enumerate(clips)
    ]


def test_a_device_that_records_half_the_level_gets_six_decibels(
    client: httpx.Client, tmp_path: Path
) -> None:
    """A file that is no recording, and one without a counterpart, are named; the others count."""
    files = takes("takes", 4, 0.5) + takes("reference", 3)
    files.append(("takes", ("bad.wav", b"this is text, and no recording")))
    found = client.post("/v1/page/profile", files=files, data={"device": "phone"}).json()
    np.testing.assert_allclose(found["gains"]["gain_db"], 20 * np.log10(2), atol=0.1)
    assert found["takes"] == ["00", "01", "02"]
    assert [one["path"] for one in found["failures"]] == ["bad.wav"]
    assert any("03.wav" in note for note in found["notes"])
    assert "/anymic-" not in str(found)  # a folder of the service
    (tmp_path / "p.json").write_text(json.dumps(found["profile"]))
    assert set(DeviceProfile.read(tmp_path / "p.json").devices) == {"phone", "training"}


def test_a_profile_is_tried_and_the_model_keeps_its_devices(
    client: httpx.Client, golden: Path
) -> None:
    """The answer with the profile is that for the recording at the level of the reference."""
    files = takes("takes", 3, 0.25) + takes("reference", 3)
    profile = client.post("/v1/page/profile", files=files, data={"device": "phone"}).json()
    clip = audio.read(golden / "long.flac")
    quiet = Clip(clip.samples * np.float32(0.25), clip.rate_hz)
    body = json.dumps(profile["profile"]).encode()
    sent = {"file": ("a.wav", wav(quiet)), "profile": ("profile.json", body)}
    found = client.post("/v1/page/try", files=sent).json()
    predictor = anymic.load(golden / "basic1")
    for name, source in (("with", clip), ("without", quiet)):
        wanted = predictor.predict(source).probabilities
        close = pytest.approx(wanted, abs=0.02 if name == "with" else 1e-4)
        assert found[name]["probabilities"] == close
    (model, *_) = client.get("/v1/models").json()["models"]
    assert "phone" not in model["devices"]


@pytest.mark.parametrize("content", [b"{}", b"[1, 2", b"\xff\xfe"])
def test_what_is_no_profile_is_refused(client: httpx.Client, content: bytes) -> None:
    sent = {"file": ("a.wav", wav(sound())), "profile": ("profile.json", content)}
    found = client.post("/v1/page/try", files=sent)
    assert found.status_code == 422
    assert "/anymic-" not in found.text


def test_one_profile_is_estimated_at_a_time_and_others_are_answered(golden: Path) -> None:
    """Another one waits, because each holds all of its takes."""
    files, fields = takes("takes", 2) + takes("reference", 2), {"device": "phone"}

    async def ask() -> None:
        service = Service([golden / "basic1"])
        app = create_app(service)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            async with service.profiles:
                sent = client.post("/v1/page/profile", files=files, data=fields)
                waiting = asyncio.create_task(sent)
                file = {"file": ("a.wav", wav(sound()))}
                for _ in range(3):
                    assert (await client.post("/v1/predict", files=file)).status_code == 200
                assert not waiting.done()
            assert (await waiting).status_code == 200

    asyncio.run(ask())


def test_recordings_are_deleted_when_they_are_answered(golden: Path, tmp_path: Path) -> None:
    with (
        running(golden / "basic1", TMPDIR=str(tmp_path)) as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):
        good, bad = {"file": ("a.wav", wav(sound()))}, {"file": ("a.wav", b"no recording")}
        statuses = [client.post("/v1/predict", files=one).status_code for one in (good, bad)]
        files = takes("takes", 2) + takes("reference", 2)
        found = client.post("/v1/page/profile", files=files, data={"device": "phone"})
        assert [*statuses, found.status_code] == [200, 422, 200]
        folders = [*tmp_path.glob("anymic-*")]  # also that of a decoder that starts
        for _ in range(300):  # the last one is deleted after its answer
            left = [*tmp_path.glob("anymic-*/*")]
            if not left:
                break
            time.sleep(0.1)
        assert folders
        assert left == []


def test_a_profile_that_is_too_large_is_not_read(client: httpx.Client) -> None:
    content = b"[" + b"1," * 2_000_000 + b"1]"
    sent = {"file": ("a.wav", wav(sound())), "profile": ("profile.json", content)}
    found = client.post("/v1/page/try", files=sent)
    assert found.status_code == 422
    assert found.json()["problem"] == "the profile has more than 4 MB"


def test_no_other_site_can_embed_the_page(client: httpx.Client) -> None:
    assert client.get("/").headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_takes_without_a_counterpart_are_refused(client: httpx.Client) -> None:
    one = [("takes", ("a.wav", wav(sound()))), ("reference", ("b.wav", wav(sound())))]
    for files in (one, takes("takes", 2)):
        found = client.post("/v1/page/profile", files=files, data={"device": "phone"})
        assert found.status_code == 422
        assert set(found.json()) == {"problem", "expected", "fix"}


@pytest.mark.parametrize("name", ["../../etc/01.wav", "C:\\takes\\01.wav", "/01", "01.m4a"])
def test_a_name_of_a_file_leads_nowhere(name: str) -> None:
    assert stem(name) == "01"
    assert stem("..") == stem("") == "recording"


def test_a_long_name_of_a_take_is_a_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / f"{stem(100 * chr(0x20000))}.wav").touch()  # a letter of four bytes
