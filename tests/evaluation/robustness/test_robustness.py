"""Laws of the robustness report: no change means no loss, and comparisons are in pairs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic import audio
from anymic.bundle import Bundle
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.simulate import simulate
from anymic.errors import AnymicError, ConfigError, ManifestError
from anymic.evaluation.report import read_json
from anymic.evaluation.robustness import Robustness, draw_clips, robustness
from anymic.inference.predictor import Predictor
from anymic.metrics import paired_difference

MU_LAW = Codec("mu-law")


@pytest.fixture
def predictor(small_bundle: Bundle) -> Predictor:
    return Predictor(small_bundle, precision="float32")


def numbers(findings: Robustness) -> dict[str, NDArray[np.float64]]:
    return {
        condition.name: findings.probabilities[number]
        for number, condition in enumerate(findings.conditions)
    }


def test_identity_and_lossless_are_clean(
    predictor: Predictor, clips: Manifest, microphones: DeviceSet
) -> None:
    only_flat = replace(microphones, devices={"flat": microphones.devices["flat"]})
    findings = robustness(predictor, clips, devices=only_flat, codecs=[Codec("wav")])
    assert [one.name for one in findings.conditions] == ["clean", "flat"]
    clean, flat = findings.probabilities
    np.testing.assert_array_equal(flat, clean)
    assert findings.flips(1).value == 0
    assert findings.difference(1).value == findings.difference(1).low == 0
    assert findings.worst == 0
    assert str(findings).endswith("None is worse than the clean clips.")


def test_clean_is_what_predict_says(predictor: Predictor, clips: Manifest) -> None:
    findings = robustness(predictor, clips, codecs=[MU_LAW])
    expected = predictor.predict_manifest(clips)
    np.testing.assert_allclose(findings.probabilities[0], expected.probabilities, atol=1e-6)
    assert findings.kbps[1] == pytest.approx(64, rel=0.02)
    assert np.isnan(findings.kbps[0])


def test_a_device_is_what_simulate_writes(
    predictor: Predictor, clips: Manifest, microphones: DeviceSet, tmp_path: Path
) -> None:
    """On the fly or on disk: the same samples, noise and all; and B's profile is used for B."""
    findings = numbers(robustness(predictor, clips, devices=microphones))
    written = simulate(clips, microphones, tmp_path / "recorded", progress=False).manifest
    for name in ("B", "phone"):
        expected = predictor.predict_manifest(written.where(device=name))
        assert set(expected.policies) == {"profile" if name == "B" else "identity"}
        np.testing.assert_allclose(findings[name], expected.probabilities, atol=1e-6)
    renamed = replace(microphones, devices={"other": microphones.devices["B"]})
    other = numbers(robustness(predictor, clips, devices=renamed))["other"]
    assert np.abs(other - findings["B"]).max() > 0.01


def test_device_first_then_codec(predictor: Predictor, clips: Manifest) -> None:
    """A grid of one device and one codec has four conditions; the pair is the codec behind it."""
    devices = DeviceSet.from_mapping(
        {"devices": {"quiet": {"gain_db": -20}}, "recorded": {"test": {"quiet": "all"}}}
    )
    findings = robustness(predictor, clips, devices=devices, codecs=[MU_LAW, Codec("wav"), MU_LAW])
    names = [one.name for one in findings.conditions]
    assert names == ["clean", "mu-law 64", "quiet", "quiet, mu-law 64"]
    clip = audio.read(clips.paths()[0])
    quiet = np.rint(np.clip(clip.samples * np.float32(0.1), -1, 1) * 32768) / 32768
    coded = MU_LAW.apply(replace(clip, samples=quiet.astype(np.float32))).clip
    said = predictor.predict(coded).probabilities
    np.testing.assert_allclose(findings.probabilities[3, 0], list(said.values()), atol=1e-6)


