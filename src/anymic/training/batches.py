"""Which clips meet in which batch, and how they are mixed: a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from anymic.augment import Mixup

Batch = tuple[Tensor, Tensor, int]


class TrainingBatches(Dataset[Batch]):
    """The batches of every epoch: item (epoch, step) is one of them.

    An order drawn from (seed, epoch) and a mixup drawn from (seed, epoch, step) make a batch
    the same after an interruption, and the same on any number of processes: each takes every
    `processes`-th clip of the one batch.

    Parameters
    ----------
    features : array (row, band, frame)
        All clips; may be memory-mapped.
    rows : array (clip,)
        The rows that train.
    targets : array (clip,)
        The class of each of them.
    classes : int
    batch_size : int
        Clips are dealt into equal batches of at most so many.
    mixup : Mixup
    seed : int
    rank, processes : int
        This process, and how many share each batch.
    """

    def __init__(
        self,
        features: NDArray[np.float16],
        rows: NDArray[np.int64],
        targets: NDArray[np.int64],
        *,
        classes: int,
        batch_size: int,
        mixup: Mixup,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.features, self.rows, self.targets = features, rows, targets
        self.classes, self.mixup, self.seed = classes, mixup, seed
        self.rank, self.processes = rank, processes
        self.steps = -(-len(rows) // batch_size)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        """Return features (clip, band, frame), targets (clip, class), clips in the whole batch."""
        epoch, step = place
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.rows))
        batch = np.array_split(order, self.steps)[step]
        draw = self.mixup.draw(len(batch), np.random.default_rng((self.seed, epoch, step)))
        mine = slice(self.rank, None, self.processes)
        clips, partners = batch[mine], batch[draw.partner][mine]
        weight = torch.from_numpy(draw.weight[mine])
        features, targets = self._clips(clips)
        mixed = torch.nonzero(weight < 1).flatten()
        if len(mixed):
            others, other_targets = self._clips(partners[mixed.numpy()])
            share = weight[mixed, None]
            features[mixed] = torch.lerp(others, features[mixed], share[..., None])
            targets[mixed] = torch.lerp(other_targets, targets[mixed], share)
        return features, targets, len(batch)

    def _clips(self, clips: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        features = torch.from_numpy(self.features[self.rows[clips]]).float()
        classes = torch.from_numpy(self.targets[clips])
        return features, torch.nn.functional.one_hot(classes, self.classes).float()


class EpochSteps(Sampler[tuple[int, int]]):
    """The places (epoch, step) of one epoch, told by the trainer which epoch it is."""

    def __init__(self, steps: int) -> None:
        self.steps, self.epoch = steps, 0

    def set_epoch(self, epoch: int) -> None:
        """Remember the epoch; the trainer calls this before each."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((self.epoch, step) for step in range(self.steps))

    def __len__(self) -> int:
        return self.steps


def training_loader(batches: TrainingBatches) -> DataLoader[Batch]:
    """Return the loader whose every pass is one epoch of `batches`."""
    return DataLoader(batches, batch_size=None, sampler=EpochSteps(len(batches)))


class EvaluationBatches(Dataset[Batch]):
    """Clips in their own order, unmixed; each process takes every `processes`-th."""

    def __init__(
        self,
        features: NDArray[np.float16],
        rows: NDArray[np.int64],
        targets: NDArray[np.int64],
        *,
        classes: int,
        batch_size: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.features, self.classes = features, classes
        self.rows, self.targets = rows[rank::processes], targets[rank::processes]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, step: int) -> Batch:
        """Return features (clip, band, frame), targets (clip, class) and the number of clips."""
        place = slice(step * self.batch_size, (step + 1) * self.batch_size)
        features = torch.from_numpy(self.features[self.rows[place]]).float()
        classes = torch.from_numpy(self.targets[place])
        return features, torch.nn.functional.one_hot(classes, self.classes).float(), len(classes)
