"""What is made on the way to the tables: clips, extractors, heads and their predictions."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.files import write_arrays
from anymic.bundle import Bundle, load
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.features.patches import patch_distance_s, patch_length_s
from anymic.importers.vggish import import_vggish
from anymic.inference.answers import average, probabilities
from anymic.inference.sequences import open_sequences
from anymic.models import ALL
from anymic.models.tagger import Tagger
from anymic.training import fit, load_config
from anymic.training.finetuning import finetune
from anymic.training.heads import fit_head, with_labels
from anymic_experiments.commands import Scale
from anymic_experiments.runner import Task
from anymic_experiments.xu2018.settings import Extractor, Head, Settings


class Answers(NamedTuple):
    """Probabilities (clip, label) of test clips, their classes and recordings."""

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]


def clips(out: Path, fold: str, *, shifted: bool) -> Path:
    """Return the manifest of a fold's clips, trimmed and normalized, with shifted ones or not."""
    return out / "clips" / (f"{fold}-shifted" if shifted else fold) / "manifest.csv"


@dataclass(frozen=True)
class Job(Task):
    """The task of training an extractor of one fold and seed, and heads on it.

    An interrupted extractor goes on, an interrupted head begins again.
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

    def answered(self, head: Head, out: Path) -> Path:
        """Return the file of a head's predictions."""
        return out / "heads" / f"{self.name}-{head.name}.npz"

    def answers(self, head: Head, out: Path) -> Answers:
        """Return a head's predictions."""
        with np.load(self.answered(head, out)) as found:
            return Answers(*(found[name] for name in Answers._fields))

    def done(self, out: Path) -> bool:
        """Say whether all heads have predicted."""
        return all(self.answered(head, out).is_file() for head in self.heads)

    def finish(self, out: Path) -> None:
        """Train what is not there, and keep the heads' predictions."""
        vggish = self.trained(out)
        for head in self.heads:
            if not self.answered(head, out).is_file():
                self._train(head, vggish, out)

    def trained(self, out: Path) -> Bundle:
        """Return the extractor, trained where it is not there."""
        place = out / "extractors" / self.name
        if not (place / "bundle.json").is_file():
            start = self._start()
            if self.grid.extractors[self.extractor].sampling is None:
                start.save(place)
            else:
                self._learn(start, place, out)
                shutil.rmtree(place / "checkpoints", ignore_errors=True)
        found = load(place)
        assert isinstance(found, Bundle)
        return found

    def _start(self) -> Bundle:
        """Return what is fine-tuned, or has random weights."""
        if self.pretrained is not None:
            return Bundle.load(self.pretrained)
        width = self.grid.sizes[self.scale].width
        return import_vggish(self.weights, width=width, seed=self.seed)

    def _learn(self, start: Bundle, place: Path, out: Path) -> None:
        """Fine-tune, or train from scratch; `start` is what is fine-tuned."""
        manifest = self._parted(out, shifted=False)
        used = manifest.where(split=["train", "validation"])
        patches, _ = cut_rows(used, length_s=patch_length_s(), distance_s=patch_distance_s())
        size, sampling = self.grid.sizes[self.scale], self.grid.extractors[self.extractor].sampling
        changes = {"width": size.width, "epochs": size.extractor_epochs, "sampling": sampling}
        changes |= {"batch_size": len(manifest.labels), "seed": self.seed}  # a clip of each label
        changes |= self.grid.changes
        config = load_config(self.grid.presets[self.scale], changes=changes)
        cache, resume = out / "features", place.is_dir()
        if self.weights is None and self.pretrained is None:
            fit(patches, config, place, resume=resume, progress=False, cache=cache)
            return
        finetune(
            with_labels(start, manifest.labels, seed=self.seed),
            patches,
            place,
            config=config,
            segments=self.grid.tuned if self.pretrained is not None else ALL,
            report_epochs=(),
            resume=resume,
            progress=False,
            cache=cache,
        )

    def _train(self, head: Head, vggish: Bundle, out: Path) -> None:
        """Train a head and keep its predictions for the test clips."""
        assert isinstance(head.segments, int)
        manifest = self._parted(out, shifted=head.shifted)
        cache, target = out / "sequences", self.answered(head, out)
        place = target.with_suffix("")  # of the training, which nobody asks for afterwards
        shutil.rmtree(place, ignore_errors=True)
        tagger = fit_head(
            manifest.where(split=["train", "validation"]),
            vggish,
            self.grid.head_config(head, self.scale, seed=self.seed),
            place,
            segments=head.segments,
            hidden=self.grid.sizes[self.scale].hidden,
            cache=cache,
        )
        write_arrays(target, **answer(tagger, manifest.where(split="test"), cache)._asdict())
        shutil.rmtree(place)

    def _parted(self, out: Path, *, shifted: bool) -> Manifest:
        manifest = Manifest.read(clips(out, self.fold, shifted=shifted))
        extractor = self.grid.extractors[self.extractor]
        return parted(manifest, extractor, self.grid.validation, seed=self.seed)


def parted(
    manifest: Manifest, extractor: Extractor, share: Sequence[int], *, seed: int
) -> Manifest:
    """Set the last recordings aside for validation, or the first, in an order of the seed.

    The paper takes the corpus's own order; by recordings, a clip and its shifted copies stay on
    one side. Shifted clips do not validate.
    """
    training = (manifest.table["split"] == "train").to_numpy(dtype=bool)
    recordings = np.asarray(manifest.recordings())
    order = np.random.default_rng(seed).permutation(np.unique(recordings[training]))
    count = max(1, round(share[0] / share[1] * len(order)))
    aside = order[-count:] if extractor.part == "first" else order[:count]
    validating = training & np.isin(recordings, aside)
    split = np.where(validating, "validation", manifest.table["split"].to_numpy(dtype=str))
    if "semitones" in manifest.table.columns:
        shifted = (manifest.table["semitones"].astype(str) != "0").to_numpy(dtype=bool)
        return manifest.with_columns(split=split).rows(~(validating & shifted))
    return manifest.with_columns(split=split)


def answer(bundle: Bundle, manifest: Manifest, cache: Path) -> Answers:
    """Classify clips by sequences that all heads share: the mean over a clip's windows.

    Raises BundleError if a clip cannot be used.
    """
    network = bundle.network
    assert isinstance(network, Tagger)
    found = open_sequences(manifest, bundle, cache)
    require_all_usable(found.failures)
    sequences = torch.from_numpy(found.features).float().transpose(1, 2)
    with torch.inference_mode():
        standardized = network.standardization(sequences)
        each = probabilities(network.head(standardized), bundle.temperature)
    mean = np.stack([average(each[found.rows == clip]) for clip in range(len(manifest))])
    return Answers(mean, manifest.targets(bundle.labels), np.array(manifest.recordings()))
