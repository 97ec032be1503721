"""Batches of clips and their augmentation; they depend on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from anymic.errors import ConfigError
from anymic.training.config import TrainingConfig
from anymic.training.loop.augmentation import MixupDraw, SpecAugmentDraw, TimeWarpDraw
from anymic.training.loop.balanced import BalancedOrder
from anymic.training.loop.cut_offs import CutOffDraw, cut_offs
from anymic.training.loop.device_augmentation import (
    DeviceAugmentation,
    DeviceDraw,
    FreqMixStyleDraw,
)
from anymic.training.parts import Examples

Pairs = TypeVar("Pairs", MixupDraw, FreqMixStyleDraw)


class Batch(NamedTuple):
    """One step's clips, and the draws to apply to the network's input."""

    features: Tensor  # (clip, band, frame): before standardization, after cropping and mixup
    targets: Tensor  # (clip, class)
    clips: int  # of the whole batch, of which a process may have a part
    time_warp: TimeWarpDraw | None = None
    masks: SpecAugmentDraw | None = None
    other: Tensor | None = None  # as `features`, of another version of each clip


class Draws(NamedTuple):
    """What changes the clips of a batch, in the order of application but for mixup, the last."""

    mixup: MixupDraw | None
    devices: DeviceDraw | None
    style: FreqMixStyleDraw | None
    cut_offs: CutOffDraw | None


class TrainingBatches(Dataset[Batch]):
    """The batches of every epoch: item (epoch, step) is one of them.

    The order is drawn from (seed, epoch) and the changes from (seed, epoch, step). So a batch is
    the same after an interruption, and the same with any number of processes: each process has
    every `processes`-th clip of the batch. Clips are passed through codecs first, then cropped,
    then recorded by random devices, then cut off at a random frequency, then mixed. Crops are
    longer by `lost_frames`, which the front-end's deltas remove.

    Raises
    ------
    ConfigError
        If clips are shorter than their crops, or too few for balanced batches.
    """

    def __init__(
        self,
        data: Examples,
        config: TrainingConfig,
        *,
        lost_frames: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.data, self.config = data, config
        self.versions = (data.features, *data.coded)
        frames = data.features.shape[-1]
        self.input_frames = config.crop_frames or frames - lost_frames
        self.read_frames = self.input_frames + lost_frames
        if self.read_frames > frames:
            raise ConfigError(
                f"crops of {self.input_frames} frames do not fit into clips of"
                f" {frames - lost_frames}",
                expected="shorter crops",
                fix="lower crop_frames, or leave it out",
            )
        self.rank, self.processes = rank, processes
        self.order = file_order(data, config)
        random = config.random_devices
        self.devices = DeviceAugmentation(random, config.frontend) if random else None
        self.cut_offs = cut_offs(config) if data.coded else None
        self.steps = self.order.steps if self.order else -(-len(data.training) // config.batch_size)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        """Return this process's share of the batch at (epoch, step)."""
        epoch, step = place
        batch = self._deal(epoch, step)
        generator = np.random.default_rng((self.config.seed, epoch, step))
        mine = slice(self.rank, None, self.processes)
        start = np.zeros(len(batch), dtype=np.int64)
        if self.config.crop_frames is not None:
            last = self.data.features.shape[-1] - self.read_frames
            start = generator.integers(0, last + 1, size=len(batch))
        versions = self._versions(epoch)[batch]
        draws = self._draws(len(batch), epoch, step, generator)
        features, targets = self._mixed(_reads(batch, start, versions), mine, draws)
        other, codecs = None, self.config.codecs
        if self.data.coded and codecs is not None and codecs.consistency_weight:
            partners = self._other_versions(versions, epoch, step)
            second = draws._replace(cut_offs=None)
            other, _ = self._mixed(_reads(batch, start, partners), mine, second)
        clips, bands, frames = len(batch), features.shape[1], self.input_frames
        warp, masks = self.config.time_warp, self.config.spec_augment
        # Drawn for the whole batch, whoever has which clip of it.
        warp_draw = warp.draw(clips, frames, generator) if warp else None
        mask_draw = masks.draw(clips, bands, frames, generator) if masks else None
        return Batch(
            features,
            targets,
            clips,
            warp_draw and TimeWarpDraw(*(part[mine] for part in warp_draw)),
            mask_draw and SpecAugmentDraw(*(part[mine] for part in mask_draw)),
            other,
        )

    def _deal(self, epoch: int, step: int) -> NDArray[np.int64]:
        """Return the positions of a batch's clips among the training clips."""
        if self.order is not None:
            return self.order.batch(epoch, step)
        generator = np.random.default_rng((self.config.seed, epoch))
        order = generator.permutation(len(self.data.training))
        return np.array_split(order, self.steps)[step]

    def _draws(self, clips: int, epoch: int, step: int, generator: np.random.Generator) -> Draws:
        """Draw what changes a batch before its features are standardized.

        It is drawn for the whole batch, whoever has which clip of it.
        """
        style, mixup, devices = self.config.freq_mixstyle, self.config.mixup, self.devices
        # Of its own, so that the other changes are those without codecs.
        own = np.random.default_rng((self.config.seed, epoch, step, *b"cut-offs"))
        return Draws(
            mixup=mixup.draw(clips, generator) if mixup else None,
            devices=devices.draw(clips, self.read_frames, generator) if devices else None,
            style=style.draw(clips, generator) if style else None,
            cut_offs=self.cut_offs.draw(clips, own) if self.cut_offs else None,
        )

    def _mixed(self, reads: NDArray[np.int64], mine: slice, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return features and targets of this process's clips, mixed with clips of the batch."""
        clips = len(reads)
        places = np.arange(clips)[mine]
        needed = places
        if self.processes > 1:  # partners may be another process's clips: read those as well
            for draw in (draws.mixup, draws.style):
                if draw is not None:
                    needed = np.unique(np.concatenate([needed, draw.partner.numpy()[needed]]))
        features, targets = self._clips(reads[needed])
        if draws.devices is not None:
            features = _those(draws.devices, needed).apply(features)
        if draws.cut_offs is not None:
            own_cuts = draws.cut_offs._replace(first=draws.cut_offs.first[needed])
            features = own_cuts.apply(features)
        if draws.style is not None:
            features = _partners(draws.style, needed).apply(features)
        if draws.mixup is not None:
            mixed = _partners(draws.mixup, needed)
            features, targets = mixed.apply(features), mixed.apply(targets)
        own = torch.from_numpy(np.searchsorted(needed, places))
        return (features, targets) if len(needed) == len(places) else (features[own], targets[own])

    def _versions(self, epoch: int) -> NDArray[np.int64]:
        """Return the number of the codec for each clip in an epoch; 0 is no codec."""
        if self.config.codecs is None or not self.data.coded:
            return np.zeros(len(self.data.training), np.int64)
        # A draw of its own, so that the order and the other changes are those without codecs.
        generator = np.random.default_rng((self.config.seed, epoch, *b"codecs"))
        return self.config.codecs.draw(len(self.data.training), generator)

    def _other_versions(
        self, versions: NDArray[np.int64], epoch: int, step: int
    ) -> NDArray[np.int64]:
        """Return another version of each clip: of a coded one the original, else a coded one."""
        generator = np.random.default_rng((self.config.seed, epoch, step, *b"partners"))
        coded = generator.integers(1, len(self.versions), len(versions))
        return np.where(versions > 0, 0, coded).astype(np.int64)

    def _clips(self, reads: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Read clips (clip, 3): the clip, its first frame, and its version: 0, or a codec's."""
        clips, start, versions = reads.T
        rows, frames = self.data.training[clips], self.read_frames
        if frames == self.data.features.shape[-1] and not versions.any():
            read = self.data.features[rows]
        else:
            places = zip(versions, rows, start, strict=True)
            read = np.stack([self.versions[v][row][:, s : s + frames] for v, row, s in places])
        return _tensors(read, self.data.training_targets[clips], self.data)


def _reads(
    clips: NDArray[np.int64], start: NDArray[np.int64], versions: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return what to read of clips, (clip, 3); see `TrainingBatches._clips`."""
    return np.stack([clips, start, versions], axis=1)


def _those(draw: DeviceDraw, needed: NDArray[np.int64]) -> DeviceDraw:
    """Return the devices of some clips of a batch, ascending, whose positions are then 0, 1, ..."""
    there = np.isin(draw.clip.numpy(), needed)
    kept = torch.from_numpy(there)
    return draw._replace(
        clip=torch.from_numpy(np.searchsorted(needed, draw.clip.numpy()[there])),
        gain=draw.gain[kept],
        noise=draw.noise[kept],
        shift=draw.shift[kept],
    )


def _partners(draw: Pairs, needed: NDArray[np.int64]) -> Pairs:
    """Return the pairs of some clips of a batch, ascending; a partner that is not there is unused.

    Such a clip is itself only a partner, and keeps its own values.
    """
    partner = draw.partner.numpy()[needed]
    there = np.isin(partner, needed)
    place = np.where(there, np.searchsorted(needed, np.where(there, partner, needed)), 0)
    weight = torch.where(torch.from_numpy(there), draw.weight[needed], 1.0)
    return draw._replace(partner=torch.from_numpy(place), weight=weight)


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
    """Batches of the validation clips in their order; shared as `TrainingBatches` is."""

    def __init__(
        self, data: Examples, batch_size: int, *, rank: int = 0, processes: int = 1
    ) -> None:
        self.data, self.batch_size = data, batch_size
        mine = slice(rank, None, processes)
        self.rows, self.targets = data.validation[mine], data.validation_targets[mine]

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, step: int) -> Batch:
        """Return the clips from number step * batch_size on."""
        place = slice(step * self.batch_size, (step + 1) * self.batch_size)
        read = self.data.features[self.rows[place]]
        return Batch(*_tensors(read, self.targets[place], self.data), len(read))


def file_order(data: Examples, config: TrainingConfig) -> BalancedOrder | None:
    """Return an order of whole files, where the settings ask for one; else None.

    For the sampling "files" all files count as one class.
    """
    if config.sampling == "shuffled":
        return None
    files, rows = data.training_files or None, len(data.training)
    if config.sampling == "files":
        each = min(config.batch_size, len(set(files or range(rows))))
        return BalancedOrder(
            [0] * rows, classes=1, seed=config.seed, clips=files, clips_a_class=each
        )
    targets, labels = data.training_targets, data.labels
    if data.several:  # clips without a label are one more class
        without = targets.sum(axis=1, keepdims=True) == 0
        if without.any():
            targets, labels = np.hstack([targets, without]), (*labels, "no label")
    return BalancedOrder(
        targets,
        classes=len(labels),
        seed=config.seed,
        clips=files,
        clips_a_class=max(1, config.batch_size // len(labels)),
        labels=labels,
    )


def _tensors(
    features: NDArray[np.float16], targets: NDArray[np.int64], data: Examples
) -> tuple[Tensor, Tensor]:
    classes = torch.from_numpy(targets)
    if not data.several:
        classes = torch.nn.functional.one_hot(classes, len(data.labels))
    return torch.from_numpy(features).float(), classes.float()
