"""The losses, against numbers worked out by hand and against PyTorch's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from anymic.errors import ConfigError
from anymic.training import TrainingConfig
from anymic.training.loop.losses import SoftTargetLoss, divergence


def test_focal_loss_by_hand() -> None:
    # p = softmax([ln 3, 0]) = (0.75, 0.25); the target is the first class: 0.25 * -ln 0.75.
    logits, target = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[1.0, 0.0]])
    loss = SoftTargetLoss("focal", focal_power=1.0)(logits, target)
    assert loss.item() == pytest.approx(-0.25 * math.log(0.75), rel=1e-6)


def test_focal_loss_of_soft_targets_by_hand() -> None:
    # 0.6 * 0.25**2 * -ln 0.75 + 0.4 * 0.75**2 * -ln 0.25
    logits, target = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.6, 0.4]])
    loss = SoftTargetLoss("focal", focal_power=2.0)(logits, target)
    expected = -(0.6 * 0.0625 * math.log(0.75) + 0.4 * 0.5625 * math.log(0.25))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_equals_pytorchs_with_soft_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 5, generator=generator)
    targets = torch.rand(7, 5, generator=generator).softmax(dim=1)
    expected = nn.functional.cross_entropy(logits, targets)
    torch.testing.assert_close(SoftTargetLoss("cross_entropy")(logits, targets), expected)
    torch.testing.assert_close(SoftTargetLoss("focal", focal_power=0.0)(logits, targets), expected)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_several_labels_are_the_sum_of_pytorchs_binary_cross_entropies(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 8 * torch.randn(7, 5, generator=generator)
    targets = torch.rand(7, 5, generator=generator)  # soft, as of mixed clips
    own = SoftTargetLoss("cross_entropy", temperature=temperature, several=True)
    each = nn.BCEWithLogitsLoss(reduction="sum")(logits / temperature, targets) / len(logits)
    torch.testing.assert_close(own(logits, targets), each)


def test_focal_loss_of_several_labels_by_hand() -> None:
    # p = sigmoid([ln 3, 0]) = (0.75, 0.5); the clip has the first label only.
    logits, target = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[1.0, 0.0]])
    loss = SoftTargetLoss("focal", focal_power=2.0, several=True)(logits, target)
    expected = -(0.0625 * math.log(0.75) + 0.25 * math.log(0.5))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_temperature_divides_the_logits_and_so_scales_the_gradient() -> None:
    # d/dz of cross-entropy at temperature T is (softmax(z / T) - y) / T.
    logits = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.0]])
    SoftTargetLoss("cross_entropy", temperature=10.0)(logits, target).backward()
    expected = ((logits.detach() / 10).softmax(dim=1) - target) / 10
    torch.testing.assert_close(logits.grad, expected)


SETTINGS = [
    (name, power, temperature)
    for name, power in (("focal", 1.0), ("focal", 2.0), ("focal", 0.5), ("cross_entropy", 1.0))
    for temperature in (0.1, 1.0, 10.0, 35.0, 100.0)
]


def numpy_loss(
    logits: np.ndarray, targets: np.ndarray, name: str, power: float, temperature: float
) -> float:
    """Nguyen 2020, section 2.3, as it is written there, in float64."""
    total = 0.0
    for z, y in zip(logits, targets, strict=True):
        heated = [math.exp(value / temperature) for value in z]
        for share, one in zip(heated, y, strict=True):
            p = share / sum(heated)
            total -= (1 - p) ** (power if name == "focal" else 0.0) * one * math.log(p)
    return total / len(logits)


def numpy_gradient(logits: np.ndarray, *arguments: Any, step: float = 1e-6) -> np.ndarray:
    """Central differences of `numpy_loss`."""
    gradient = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        moved = np.zeros_like(logits)
        moved[place] = step
        rise = numpy_loss(logits + moved, *arguments) - numpy_loss(logits - moved, *arguments)
        gradient[place] = rise / (2 * step)
    return gradient


@pytest.fixture(scope="module")
def soft() -> tuple[np.ndarray, np.ndarray]:
    """Return logits and targets as mixup makes them, float64; the first target is a hard one."""
    random = np.random.default_rng(0)
    targets = random.dirichlet(np.full(5, 0.4), size=6)
    targets[0] = np.eye(5)[3]
    return random.normal(size=(6, 5)), targets


@pytest.mark.parametrize(("name", "power", "temperature"), SETTINGS)
def test_values_and_gradients_are_those_of_the_formula(
    soft: tuple[np.ndarray, np.ndarray], name: str, power: float, temperature: float
) -> None:
    logits, targets = soft[0] * min(temperature, 1.0), soft[1]
    z = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    loss = SoftTargetLoss(name, focal_power=power, temperature=temperature)(
        z, torch.tensor(targets, dtype=torch.float32)
    )
    loss.backward()
    arguments = (targets, name, power, temperature)
    assert loss.item() == pytest.approx(numpy_loss(logits, *arguments), rel=1e-5)
    assert z.grad is not None
    expected = numpy_gradient(logits, *arguments)
    np.testing.assert_allclose(
        z.grad.numpy(), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0, 100.0])
def test_cross_entropy_equals_pytorchs_of_divided_logits(
    soft: tuple[np.ndarray, np.ndarray], temperature: float
) -> None:
    targets = torch.tensor(soft[1], dtype=torch.float32)
    logits = [torch.tensor(soft[0], dtype=torch.float32, requires_grad=True) for _ in range(2)]
    loss = SoftTargetLoss("cross_entropy", temperature=temperature)(logits[0], targets)
    expected = nn.functional.cross_entropy(logits[1] / temperature, targets)
    loss.backward()
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits[0].grad, logits[1].grad)


@pytest.mark.parametrize("temperature", [0.1, 5.0, 35.0, 100.0])
@pytest.mark.parametrize("name", ["focal", "cross_entropy"])
def test_the_gradient_at_heated_logits_is_the_unheated_one_divided(
    soft: tuple[np.ndarray, np.ndarray], name: str, temperature: float
) -> None:
    """The softmax of T z / T is that of z: the same loss, and 1 / T of its gradient."""
    targets = torch.tensor(soft[1], dtype=torch.float32)
    plain = torch.tensor(soft[0], dtype=torch.float32, requires_grad=True)
    heated = (plain.detach() * temperature).requires_grad_()
    loss = SoftTargetLoss(name)(plain, targets)
    same = SoftTargetLoss(name, temperature=temperature)(heated, targets)
    loss.backward()
    same.backward()
    torch.testing.assert_close(same, loss)
    assert heated.grad is not None
    torch.testing.assert_close(heated.grad * temperature, plain.grad, rtol=1e-4, atol=1e-7)


def test_a_gradient_by_hand() -> None:
    """Two classes at temperature 2, logits (2 ln 3, 0), the target is the first: p = 0.75.

    dL/dp = log p - (1 - p) / p = ln 0.75 - 1/3, and dp/dz = p (1 - p) / T = 0.09375.
    """
    logits = torch.tensor([[2 * math.log(3.0), 0.0]], requires_grad=True)
    SoftTargetLoss("focal", temperature=2.0)(logits, torch.tensor([[1.0, 0.0]])).backward()
    expected = 0.09375 * (math.log(0.75) - 1 / 3)
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([expected, -expected], rel=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 10.0, 100.0])
@pytest.mark.parametrize(("name", "power"), [("focal", 1.0), ("focal", 0.5), ("cross_entropy", 1)])
def test_extreme_logits_in_bfloat16_stay_finite(
    name: str, power: float, temperature: float
) -> None:
    """Sure and right, sure and wrong, undecided, and targets of several classes."""
    worst = 1e4
    rows = [[worst, -worst, 0], [-worst, worst, 0], [0, 0, 0], [worst, worst, -worst]]
    logits = torch.tensor(rows, dtype=torch.bfloat16, requires_grad=True)
    one, mixed = [1.0, 0.0, 0.0], [0.3, 0.3, 0.4]
    for target in (one, mixed):
        logits = logits.detach().requires_grad_()
        loss = SoftTargetLoss(name, focal_power=power, temperature=temperature)(
            logits, torch.tensor([target] * 4)
        )
        loss.backward()
        assert torch.isfinite(loss)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()
        assert loss >= 0


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf])
def test_a_temperature_that_cannot_be_is_one_clear_line(temperature: float) -> None:
    with pytest.raises(ConfigError, match=rf"temperature is {temperature}\. Expected positive"):
        TrainingConfig(temperature=temperature)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="focal_power is -1"):
        TrainingConfig(focal_power=-1)
    with pytest.raises(ConfigError, match="focal_power is inf"):
        TrainingConfig(focal_power=math.inf)
    with pytest.raises(ConfigError, match=r"loss is 'hinge' \(known: focal, cross_entropy\)"):
        TrainingConfig(loss="hinge")  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_divergence_is_the_mean_of_pytorchs_two(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (3 * torch.randn(7, 5, generator=generator) for _ in range(2))
    p, q = ((values / temperature).log_softmax(dim=1) for values in (one, other))
    kl = nn.KLDivLoss(reduction="batchmean", log_target=True)
    expected = (kl(p, q) + kl(q, p)) / 2
    torch.testing.assert_close(divergence(one, other, temperature=temperature), expected)
    assert divergence(one, one + 4).item() == pytest.approx(0, abs=1e-6)


def test_divergence_of_several_labels_is_the_sum_over_them() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (3 * torch.randn(7, 5, generator=generator) for _ in range(2))
    p, q = (torch.distributions.Bernoulli(logits=values) for values in (one, other))
    kl = torch.distributions.kl_divergence
    expected = ((kl(p, q) + kl(q, p)) / 2).sum(dim=1).mean()
    torch.testing.assert_close(divergence(one, other, several=True), expected)
