"""Mixup, time warp and masks: what they do, what they leave alone, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anymic.errors import ConfigError
from anymic.training.loop.augmentation import Mixup, MixupDraw, SpecAugment, TimeWarp, TimeWarpDraw

MANY = 20_000


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_mixup_draws_the_share_and_the_beta_distribution_it_was_told() -> None:
    draw = Mixup(0.3, 0.2).draw(MANY, generator())
    mixed = draw.weight[draw.weight < 1].numpy()
    assert len(mixed) / MANY == pytest.approx(0.3, abs=0.01)
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
    assert mixed.mean() == pytest.approx(0.5, abs=0.02)
    assert mixed.var() == pytest.approx(1 / (4 * 1.4), rel=0.03)


def test_mixup_is_the_weighted_sum_of_a_clip_and_its_partner() -> None:
    values = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    draw = MixupDraw(torch.tensor([1, 2, 0]), torch.tensor([0.25, 1.0, 0.6]))
    before = values.clone()
    mixed = draw.apply(values)
    torch.testing.assert_close(mixed[0], 0.25 * values[0] + 0.75 * values[1])
    assert torch.equal(mixed[1], values[1])
    torch.testing.assert_close(mixed[2], 0.6 * values[2] + 0.4 * values[0])
    assert torch.equal(values, before)


def test_masks_have_every_size_up_to_the_limit_and_lie_inside() -> None:
    draw = SpecAugment(frames=80, bands=27, time_masks=2).draw(MANY, 256, 431, generator())
    for start, stop, limit, length in (
        (draw.frame_start, draw.frame_stop, 80, 431),
        (draw.band_start, draw.band_stop, 27, 256),
    ):
        width = (stop - start).numpy()
        assert set(width.ravel()) == set(range(limit + 1))
        assert width.mean() == pytest.approx(limit / 2, rel=0.02)
        assert int(start.min()) == 0
        assert int(stop.max()) == length
    assert draw.frame_start.shape == (MANY, 2)


def test_masking_fills_exactly_what_was_drawn() -> None:
    features = torch.randn(5, 16, 30, generator=torch.Generator().manual_seed(0)) + 100
    fill = torch.arange(16.0)[:, None]
    draw = SpecAugment(frames=10, bands=6).draw(5, 16, 30, generator())
    masked = draw.apply(features, fill)
    for clip in range(5):
        expected = features[clip].clone()
        expected[:, draw.frame_start[clip, 0] : draw.frame_stop[clip, 0]] = fill
        bands = slice(int(draw.band_start[clip, 0]), int(draw.band_stop[clip, 0]))
        expected[bands] = fill[bands]
        assert torch.equal(masked[clip], expected)


def test_a_time_warp_moves_the_centre_and_keeps_the_ends() -> None:
    """Features that rise evenly tell, frame by frame, where each one came from."""
    frames = 101
    features = torch.arange(float(frames)).expand(2, 3, frames)
    draw = TimeWarpDraw(torch.tensor([30.0, 60.0]), torch.tensor([10.0, -20.0]))
    warped = draw.apply(features)
    for clip, centre, goal in ((0, 30.0, 40.0), (1, 60.0, 40.0)):
        expected = np.interp(np.arange(frames), [0, goal, frames - 1], [0, centre, frames - 1])
        for band in range(3):
            np.testing.assert_allclose(warped[clip, band].numpy(), expected, atol=1e-4)


def test_a_time_warp_by_nothing_changes_nothing() -> None:
    features = torch.randn(2, 4, 50, generator=torch.Generator().manual_seed(0))
    still = TimeWarpDraw(torch.tensor([20.0, 7.0]), torch.zeros(2))
    torch.testing.assert_close(still.apply(features), features, atol=1e-5, rtol=1e-5)


def test_the_farthest_drawn_warp_keeps_the_order_of_time() -> None:
    draw = TimeWarp(40).draw(MANY, 100, generator())
    goal = draw.centre + draw.shift
    assert float(draw.shift.abs().max()) <= 40
    assert float(goal.min()) > 0
    assert float(goal.max()) < 99


def test_equal_generators_draw_equal_values() -> None:
    for draw in (
        lambda g: Mixup().draw(9, g),
        lambda g: TimeWarp(5).draw(9, 40, g),
        lambda g: SpecAugment(8, 8).draw(9, 16, 40, g),
    ):
        for one, other in zip(draw(generator()), draw(generator()), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixup(1.5, 0.2), r"share 1\.5"),
        (lambda: Mixup(0.5, 0.0), r"alpha 0\.0"),
        (lambda: TimeWarp(0), "at most 0 frames"),
        (lambda: SpecAugment(frames=-1), "-1 frames"),
        (lambda: TimeWarp(40).draw(1, 80, generator()), "clips have 80 frames.*Lower time_warp"),
        (lambda: SpecAugment(80, 27).draw(1, 20, 99, generator()), "20 bands.*Lower spec_augment"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]
