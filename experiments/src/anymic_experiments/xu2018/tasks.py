"""What is made on the way to the tables: clips, extractors, heads and their predictions."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from anymic import models
from anymic._internal.files import write_arrays
from anymic.bundle import Bundle, load
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.features.patches import patch_distance_s, patch_length_s
from anymic.importers.vggish import import_vggish
from anymic.inference.answers import average, probabilities
from anymic.models.tagger import Standardization
from anymic.models.yamnet import FRAMES, HOP_FRAMES, YAMNet
from anymic.training import TrainingConfig, fit, load_config
from anymic.training.finetuning import finetune
from anymic.training.heads import with_labels
from anymic.training.loop.trainer import train
from anymic.training.parts import Examples
from anymic.training.run import fresh_network
from anymic_experiments.commands import Scale
from anymic_experiments.experiment import by_fold
from anymic_experiments.runner import Task
from anymic_experiments.xu2018.cutting import cut
from anymic_experiments.xu2018.sequences import Sequences, padded, sequences
from anymic_experiments.xu2018.settings import LSTM, Extractor, Head, Settings, Size

PARTS = ("train", "validation", "test")
TOGETHER = 512  # parts of sequences that a head classifies together


class Answers(NamedTuple):
    """Probabilities (clip, label) of test clips, their classes and recordings."""

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]


def clips(out: Path, *, shifted: bool) -> Path:
    """Return the manifest of the clips, trimmed and normalized, with shifted ones or not."""
    return out / ("clips-shifted" if shifted else "clips") / "manifest.csv"


@dataclass(frozen=True)
class Job(Task):
    """The task of training an extractor of one fold and seed, and heads on it.

    An interrupted VGGish goes on, everything else begins again.
    """

    fold: str
    extractor: str
    seed: int
    heads: tuple[Head, ...]
    grid: Settings = field(compare=False)
    scale: Scale
    weights: Path | None = None
    pretrained: str | None = None  # a model in place of VGGish

    @property
    def name(self) -> str:
        """Of the extractor's folder."""
        return f"{self.fold}-{self.extractor}-seed{self.seed}"

    @property
    def size(self) -> Size:
        """What its scale differs in."""
        return self.grid.sizes[self.scale]

    def answered(self, head: Head, out: Path) -> Path:
        """Return the file of a head's predictions."""
        return out / "heads" / f"{self.name}-{head.name}.npz"

    def answers(self, head: Head, out: Path) -> Answers:
        """Return a head's predictions."""
        with np.load(self.answered(head, out)) as found:
            return Answers(*(found[name] for name in Answers._fields))

    def missing(self, out: Path) -> list[Head]:
        """Return the heads that have not predicted."""
        return [head for head in self.heads if not self.answered(head, out).is_file()]

    def done(self, out: Path) -> bool:
        """Say whether all heads have predicted."""
        return not self.missing(out)

    def finish(self, out: Path) -> None:
        """Train what is not there, and keep the heads' predictions."""
        extractor, missing = self.trained(out), self.missing(out)
        shifted = any(head.shifted for head in missing)
        manifest = Manifest.read(clips(out, shifted=shifted))
        found = self._sequences(extractor, manifest, out, shifted=shifted)
        for head in missing:
            self._train(head, found, manifest, out)

    def trained(self, out: Path) -> Bundle:
        """Return the extractor, trained where it is not there."""
        place = out / "extractors" / self.name
        if not (place / "bundle.json").is_file():
            start = self._start()
            if self.grid.extractors[self.extractor].sampling is None:
                start.save(place)
            else:
                learn = self._learn if self.pretrained is None else self._tune
                learn(start, place, out)
                shutil.rmtree(place / "checkpoints", ignore_errors=True)
        found = load(place)
        assert isinstance(found, Bundle)
        return found

    def _start(self) -> Bundle:
        """Return what is fine-tuned, or has random weights."""
        if self.pretrained is not None:
            return Bundle.load(self.pretrained)
        return import_vggish(self.weights, width=self.size.width, seed=self.seed)

    def _config(self, manifest: Manifest, **changes: object) -> TrainingConfig:
        """Return the settings of an extractor's training: a clip of each label in a batch."""
        sampling = self.grid.extractors[self.extractor].sampling
        own: dict[str, Any] = {"epochs": self.size.extractor_epochs, "seed": self.seed}
        own |= {"batch_size": len(manifest.labels), "sampling": sampling, **self.size.extractor}
        preset = self.grid.presets[self.scale]
        return load_config(preset, changes={**own, **changes, **self.grid.changes})

    def _learn(self, start: Bundle, place: Path, out: Path) -> None:
        """Fine-tune a VGGish, or train it from scratch; `start` is what is fine-tuned."""
        manifest = Manifest.read(clips(out, shifted=False))
        manifest = manifest.with_columns(split=self._parts(manifest))
        used = manifest.where(split=["train", "validation"])
        patches, _ = cut_rows(used, length_s=patch_length_s(), distance_s=patch_distance_s())
        config = self._config(manifest, width=self.size.width)
        cache, resume = out / "features", place.is_dir()
        if self.weights is None:
            fit(patches, config, place, resume=resume, progress=False, cache=cache)
            return
        finetune(
            with_labels(start, manifest.labels, seed=self.seed),
            patches,
            place,
            config=config,
            report_epochs=(),
            resume=resume,
            progress=False,
            cache=cache,
        )

    def _tune(self, start: Bundle, place: Path, out: Path) -> None:
        """Fine-tune the last layers of a YAMNet, on what the layers before them calculate."""
        manifest, layers = Manifest.read(clips(out, shifted=False)), self._layers(start)
        found = sequences(manifest, start, out / "segments", layers=layers)
        bundle = with_labels(start, manifest.labels, seed=self.seed)
        _, above = cut(cast(YAMNet, bundle.network), layers)
        # Every second segment: together they are the clip, without overlap.
        first = np.searchsorted(found.clips, found.clips)
        apart = (np.arange(len(found.clips)) - first) % (FRAMES // HOP_FRAMES) == 0
        parts, targets = self._parts(manifest), manifest.targets(bundle.labels)
        used = {part: np.flatnonzero(apart & (parts[found.clips] == part)) for part in PARTS}
        data = Examples(
            found.features[:, :, None],
            bundle.labels,
            used["train"],
            targets[found.clips[used["train"]]],
            used["validation"],
            targets[found.clips[used["validation"]]],
            training_files=tuple(str(clip) for clip in found.clips[used["train"]]),
        )
        result = trained(above, data, self._config(manifest, precision="float32"), place)
        replace(bundle, training={**bundle.training, **result}).save(place)

    def _layers(self, start: Bundle) -> int:
        """Return the number of layers that are not fine-tuned."""
        return min(models.choose_segments(cast(YAMNet, start.network), self.grid.tuned))

    def _sequences(
        self, extractor: Bundle, manifest: Manifest, out: Path, *, shifted: bool
    ) -> Sequences:
        """Return the embeddings of all segments, which all heads share."""
        cache = out / "segments"
        if self.pretrained is None:
            return sequences(manifest, extractor, cache)
        path = out / "sequences" / f"{self.name}{'-shifted' * shifted}.npz"
        if not path.is_file():
            layers = self._layers(extractor)
            maps = sequences(manifest, extractor, cache, layers=layers)
            maps.embedded(cut(cast(YAMNet, extractor.network), layers)[1]).write(path)
        return Sequences.read(path)

    def _train(self, head: Head, found: Sequences, manifest: Manifest, out: Path) -> None:
        """Train a head and keep its predictions for the test clips."""
        parts = self._parts(manifest)
        if not head.shifted:
            parts = np.where(_shifted(manifest), "", parts)
        labels, targets = tuple(manifest.labels), manifest.targets(manifest.labels)
        data, owners = examples(found, parts, targets, labels, head)
        target = self.answered(head, out)
        place = target.with_suffix("")  # of the training, which nobody asks for afterwards
        shutil.rmtree(place, ignore_errors=True)
        options = {"nonlinearity": self.grid.nonlinearity}
        network = fresh_network(
            head.network,
            classes=len(labels),
            seed=self.seed,
            arguments={
                "inputs": data.features.shape[1],
                "hidden": self.size.hidden,
                **(options if head.network != LSTM else {}),
            },
        )
        trained(network, data, self.grid.head_config(head, self.scale, seed=self.seed), place)
        tested = np.flatnonzero(parts == "test")
        each = classified(network, data.features[parts[owners] == "test"])
        owners = owners[parts[owners] == "test"]
        mean = np.stack([average(each[owners == clip]) for clip in tested])
        groups = np.array(manifest.recordings())[tested]
        write_arrays(target, **Answers(mean, targets[tested], groups)._asdict())
        shutil.rmtree(place)

    def _parts(self, manifest: Manifest) -> NDArray[np.str_]:
        """Return the part of each clip in this fold: of PARTS, or "" for none."""
        split = manifest if self.fold == "all" else by_fold(manifest)[self.fold]
        extractor = self.grid.extractors[self.extractor]
        seed = None if self.size.order == "listed" else self.seed
        return parted(split, extractor, self.grid.validation, seed=seed)


def parted(
    manifest: Manifest, extractor: Extractor, share: Sequence[int], *, seed: int | None
) -> NDArray[np.str_]:
    """Set the last recordings of the training clips aside for validation, or the first.

    By recordings, a clip and its shifted copies stay on one side. Shifted clips only train.

    Parameters
    ----------
    manifest : Manifest
        With a column `split`.
    extractor : Extractor
    share : (int, int)
        Clips that validate, of how many.
    seed : int, optional
        Of the order; by default that of the manifest, as in the paper.

    Returns
    -------
    array (clip,) of str
        One of PARTS, or "" for what is not used.
    """
    split = manifest.table["split"].to_numpy(dtype=str)
    recordings = np.asarray(manifest.recordings())
    order = np.asarray(pd.unique(recordings[split == "train"]))
    if seed is not None:
        order = np.random.default_rng(seed).permutation(np.sort(order))
    count = max(1, round(share[0] / share[1] * len(order)))
    aside = order[-count:] if extractor.part == "first" else order[:count]
    parts = np.where((split == "train") & np.isin(recordings, aside), "validation", split)
    return np.where(_shifted(manifest) & (parts != "train"), "", parts)


def _shifted(manifest: Manifest) -> NDArray[np.bool_]:
    """Return whether each clip is a shifted copy."""
    if "semitones" not in manifest.table.columns:
        return np.zeros(len(manifest), dtype=bool)
    return np.asarray(manifest.table["semitones"].astype(str) != "0", dtype=bool)


def examples(
    found: Sequences,
    parts: NDArray[np.str_],
    targets: NDArray[np.int64],
    labels: tuple[str, ...],
    head: Head,
) -> tuple[Examples, NDArray[np.int64]]:
    """Return the parts of sequences that a head is given, standardized, and the clip of each.

    A clip has parts of the head's number of segments, or is one part of all of its own.
    """
    number = head.segments if isinstance(head.segments, int) else None
    found = found.standardized(parts[found.clips] == "train")
    cuts, owners = [], []
    for row in np.flatnonzero(parts != ""):
        own = found.parts(int(row), number)
        cuts += list(own)
        owners += [row] * len(own)
    of = np.array(owners, dtype=np.int64)
    training, validation = (np.flatnonzero(parts[of] == part) for part in PARTS[:2])
    data = Examples(
        padded(cuts), labels, training, targets[of[training]], validation, targets[of[validation]]
    )
    return data, of


def trained(
    network: models.Network, data: Examples, config: TrainingConfig, place: Path
) -> dict[str, object]:
    """Train a network on features that are ready, and return what came of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        frontend = Standardization(data.features.shape[1])
        return train(network, frontend, data, config, place, False, False, {})


def classified(network: models.Network, features: NDArray[np.float16]) -> NDArray[np.float64]:
    """Return the probabilities (part, label) of parts of sequences (part, feature, segment)."""
    network.eval()
    with torch.inference_mode():
        each = [
            network(torch.from_numpy(features[start : start + TOGETHER]).float().unsqueeze(1))
            for start in range(0, len(features), TOGETHER)
        ]
    return probabilities(torch.cat(each))
