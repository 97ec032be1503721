"""Balanced mini-batches, and clips as sequences of a fixed number of segments."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from anymic.errors import ConfigError
from anymic.models.segments import fixed_segments
from anymic.training import TrainingConfig
from anymic.training.loop.balanced import BalancedOrder
from anymic.training.loop.batches import file_order
from anymic.training.parts import Examples

TARGETS = np.array([0] * 7 + [1] * 3 + [2])


@pytest.mark.parametrize("seed", range(3))
def test_each_batch_has_one_clip_of_each_class_and_no_clip_is_forgotten(seed: int) -> None:
    order = BalancedOrder(TARGETS, classes=3, seed=seed)
    assert order.steps == 7
    batches = [order.batch(4, step) for step in range(7)]
    assert all(sorted(TARGETS[batch]) == [0, 1, 2] for batch in batches)
    used = Counter(np.concatenate(batches).tolist())
    assert set(used) == set(range(11))
    assert {used[row] for row in range(7)} == {1}
    assert {used[row] for row in (7, 8, 9)} <= {2, 3}


def test_a_batch_is_a_function_of_seed_and_epoch_alone() -> None:
    first, again = (BalancedOrder(TARGETS, classes=3, seed=5) for _ in range(2))
    whole = [first.batch(epoch, step).tolist() for epoch in range(2) for step in range(7)]
    resumed = [again.batch(epoch, step).tolist() for epoch in (1, 0) for step in range(7)]
    assert resumed == whole[7:] + whole[:7]
    assert whole[:7] != whole[7:]
    other = BalancedOrder(TARGETS, classes=3, seed=6)
    assert [other.batch(0, step).tolist() for step in range(7)] != whole[:7]


def test_a_clip_comes_with_all_of_its_patches() -> None:
    clips = np.array(["a", "b", "a", "c", "b", "a", "d"])
    targets = np.array([0, 1, 0, 1, 1, 0, 0])
    order = BalancedOrder(targets, classes=2, seed=0, clips=clips)
    for step in range(order.steps):
        rows = order.batch(0, step)
        names = set(clips[rows].tolist())
        assert len(names) == 2
        assert sorted(rows) == sorted(np.flatnonzero(np.isin(clips, list(names))))


def test_files_at_random_come_whole_and_each_once_before_any_comes_twice() -> None:
    files = tuple("abcdefg"[row % 7] for row in range(25))
    data = Examples(
        np.zeros((25, 4, 4), dtype=np.float16),
        ("x", "y"),
        np.arange(25),
        np.arange(25) % 7 % 2,
        np.arange(0),
        np.arange(0),
        training_files=files,
    )
    order = file_order(data, TrainingConfig(sampling="files", batch_size=3))
    assert order is not None
    batches = [{files[row] for row in order.batch(0, step)} for step in range(order.steps)]
    assert [len(names) for names in batches] == [3, 3, 3]
    assert batches[0] | batches[1] | batches[2] == set("abcdefg")
    rows = order.batch(0, 0)
    assert sorted(rows) == [row for row, name in enumerate(files) if name in batches[0]]
    few = file_order(data, TrainingConfig(sampling="files", batch_size=41))
    assert few is not None
    assert sorted(few.batch(0, 0)) == list(range(25))


def test_no_batch_holds_a_clip_twice() -> None:
    targets = np.array([0] * 23 + [1] * 5 + [2] * 4)
    order = BalancedOrder(targets, classes=3, seed=1, clips_a_class=4)
    for epoch in range(20):
        for step in range(order.steps):
            batch = order.batch(epoch, step).tolist()
            assert len(set(batch)) == len(batch)
            assert {Counter(targets[batch].tolist())[number] for number in (1, 2)} == {4}


def test_too_few_clips_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"1 training clips of class 2\. Expected at least 2"):
        BalancedOrder(TARGETS, classes=3, seed=0, clips_a_class=2)
    with pytest.raises(ConfigError, match=r"1 training clips of rain.* batches of at most 3.$"):
        BalancedOrder(TARGETS, classes=3, seed=0, clips_a_class=2, labels=["dog", "hum", "rain"])
    with pytest.raises(ConfigError, match="0 training clips of class 3"):
        BalancedOrder(TARGETS, classes=4, seed=0)
    with pytest.raises(ConfigError, match="rows of two classes"):
        BalancedOrder([0, 1], classes=2, seed=0, clips=["a", "a"])


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (1, [[0, 0, 0, 0]]),
        (3, [[0, 1, 2, 0]]),
        (4, [[0, 1, 2, 3]]),
        (5, [[0, 1, 2, 3]]),
        (6, [[0, 1, 2, 3], [4, 5, 4, 5]]),
        (8, [[0, 1, 2, 3], [4, 5, 6, 7]]),
    ],
)
def test_short_clips_are_repeated_and_long_ones_split(
    length: int, expected: list[list[int]]
) -> None:
    sequence = np.arange(float(length))[:, None].repeat(2, axis=1)
    assert fixed_segments(sequence, 4)[..., 0].tolist() == expected


def test_a_clip_without_segments_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one segment"):
        fixed_segments(np.empty((0, 128)), 6)
