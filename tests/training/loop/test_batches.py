"""What every epoch's batches must hold to, whoever draws them and in whatever order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymic.errors import ConfigError
from anymic.training import TrainingConfig
from anymic.training.loop.augmentation import Mixup, SpecAugment, TimeWarp
from anymic.training.loop.batches import TrainingBatches, training_loader
from anymic.training.parts import Examples

CLIPS, CLASSES = 26, 4


def examples(features: NDArray[Any], targets: NDArray[np.int64], *, classes: int) -> Examples:
    nothing = np.arange(0)
    labels, rows = tuple("abcd"[:classes]), np.arange(len(features))
    return Examples(features.astype(np.float16), labels, rows, targets, nothing, nothing)


def batches(share: float = 0.5, *, seed: int = 7, **place: int) -> TrainingBatches:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(CLIPS, 3, 5))
    data = examples(features, generator.integers(0, CLASSES, CLIPS), classes=CLASSES)
    config = TrainingConfig(
        batch_size=8,
        mixup=Mixup(share, 0.4),
        time_warp=TimeWarp(1),
        spec_augment=SpecAugment(2, 2),
        seed=seed,
    )
    return TrainingBatches(data, config, **place)


def test_an_epoch_deals_every_clip_once_into_equal_batches() -> None:
    plain = batches(share=0.0)
    parts = [plain[0, step] for step in range(len(plain))]
    assert [len(part.features) for part in parts] == [7, 7, 6, 6]
    seen = torch.cat([part.features for part in parts]).flatten(1)
    stored = torch.from_numpy(plain.data.features.astype(np.float32)).flatten(1)
    assert sorted(seen.tolist()) == sorted(stored.tolist())


def test_an_order_deals_the_batches_in_place_of_a_permutation() -> None:
    features = np.random.default_rng(0).normal(size=(CLIPS, 3, 5))
    data = examples(features, np.arange(CLIPS) % CLASSES, classes=CLASSES)
    config = TrainingConfig(sampling="balanced", batch_size=8, mixup=None, seed=7)
    plain = TrainingBatches(data, config)
    assert plain.order is not None
    assert len(plain) == plain.order.steps == 4
    for step in range(4):
        assert plain[1, step].targets.sum(dim=0).tolist() == [2, 2, 2, 2]


def test_a_batch_depends_on_seed_epoch_and_step_alone() -> None:
    first, second = batches(), batches()
    second[3, 0], second[1, 1]  # what was asked before leaves no trace
    torch.testing.assert_close(first[5, 2], second[5, 2])
    assert not torch.equal(first[5, 2].features, first[6, 2].features)
    assert not torch.equal(first[5, 2].features, batches(seed=8)[5, 2].features)
    masks, others = first[5, 2].masks, first[6, 2].masks
    assert masks is not None
    assert others is not None
    assert not torch.equal(masks.frame_start, others.frame_start)


def test_processes_share_the_batch_of_one_process() -> None:
    whole = batches()[2, 1]
    parts = [batches(rank=rank, processes=2)[2, 1] for rank in (0, 1)]
    assert [part.clips for part in parts] == [whole.clips, whole.clips]
    tensors = [
        [part.features, part.targets, *(part.time_warp or ()), *(part.masks or ())]
        for part in (whole, *parts)
    ]
    for together, even, odd in zip(*tensors, strict=True):
        torch.testing.assert_close(even, together[0::2])
        torch.testing.assert_close(odd, together[1::2])


def test_mixup_mixes_features_and_targets_by_the_same_weight() -> None:
    """With one-hot features the mixed features are the mixed targets."""
    targets = np.arange(CLIPS) % CLASSES
    features = np.eye(CLASSES, dtype=np.float16)[targets][:, :, None]
    data = examples(features, targets, classes=CLASSES)
    config = TrainingConfig(batch_size=CLIPS, mixup=Mixup(1.0, 1.0), seed=1)
    mixed = TrainingBatches(data, config)
    got, soft = mixed[0, 0].features, mixed[0, 0].targets
    torch.testing.assert_close(got[:, :, 0], soft)
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(CLIPS))
    assert ((soft > 0.01) & (soft < 0.99)).any()


def test_the_loader_goes_on_to_the_next_epoch() -> None:
    loader = training_loader(batches())
    first = [batch.features for batch in loader]
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined]
    second = [batch.features for batch in loader]
    assert not torch.equal(torch.cat(first), torch.cat(second))
    torch.testing.assert_close(second[0], batches()[1, 0].features)


FRAMES, CROP, LOST = 40, 12, 8


def crops(*, lost_frames: int = LOST, **place: int) -> TrainingBatches:
    """Return batches of clips whose frames are numbered, in their only band."""
    features = np.arange(CLIPS)[:, None, None] * 64 + np.arange(FRAMES, dtype=np.float16)
    data = examples(features, np.zeros(CLIPS, dtype=np.int64), classes=2)
    config = TrainingConfig(
        batch_size=9, crop_frames=CROP, mixup=None, spec_augment=SpecAugment(CROP, 1), seed=3
    )
    return TrainingBatches(data, config, lost_frames=lost_frames, **place)


def test_crops_are_consecutive_frames_of_one_clip_drawn_anew() -> None:
    starts = []
    for epoch in range(40):
        frames = crops()[epoch, 0].features[:, 0]
        assert frames.shape[1] == CROP + LOST  # deltas will take the rest
        assert torch.equal(frames - frames[:, :1], torch.arange(CROP + LOST).expand_as(frames))
        starts += (frames[:, 0] % 64).int().tolist()
    assert set(starts) == set(range(FRAMES - CROP - LOST + 1))  # the first and the last too


def test_crops_are_replayed_and_shared_among_processes() -> None:
    whole = crops()[2, 1]
    torch.testing.assert_close(whole, crops()[2, 1])
    for rank in (0, 1):
        part = crops(rank=rank, processes=2)[2, 1]
        torch.testing.assert_close(part.features, whole.features[rank::2])
    assert whole.masks is not None
    assert int(whole.masks.frame_stop.max()) <= CROP


def test_a_crop_longer_than_the_clips_is_refused() -> None:
    with pytest.raises(ConfigError, match="Crops of 12 frames do not fit into clips of 10"):
        crops(lost_frames=FRAMES - 10)
