"""Batches of clips and their augmentation; they depend on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from anymic.codecs.random_codec import Codecs
from anymic.errors import ConfigError
from anymic.training.loop.augmentation import (
    Mixup,
    MixupDraw,
    SpecAugment,
    SpecAugmentDraw,
    TimeWarp,
    TimeWarpDraw,
)
from anymic.training.loop.balanced import BalancedOrder


class Batch(NamedTuple):
    """One step's clips.

    Attributes
    ----------
    features : Tensor (clip, band, frame)
        Log-mel, before standardization and deltas, after cropping and mixup.
    targets : Tensor (clip, class)
    clips : int
        Number of clips of the whole batch; a process may have a part of it.
    time_warp, masks
        Draws to apply to the network's input.
    """

    features: Tensor
    targets: Tensor
    clips: int
    time_warp: TimeWarpDraw | None = None
    masks: SpecAugmentDraw | None = None


@dataclass(frozen=True)
class Augmentation:
    """Changes to training clips: codecs first, then the others in this order; None is no change."""

    crop_frames: int | None = None
    mixup: Mixup | None = None
    time_warp: TimeWarp | None = None
    spec_augment: SpecAugment | None = None
    codecs: Codecs | None = None


class TrainingBatches(Dataset[Batch]):
    """The batches of every epoch: item (epoch, step) is one of them.

    The order is drawn from (seed, epoch) and the changes from (seed, epoch, step). So a batch is
    the same after an interruption, and the same with any number of processes: each process has
    every `processes`-th clip of the batch.

    Parameters
    ----------
    features : array (row, band, frame)
        All clips; may be memory-mapped.
    rows, targets : array (clip,)
        The rows that train, and the class of each.
    classes : int
    batch_size : int
        Clips are divided into equal batches of at most this size.
    augmentation : Augmentation
    seed : int
    lost_frames : int
        Frames that the front-end's deltas remove; crops are longer by this number.
    rank, processes : int
        The rank of this process, and the number of processes that share each batch.
    order : BalancedOrder, optional
        Divides the clips into batches instead of a permutation; `batch_size` is then not used.

    Raises
    ------
    ConfigError
        If clips are shorter than their crops.
    """

    def __init__(
        self,
        features: NDArray[np.float16],
        rows: NDArray[np.int64],
        targets: NDArray[np.int64],
        *,
        classes: int,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        lost_frames: int = 0,
        rank: int = 0,
        processes: int = 1,
        coded: Sequence[NDArray[np.float16]] = (),
        order: BalancedOrder | None = None,
    ) -> None:
        self.features, self.rows, self.targets = features, rows, targets
        self.versions = (features, *coded)
        self.classes, self.augmentation, self.seed = classes, augmentation, seed
        self.input_frames = augmentation.crop_frames or features.shape[-1] - lost_frames
        self.read_frames = self.input_frames + lost_frames
        if self.read_frames > features.shape[-1]:
            raise ConfigError(
                f"crops of {self.input_frames} frames do not fit into clips of"
                f" {features.shape[-1] - lost_frames}",
                expected="shorter crops",
                fix="lower crop_frames, or leave it out",
            )
        self.rank, self.processes = rank, processes
        self.order = order
        self.steps = order.steps if order else -(-len(rows) // batch_size)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        """Return this process's share of the batch at (epoch, step)."""
        epoch, step = place
        batch = self._deal(epoch, step)
        generator = np.random.default_rng((self.seed, epoch, step))
        mine = slice(self.rank, None, self.processes)
        start = np.zeros(len(batch), dtype=np.int64)
        if self.augmentation.crop_frames is not None:
            last = self.features.shape[-1] - self.read_frames
            start = generator.integers(0, last + 1, size=len(batch))
        reads = np.stack([batch, start, self._versions(epoch)[batch]], axis=1)
        features, targets = self._mixed(reads, mine, generator)
        clips, bands, frames = len(batch), features.shape[1], self.input_frames
        warp, masks = self.augmentation.time_warp, self.augmentation.spec_augment
        # Drawn for the whole batch, whoever has which clip of it.
        warp_draw = warp.draw(clips, frames, generator) if warp else None
        mask_draw = masks.draw(clips, bands, frames, generator) if masks else None
        return Batch(
            features,
            targets,
            clips,
            warp_draw and TimeWarpDraw(*(part[mine] for part in warp_draw)),
            mask_draw and SpecAugmentDraw(*(part[mine] for part in mask_draw)),
        )

    def _deal(self, epoch: int, step: int) -> NDArray[np.int64]:
        """Return the positions of a batch's clips among the training clips."""
        if self.order is not None:
            return self.order.batch(epoch, step)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.rows))
        return np.array_split(order, self.steps)[step]

    def _mixed(
        self, reads: NDArray[np.int64], mine: slice, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return features and targets of this process's clips, mixed with clips of the batch."""
        if self.augmentation.mixup is None:
            return self._clips(reads[mine])
        draw = self.augmentation.mixup.draw(len(reads), generator)
        if self.processes == 1:
            features, targets = self._clips(reads)
            return draw.apply(features), draw.apply(targets)
        # The partners of this process's clips may be another's: read those as well.
        places = np.arange(len(reads))[mine]
        partners = draw.partner.numpy()[mine]
        needed, index = np.unique(np.concatenate([places, partners]), return_inverse=True)
        features, targets = self._clips(reads[needed])
        mixup = MixupDraw(torch.arange(len(needed)), torch.ones(len(needed)))
        own, others = torch.from_numpy(index[: len(places)]), torch.from_numpy(index[len(places) :])
        mixup.partner[own], mixup.weight[own] = others, draw.weight[mine]
        return mixup.apply(features)[own], mixup.apply(targets)[own]

    def _versions(self, epoch: int) -> NDArray[np.int64]:
        """Return the number of the codec for each clip in an epoch; 0 is no codec."""
        if self.augmentation.codecs is None:
            return np.zeros(len(self.rows), np.int64)
        # A draw of its own, so that the order and the other changes are those without codecs.
        generator = np.random.default_rng((self.seed, epoch, *b"codecs"))
        return self.augmentation.codecs.draw(len(self.rows), generator)

    def _clips(self, reads: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Read clips (clip, 3): the clip, its first frame, and its version: 0, or a codec's."""
        clips, start, versions = reads.T
        if self.read_frames == self.features.shape[-1] and not versions.any():
            read = self.features[self.rows[clips]]
        else:
            places = zip(versions, self.rows[clips], start, strict=True)
            frames = self.read_frames
            read = np.stack([self.versions[v][row][:, s : s + frames] for v, row, s in places])
        features = torch.from_numpy(read).float()
        classes = torch.from_numpy(self.targets[clips])
        return features, torch.nn.functional.one_hot(classes, self.classes).float()


class EpochSteps(Sampler[tuple[int, int]]):
    """The positions (epoch, step) of one epoch; the trainer sets the epoch."""

    def __init__(self, steps: int) -> None:
        self.steps, self.epoch = steps, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; the trainer calls this before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((self.epoch, step) for step in range(self.steps))

    def __len__(self) -> int:
        return self.steps


def training_loader(batches: TrainingBatches) -> DataLoader[Batch]:
    """Return a loader; each pass is one epoch of `batches`."""
    return DataLoader(batches, batch_size=None, sampler=EpochSteps(len(batches)))


class EvaluationBatches(Dataset[Batch]):
    """Batches of clips in their order, without augmentation; shared as `TrainingBatches` is."""

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
        """Return the clips from number step * batch_size on."""
        place = slice(step * self.batch_size, (step + 1) * self.batch_size)
        features = torch.from_numpy(self.features[self.rows[place]]).float()
        classes = torch.from_numpy(self.targets[place])
        targets = torch.nn.functional.one_hot(classes, self.classes).float()
        return Batch(features, targets, len(classes))