def test_a_function_equal_to_the_bundle_gives_the_same_numbers(
    predictor: Predictor, clips: Manifest, microphones: DeviceSet
) -> None:
    flat = replace(microphones, devices={"phone": microphones.devices["phone"]})  # no profile

    def function(samples: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
        assert samples.dtype == np.float32
        assert samples.shape == (8000,)
        said = predictor.predict(samples, rate_hz=rate_hz).probabilities
        samples[:] = 0  # a copy
        return said

    ours = robustness(predictor, clips, devices=flat, codecs=[MU_LAW])
    theirs = robustness(function, clips, devices=flat, codecs=[MU_LAW], workers=1)
    assert theirs.labels == ours.labels
    np.testing.assert_allclose(theirs.probabilities, ours.probabilities, atol=1e-6)
    assert [row.value for row in theirs.rows] == pytest.approx([row.value for row in ours.rows])


def test_rows_are_pairs_over_recordings_and_the_report_holds_them(
    predictor: Predictor, clips: Manifest, microphones: DeviceSet, tmp_path: Path
) -> None:
    findings = robustness(predictor, clips, devices=microphones, codecs=[MU_LAW])
    right = findings.probabilities.argmax(axis=2) == findings.targets
    change = paired_difference(right[3].astype(float), right[0].astype(float), findings.recordings)
    assert len(set(findings.recordings.tolist())) == 6
    paths = findings.write(tmp_path, command="anymic robustness <b>")
    rows, header = read_json(paths["json"])
    keys = findings.conditions[3].keys
    assert keys == {"device": "flat", "codec": "mu-law", "kbps": "64"}
    row = next(
        row
        for row in rows
        if row.metric == "accuracy_difference" and keys.items() <= row.condition.items()
    )
    assert (row.value, row.low, row.high) == (change.value, change.low, change.high)
    assert row.condition["against_device"] == "as recorded"
    mean = next(row for row in rows if row.metric == "mean_of_conditions")
    assert mean.value == pytest.approx(right[1:].mean())
    worst = min(
        (row for row in rows if row.metric == "accuracy" and "label" not in row.condition),
        key=lambda row: row.value,
    )
    assert worst.value == findings.accuracy(findings.worst).value
    assert header["summary"] == str(findings)
    assert len(findings.table().rows) == 8
    html = paths["html"].read_text()
    assert "<svg" in html
    assert "<b>" not in html
    assert paths["heat_map"].stat().st_size > 1000
    json.loads(paths["json"].read_text(), parse_constant=pytest.fail)  # a NaN


def test_the_hardest_class_and_what_it_is_taken_for(clips: Manifest) -> None:
    def always_rain(samples: NDArray[np.float32], rate_hz: int) -> list[float]:
        loud = float(np.abs(samples).max()) > 0.05
        return [0.9, 0.1, 0.0] if loud else [0.1, 0.9, 0.0]

    quiet = DeviceSet.from_mapping(
        {"devices": {"far": {"gain_db": -40}}, "recorded": {"test": {"far": "all"}}}
    )
    findings = robustness(always_rain, clips, devices=quiet, labels=["dog", "rain", "siren"])
    assert findings.accuracy(0).value == findings.accuracy(1).value == pytest.approx(1 / 3)
    assert findings.flips(1).value == 1
    assert (findings.hardest(0).label, findings.hardest(0).taken_for) == ("rain", "dog")
    assert (findings.hardest(1).label, findings.hardest(1).taken_for) == ("dog", "rain")


def test_one_recording_has_values_and_no_intervals(predictor: Predictor, clips: Manifest) -> None:
    findings = robustness(predictor, clips.where(group="dog0"), codecs=[MU_LAW])
    assert all(row.low is None for row in findings.rows if row.metric.endswith("_difference"))
    assert "nan" not in str(findings)


def test_a_bad_clip_is_left_out_of_every_condition(
    predictor: Predictor, clips: Manifest, microphones: DeviceSet
) -> None:
    table = clips.table.copy()
    table.loc[4, "path"] = "missing.wav"
    broken = Manifest.from_table(table, clips.root)
    findings = robustness(predictor, broken, devices=microphones)
    assert findings.probabilities.shape[:2] == (4, 8)
    assert [Path(one.path).name for one in findings.failures] == ["missing.wav"]
    with pytest.raises(ManifestError, match=r"No clip can be used \(1 failed\)"):
        robustness(predictor, broken.rows([4]), codecs=[MU_LAW])


def test_clips_that_a_model_refuses_say_through_what(
    small_bundle: Bundle, clips: Manifest, microphones: DeviceSet
) -> None:
    strict = replace(small_bundle, contract=replace(small_bundle.contract, unknown_device="refuse"))
    with pytest.raises(ManifestError, match=r"No clip can.*9 failed.*No device is stated"):
        robustness(strict, clips, devices=microphones)
    known = clips.with_columns(device="A")
    with pytest.raises(ManifestError, match=r"0\.wav \(flat\)"):
        robustness(strict, known, devices=microphones)
    only_b = replace(microphones, devices={"B": microphones.devices["B"]})
    assert not robustness(strict, known, devices=only_b).failures


def test_stretches_of_files(predictor: Predictor, clips: Manifest) -> None:
    """A row with a start is that part of its file, for its duration, as in `evaluate`."""
    cut = clips.with_columns(start_s=0.25, duration_s=0.5)
    findings = robustness(predictor, cut, codecs=[MU_LAW])
    expected = predictor.predict_manifest(cut)
    np.testing.assert_allclose(findings.probabilities[0], expected.probabilities, atol=1e-6)


def test_drawn_clips_are_balanced_over_labels(clips: Manifest) -> None:
    drawn = draw_clips(clips, 6, seed=1)
    assert sorted(drawn.table["label"].tolist()) == sorted(["dog", "rain", "siren"] * 2)
    assert len(draw_clips(clips, 100)) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no device and no codec"),
        ({"codecs": [Codec("wav")]}, "no device and no codec"),
        ({"codecs": "no-such"}, "no-such"),
        ({"devices": "no-such"}, "no-such"),
        ({"devices": "microphones", "responses": "/nowhere"}, "nowhere"),
    ],
)
def test_devices_and_codecs_that_cannot_be_used_are_refused(
    predictor: Predictor, clips: Manifest, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnymicError, match=message) as caught:
        robustness(predictor, clips, **arguments)
    assert "\n" not in str(caught.value)


def test_a_device_named_clean_is_refused(predictor: Predictor, clips: Manifest) -> None:
    devices = DeviceSet.from_mapping(
        {"devices": {"clean": {}}, "recorded": {"test": {"clean": "all"}}}
    )
    with pytest.raises(ConfigError, match="'clean'"):
        robustness(predictor, clips, devices=devices)


def test_labels_that_the_classifier_does_not_know(predictor: Predictor, clips: Manifest) -> None:
    strange = clips.with_columns(label="cat")
    with pytest.raises(ManifestError, match="cat"):
        robustness(predictor, strange, codecs=[MU_LAW])
    with pytest.raises(ManifestError, match="cat"):
        robustness(lambda samples, rate_hz: {"a": 0.5, "b": 0.5}, strange, codecs=[MU_LAW])
