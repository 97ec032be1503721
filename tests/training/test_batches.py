"""What every epoch's batches must hold to, whoever draws them and in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anymic.augment import Mixup
from anymic.errors import ConfigError
from anymic.training.batches import TrainingBatches, training_loader

CLIPS, CLASSES = 26, 4


def batches(share: float = 0.5, **changes: int) -> TrainingBatches:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(CLIPS, 3, 5)).astype(np.float16)
    targets = generator.integers(0, CLASSES, CLIPS)
    settings = {"seed": 7, "batch_size": 8, **changes}
    return TrainingBatches(
        features, np.arange(CLIPS), targets, classes=CLASSES, mixup=Mixup(share, 0.4), **settings
    )


def test_an_epoch_deals_every_clip_once_into_equal_batches() -> None:
    plain = batches(share=0.0)
    parts = [plain[0, step] for step in range(len(plain))]
    assert [len(features) for features, _, _ in parts] == [7, 7, 6, 6]
    seen = torch.cat([features for features, _, _ in parts]).flatten(1)
    stored = torch.from_numpy(plain.features.astype(np.float32)).flatten(1)
    assert sorted(seen.tolist()) == sorted(stored.tolist())


def test_a_batch_depends_on_seed_epoch_and_step_alone() -> None:
    first, second = batches(), batches()
    second[3, 0], second[1, 1]  # what was asked before leaves no trace
    torch.testing.assert_close(first[5, 2], second[5, 2])
    assert not torch.equal(first[5, 2][0], first[6, 2][0])
    assert not torch.equal(first[5, 2][0], batches(seed=8)[5, 2][0])


def test_processes_share_the_batch_of_one_process() -> None:
    whole, _, clips = batches()[2, 1]
    parts = [batches(rank=rank, processes=2)[2, 1] for rank in (0, 1)]
    assert [part[2] for part in parts] == [clips, clips]
    together = torch.empty_like(whole)
    together[0::2], together[1::2] = parts[0][0], parts[1][0]
    torch.testing.assert_close(together, whole)


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
        mixup=Mixup(1.0, 1.0),
        seed=1,
    )
    got, soft, _ = mixed[0, 0]
    torch.testing.assert_close(got[:, :, 0], soft)
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(CLIPS))
    assert ((soft > 0.01) & (soft < 0.99)).any()


def test_mixup_draws_the_share_and_the_beta_distribution_it_was_told() -> None:
    draw = Mixup(0.3, 0.2).draw(20_000, np.random.default_rng(0))
    mixed = draw.weight[draw.weight < 1]
    assert len(mixed) / 20_000 == pytest.approx(0.3, abs=0.01)
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
    assert mixed.mean() == pytest.approx(0.5, abs=0.02)
    assert mixed.var() == pytest.approx(1 / (4 * 1.4), rel=0.03)


def test_the_loader_goes_on_to_the_next_epoch() -> None:
    loader = training_loader(batches())
    first = [features for features, _, _ in loader]
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined]
    second = [features for features, _, _ in loader]
    assert not torch.equal(torch.cat(first), torch.cat(second))
    torch.testing.assert_close(second[0], batches()[1, 0][0])


def test_a_share_over_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"share 1\.5"):
        Mixup(1.5, 0.2)
