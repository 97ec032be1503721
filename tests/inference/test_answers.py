"""The steps from logits to an answer, and that no other module takes them."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

import anymic
from anymic.calibration import TemperatureCalibrator
from anymic.calibration.by_device import DeviceCalibrator
from anymic.inference.answers import average, calibrate, probabilities, vote

SOURCES = (
    Path(anymic.__file__).parent,
    Path(__file__).resolve().parents[2] / "experiments" / "src" / "anymic_experiments",
)
# Where a softmax is part of a network, or of a classifier of something else than labels.
NO_ANSWERS = {
    "anymic/models/heads.py",  # weights of attention
    "anymic/devices/identification/identifier.py",  # names of devices
}


def test_probabilities_by_hand() -> None:
    logits = torch.tensor([[0.0, np.log(3.0)], [np.log(9.0), 0.0]])
    np.testing.assert_allclose(probabilities(logits), [[0.25, 0.75], [0.9, 0.1]], atol=1e-7)
    np.testing.assert_allclose(probabilities(logits, 2.0)[1], [0.75, 0.25], atol=1e-7)
    # A temperature for each member: (member, batch, label).
    members = probabilities(logits[:, None], (1.0, 2.0))
    np.testing.assert_allclose(members[:, 0], [[0.25, 0.75], [0.75, 0.25]], atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_probabilities_of_large_logits_are_exact(dtype: torch.dtype) -> None:
    """In float64, so that rows sum to 1 and a temperature is not rounded to the logits' type."""
    logits = torch.tensor([[1e4, 1e4 - 64.0, -1e4]], dtype=dtype, requires_grad=True)
    found = probabilities(logits, 1.3)
    assert found.dtype == np.float64
    assert found.sum() == pytest.approx(1.0, abs=1e-15)
    difference = (logits[0, 1] - logits[0, 0]).double().item()
    assert found[0, 1] / found[0, 0] == pytest.approx(np.exp(difference / 1.3), rel=1e-12)


def test_a_mean_over_windows_and_the_calibrator_of_the_device() -> None:
    windows = np.array([[0.2, 0.8], [0.6, 0.4]])
    clip = average(windows)
    np.testing.assert_allclose(clip, [0.4, 0.6])
    alone = clip[None]
    assert calibrate(alone, None, ["A"]) is alone
    calibration = DeviceCalibrator()
    calibration.general_ = TemperatureCalibrator.of(1.0)
    calibration.devices_ = {"B": TemperatureCalibrator.of(0.5)}
    found = calibrate(np.stack([clip, clip, clip]), calibration, ["A", None, "B"])
    np.testing.assert_allclose(found[:2], [clip, clip], atol=1e-12)
    np.testing.assert_allclose(found[2], clip**2 / (clip**2).sum(), atol=1e-12)
    nothing = np.empty((0, 2))
    assert calibrate(nothing, calibration, []) is nothing


def test_one_member_is_its_own_vote() -> None:
    p = probabilities(torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0)))
    np.testing.assert_array_equal(vote(p, "soft"), p[0])


def test_no_other_module_turns_logits_into_probabilities() -> None:
    found = {
        f"{file.relative_to(source.parent).as_posix()}"
        for source in SOURCES
        for file in source.rglob("*.py")
        if calls(file.read_text(encoding="utf-8"))
    }
    assert found - NO_ANSWERS == {"anymic/inference/answers.py"}


def test_a_softmax_and_a_calibration_are_seen() -> None:
    for line in (
        "p = torch.softmax(z / t, dim=1)",
        "p = z.softmax(1)",
        "from torch.nn.functional import softmax\np = softmax(z, 1)",
        "p = nn.Softmax(dim=1)(z)",
        "p = model.calibration.transform(p, devices)",
    ):
        assert calls(line)
    assert not calls("loss = torch.log_softmax(z, 1)\ncalibrated = calibrate(p, None, [])")


def calls(text: str) -> bool:
    """Say whether a module calls softmax, or the calibrator of a model."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            if last.lower() == "softmax" or name.endswith("calibration.transform"):
                return True
    return False
