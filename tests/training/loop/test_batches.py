"""What every epoch's batches must hold to, whoever draws them and in whatever order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from anymic.errors import ConfigError
from anymic.training.loop.augmentation import Mixup, SpecAugment, TimeWarp
from anymic.training.loop.balanced import BalancedOrder
from anymic.training.loop.batches import Augmentation, TrainingBatches, training_loader

CLIPS, CLASSES = 26, 4


def batches(share: float = 0.5, **changes: int) -> TrainingBatches:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(CLIPS, 3, 5)).astype(np.float16)
    targets = generator.integers(0, CLASSES, CLIPS)
    settings: dict[str, Any] = {"seed": 7, "batch_size": 8, **changes}
    augmentation = Augmentation(None, Mixup(share, 0.4), TimeWarp(1), SpecAugment(2, 2))
    return TrainingBatches(
        features,
        np.arange(CLIPS),
        targets,
        classes=CLASSES,
        augmentation=augmentation,
        **settings,
    )


def test_an_epoch_deals_every_clip_once_into_equal_batches() -> None:
    plain = batches(share=0.0)
    parts = [plain[0, step] for step in range(len(plain))]
    assert [len(part.features) for part in parts] == [7, 7, 6, 6]
    seen = torch.cat([part.features for part in parts]).flatten(1)
    stored = torch.from_numpy(plain.features.astype(np.float32)).flatten(1)
    assert sorted(seen.tolist()) == sorted(stored.tolist())


def test_an_order_deals_the_batches_in_place_of_a_permutation() -> None:
    targets = np.arange(CLIPS) % CLASSES
    order = BalancedOrder(targets, classes=CLASSES, seed=7, clips_a_class=2)
    plain = TrainingBatches(
        np.random.default_rng(0).normal(size=(CLIPS, 3, 5)).astype(np.float16),
        np.arange(CLIPS),
        targets,
        classes=CLASSES,
        batch_size=3,
        augmentation=Augmentation(),
        seed=7,
        order=order,
    )
    assert len(plain) == order.steps == 4
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
    mixed = TrainingBatches(
        features,
        np.arange(CLIPS),
        targets,
        classes=CLASSES,
        batch_size=CLIPS,
        augmentation=Augmentation(mixup=Mixup(1.0, 1.0)),
        seed=1,
    )
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


def crops(**changes: int) -> TrainingBatches:
    """Return batches of clips whose frames are numbered, in their only band."""
    features = np.arange(CLIPS)[:, None, None] * 64 + np.arange(FRAMES, dtype=np.float16)
    settings: dict[str, Any] = {"seed": 3, "batch_size": 9, "lost_frames": LOST, **changes}
    return TrainingBatches(
        features.astype(np.float16),
        np.arange(CLIPS),
        np.zeros(CLIPS, dtype=np.int64),
        classes=2,
        augmentation=Augmentation(crop_frames=CROP, spec_augment=SpecAugment(CROP, 1)),
        **settings,
    )


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
