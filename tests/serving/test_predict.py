"""The service gives the answers of `Predictor`, whichever way a recording is sent."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from tests.serving.service import running

import anymic
from anymic import audio
from anymic.cli import main
from anymic.inference.files import predict_files
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.prediction import Prediction
from anymic.inference.prediction_rows import as_mapping


@pytest.fixture(scope="module")
def predictor(golden: Path) -> anymic.Predictor:
    return anymic.load(golden / "basic1")


def answer_of(response: httpx.Response) -> dict[str, object]:
    assert response.status_code == 200, response.text
    found: dict[str, object] = response.json()
    del found["path"]
    return found


def expected(predictor: anymic.Predictor, source: Path, **options: int) -> dict[str, object]:
    wanted = as_mapping(predictor.predict(source, device="B"), **options)  # type: ignore[arg-type]
    del wanted["path"]
    return {"model": "basic1", **wanted, "notes": list(wanted["notes"])}


@pytest.mark.parametrize("name", ["clip.flac", "long.flac"])
def test_a_form_and_a_body_have_the_answer_of_the_file(
    client: httpx.Client, golden: Path, predictor: anymic.Predictor, name: str
) -> None:
    wanted = expected(predictor, golden / name, windows=True, top=2)
    fields = {"device": "B", "windows": "true", "top": "2"}
    data = (golden / name).read_bytes()
    form = client.post("/v1/predict", files={"file": (name, data)}, data=fields)
    body = client.post(
        "/v1/predict", content=data, params=fields, headers={"Content-Type": "audio/flac"}
    )
    assert form.json()["path"] == name
    close(answer_of(form), wanted)
    close(answer_of(body), wanted)


def test_another_rate_and_channels(
    client: httpx.Client, golden: Path, predictor: anymic.Predictor, tmp_path: Path
) -> None:
    """Notes say what was done, in the words of `anymic predict`."""
    clip = audio.resample(audio.read(golden / "long.flac"), 44100)
    soundfile.write(tmp_path / "stereo.wav", np.stack([clip.samples, 0.5 * clip.samples], 1), 44100)
    wanted = expected(predictor, tmp_path / "stereo.wav")
    assert wanted["notes"]
    with (tmp_path / "stereo.wav").open("rb") as file:
        found = client.post("/v1/predict", files={"file": file}, data={"device": "B"})
    close(answer_of(found), wanted)


@pytest.mark.parametrize(("encoding", "dtype"), [("s16le", "<i2"), ("f32le", "<f4")])
def test_raw_samples(
    client: httpx.Client,
    golden: Path,
    predictor: anymic.Predictor,
    tmp_path: Path,
    encoding: str,
    dtype: str,
) -> None:
    samples, rate_hz = soundfile.read(
        golden / "clip.flac", dtype=dtype.replace("<i2", "int16").replace("<f4", "float32")
    )
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, rate_hz, subtype="PCM_16" if dtype == "<i2" else "FLOAT")
    fields = {"device": "B", "encoding": encoding, "rate_hz": str(rate_hz)}
    data = samples.astype(dtype).tobytes()
    body = client.post(
        "/v1/predict", content=data, params=fields, headers={"Content-Type": "audio/pcm"}
    )
    form = client.post("/v1/predict", files={"file": io.BytesIO(data)}, data=fields)
    for found in (body, form):
        close(answer_of(found), expected(predictor, path))


def close(found: object, wanted: object) -> None:
    """Compare nested values; floating numbers to 1e-6."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict)
        assert list(found) == list(wanted)
        for key in wanted:
            close(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert isinstance(found, list)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            close(one, other)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, abs=1e-6)
    else:
        assert found == wanted


def test_an_exported_file_classifies_and_refuses_the_rest(golden: Path, tmp_path: Path) -> None:
    """Its gains are inside, so that only the folder of a model can correct a recording."""
    place = tmp_path / "small.onnx"
    options = ("--quantize", "dynamic")
    assert main(["export", str(golden / "basic1"), "--out", str(place), *options]) == 0
    clip = (golden / "clip.flac").read_bytes()
    with running(place) as found, httpx.Client(base_url=found.url, timeout=30) as client:
        (facts,) = client.get("/v1/models").json()["models"]
        assert (facts["name"], facts["form"]) == ("small.onnx", "onnx")
        assert facts["devices"] == ["A", "B", "C"]
        files, fields = {"file": ("a.flac", clip)}, {"device": "B", "windows": "1", "events": "1"}
        answer = client.post("/v1/predict", files=files, data=fields).json()
        assert answer["device_policy"] == "profile"
        assert len(answer["each_window"]) == answer["windows"]
        refused = client.post("/v1/correct", files=files, data={"device": "B"})
    assert refused.status_code == 422
    assert "is an ONNX file" in refused.json()["problem"]
    (expected,) = predict_files(OnnxModel(place), [golden / "clip.flac"], device="B")[1]
    assert isinstance(expected, Prediction)
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
