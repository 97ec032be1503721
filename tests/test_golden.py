"""Models of an earlier day give the answers of that day: see `golden/make.py`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymic import audio
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.bundle import load as load_bundle
from anymic.cli import main
from anymic.data.embeddings import Vectors, read_vectors
from anymic.devices.correction.apply import apply_to_waveform
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.errors import BundleError, DeviceError
from anymic.inference.embedding_head import VectorHead, load_head
from anymic.inference.predictor import Predictor

# Sums of small products are ordered differently with one thread and with two.
pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).resolve().parent / "golden"
MODELS = ("basic1", "fcnn", "ensemble", "tagger")
CLIPS = {"clip": GOLDEN / "clip.flac", "long": GOLDEN / "long.flac"}
TOLERANCE = 1e-5
MOST_BYTES = 400_000


# What opens the files. Where a module moves, its import and these functions change, nothing else.


def open_model(folder: Path) -> Bundle | Ensemble:
    return load_bundle(folder)


def open_head(folder: Path) -> VectorHead:
    return load_head(folder)


def open_vectors(path: Path) -> Vectors:
    return read_vectors(path, labelled=False)


def open_identifier(folder: Path) -> DeviceIdentifier:
    return DeviceIdentifier.load(folder)


def open_profile(path: Path) -> DeviceProfile:
    return DeviceProfile.read(path)


def open_clip(name: str) -> Clip:
    return audio.read(CLIPS[name])


def predict(predictor: Predictor, clip: str, device: str | None) -> dict[str, Any]:
    """Return what a model answers, in the form of `answers.json`."""
    found = predictor.predict(CLIPS[clip], device=device)
    return {
        "device": found.device,
        "device_from": found.device_from,
        "device_policy": found.device_policy,
        "device_probability": found.device_probability,
        "starts_s": list(found.window_starts_s),
        "probabilities": list(found.probabilities.values()),
        "windows": found.window_probabilities.tolist(),
    }


def correct(clip: Clip, profile: DeviceProfile, device: str) -> Clip:
    return apply_to_waveform(
        clip,
        profile.gains_for(device),
        fft_size=profile.fft_size,
        hop_samples=profile.hop_samples,
    )


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
    return found


def same(found: Any, expected: Any, where: str = "") -> None:
    """Compare nested values: numbers within the tolerance, all else exactly."""
    if isinstance(expected, dict):
        assert sorted(found) == sorted(expected), where
        for key, value in expected.items():
            same(found[key], value, f"{where}/{key}")
    elif isinstance(expected, list) and expected and not isinstance(expected[0], str):
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE, err_msg=where)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=0, abs=TOLERANCE), where
    else:
        assert found == expected, where


def same_predictions(name: str, answers: dict[str, Any]) -> None:
    model = open_model(GOLDEN / name)
    assert list(model.labels) == answers[name]["labels"]
    predictor = Predictor(model, precision="float32", accelerator="cpu")
    for clip in CLIPS:
        for device, expected in answers[name][clip].items():
            stated = None if device == "unknown" else device
            same(predict(predictor, clip, stated), expected, f"{name}/{clip}/{device}")


# The answers.


def test_basic1_with_profile_and_calibration_by_device(answers: dict[str, Any]) -> None:
    same_predictions("basic1", answers)


def test_fcnn_that_identifies_devices_and_estimates_blind_gains(answers: dict[str, Any]) -> None:
    same_predictions("fcnn", answers)


def test_calibrated_ensemble_of_three_front_ends(answers: dict[str, Any]) -> None:
    same_predictions("ensemble", answers)


def test_tagger(answers: dict[str, Any]) -> None:
    same_predictions("tagger", answers)


def test_head_on_vectors(answers: dict[str, Any]) -> None:
    head, vectors = open_head(GOLDEN / "head"), open_vectors(GOLDEN / "vectors.npz")
    assert vectors.clips.table["path"].tolist() == answers["head"]["paths"]
    assert list(head.labels) == answers["head"]["labels"]
    same(head.predict(vectors).tolist(), answers["head"]["probabilities"], "head")


def test_identifier(answers: dict[str, Any]) -> None:
    identifier = open_identifier(GOLDEN / "identifier")
    clips = {name: open_clip(name) for name in CLIPS}
    every = {CLIPS[name].name: vars(identifier.identify(clip)) for name, clip in clips.items()}
    every["together"] = vars(identifier.identify_together(list(clips.values())))
    found: dict[str, Any] = {"devices": list(identifier.devices)}
    for name, one in every.items():
        found[name] = {key: value for key, value in one.items() if key != "shares"}
        assert one["shares"] == {}  # clips keep the gains of the named device alone
    same(found, answers["identifier"], "identifier")


def test_profile_and_corrected_clip(answers: dict[str, Any]) -> None:
    expected = answers["profile"]
    profile = open_profile(GOLDEN / "profile.json")
    corrected = correct(open_clip("clip"), profile, expected["device"])
    same(profile.gains_for(expected["device"])[::4].tolist(), expected["gains"], "gains")
    same(corrected.samples[::320].tolist(), expected["corrected"], "corrected")


def test_the_answers_tell_devices_and_clips_apart(answers: dict[str, Any]) -> None:
    """A comparison is worth something only where other gains or clips give other answers."""
    for name in MODELS:
        own = answers[name]
        found = [own["clip"][device]["probabilities"] for device in "ABCQ"]
        found += [one["probabilities"] for one in own["long"].values()]
        distances = np.abs(np.array(found)[:, None] - np.array(found)).max(axis=2)
        distances[-2:, -2:] += np.eye(2)[::-1] * (name == "fcnn")  # it identifies the device
        assert distances[~np.eye(len(found), dtype=bool)].min() > 100 * TOLERANCE, name
        assert max(max(one) for one in found) > 1.05 / len(own["labels"]), name


# The files.


def test_the_files_are_small() -> None:
    sizes = [path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()]
    compiled = [path.stat().st_size for path in GOLDEN.rglob("*.pyc")]
    assert sum(sizes) - sum(compiled) < MOST_BYTES


def test_weights_are_float32() -> None:
    from safetensors.torch import load_file

    for path in GOLDEN.rglob("weights.safetensors"):
        kinds = {str(value.dtype) for value in load_file(path).values()}
        assert kinds <= {"torch.float32", "torch.int64"}, path  # int64: batches that were counted


def test_no_file_names_a_folder_of_the_machine_that_made_it() -> None:
    for path in GOLDEN.rglob("*.json"):
        texts = list(texts_of(json.loads(path.read_text(encoding="utf-8"))))
        assert not [text for text in texts if text.startswith(("/", "~")) or ":\\" in text], path
    for path in GOLDEN.rglob("*.npz"):
        assert all("/" not in name for name in open_vectors(path).clips.table["path"])


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in texts_of(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts_of(one)]
    return [value] if isinstance(value, str) else []


# Other versions of the formats.


def altered(name: str, index: str, out: Path, **changes: Any) -> Path:
    """Copy a golden file or folder and change its index, which has no checksum."""
    source = GOLDEN / name
    if source.is_file():
        place = Path(shutil.copyfile(source, out / name))
        path = place
    else:
        place = Path(shutil.copytree(source, out / name))
        path = place / index
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")
    return place


@pytest.mark.parametrize("name", [*MODELS, "head"])
@pytest.mark.parametrize(("version", "library"), [(0, "0.0.1"), (999, "99.0")])
def test_models_of_another_version_are_refused(
    name: str, version: int, library: str, tmp_path: Path
) -> None:
    index = "head.json" if name == "head" else "bundle.json"
    folder = altered(name, index, tmp_path, version=version, library=library)
    with pytest.raises(BundleError) as caught:
        (open_head if name == "head" else open_model)(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert f"has version {version}, written by anymic {library}. Expected version 1" in line
    assert f"Install anymic {library}, which wrote it" in line


@pytest.mark.parametrize(("version", "age"), [(0, "an older"), (999, "a newer")])
def test_devices_of_another_version_are_refused(version: int, age: str, tmp_path: Path) -> None:
    profile = altered("profile.json", "", tmp_path, version=version)
    identifier = altered("identifier", "identifier.json", tmp_path, version=version)
    for opened, place in ((open_profile, profile), (open_identifier, identifier)):
        with pytest.raises(DeviceError) as caught:
            opened(place)
        line = str(caught.value)
        assert "\n" not in line
        assert f"version {version}" in line
        assert f"Install {age} anymic than this one" in line


@pytest.mark.parametrize("part", ["identifier", "spectrum"])
def test_a_model_with_a_part_of_another_version_is_refused(part: str, tmp_path: Path) -> None:
    own = json.loads((GOLDEN / "fcnn" / "bundle.json").read_text(encoding="utf-8"))[part]
    folder = altered("fcnn", "bundle.json", tmp_path, **{part: {**own, "version": 999}})
    with pytest.raises(BundleError, match=r"version 999\. Expected .* version \d") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)


def test_a_head_of_another_format_is_refused(tmp_path: Path) -> None:
    folder = altered("head", "head.json", tmp_path, format="anymic-bundle")
    with pytest.raises(BundleError, match=r"not the index of a head\. Expected .*anymic-head"):
        open_head(folder)


def test_a_head_is_written_with_its_version(tmp_path: Path) -> None:
    """The golden head is older than the version in the index, and counts as version 1."""
    head = open_head(GOLDEN / "head")
    assert "version" not in json.loads((GOLDEN / "head" / "head.json").read_text())
    index = json.loads((head.save(tmp_path / "head") / "head.json").read_text())
    assert index["version"] == 1
    vectors = open_vectors(GOLDEN / "vectors.npz")
    again = open_head(tmp_path / "head")
    np.testing.assert_array_equal(again.predict(vectors), head.predict(vectors))


# The command line, which may compute in bfloat16: hence another tolerance.


def run_json(arguments: list[object], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", MODELS)
def test_predict_on_the_command_line(
    name: str, answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "predict",
        *CLIPS.values(),
        "--model",
        GOLDEN / name,
        "--device",
        "C",
        "--every-window",
    ]
    rows = run_json(command, capsys)
    assert [row["path"] for row in rows] == [str(path) for path in CLIPS.values()]
    for row, clip in zip(rows, CLIPS, strict=True):
        expected = answers[name][clip]["C"]
        assert (row["device"], row["device_policy"]) == ("C", expected["device_policy"])
        assert list(row["probabilities"]) == answers[name]["labels"]
        found = list(row["probabilities"].values())
        assert found == pytest.approx(expected["probabilities"], abs=0.05)
        assert [one["start_s"] for one in row["each_window"]] == expected["starts_s"]


def test_head_on_the_command_line(
    answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run_json(["predict", GOLDEN / "vectors.npz", "--model", GOLDEN / "head"], capsys)
    assert [row["path"] for row in rows] == answers["head"]["paths"]
    found = [list(row["probabilities"].values()) for row in rows]
    np.testing.assert_allclose(found, answers["head"]["probabilities"], rtol=0, atol=TOLERANCE)


def test_identifier_and_profile_on_the_command_line(
    answers: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identify = ["devices", "identify", *CLIPS.values(), "--identifier", GOLDEN / "identifier"]
    for row in run_json(identify, capsys):
        same(row, {**answers["identifier"][Path(row["path"]).name], "path": row["path"]})
    out = tmp_path / "corrected.wav"
    command = ["correct", CLIPS["clip"], "--profile", GOLDEN / "profile.json", "--device", "C"]
    run_json([*command, "--out", out], capsys)
    same(audio.read(out).samples[::320].tolist(), answers["profile"]["corrected"], "corrected")
