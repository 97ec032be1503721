"""What is made on the way to the tables: clips, extractors, heads and their answers, each once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal import machine
from anymic._internal.files import write_arrays
from anymic.bundle import Bundle, load
from anymic.data.balancing import balance
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.errors import BundleError
from anymic.features.patches import patch_distance_s, patch_length_s
from anymic.importers.vggish import import_vggish
from anymic.inference.answers import average, probabilities
from anymic.models.tagger import Tagger
from anymic.training import fit
from anymic.training.finetuning import finetune
from anymic.training.heads import fit_head, open_sequences, with_labels
from anymic_experiments.xu2018 import grid
from anymic_experiments.xu2018.grid import Extractor, Head, Size

RATE_HZ = 16_000


@dataclass(frozen=True)
class Answers:
    """Probabilities (clip, label) of test clips, their classes and recordings."""

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]


@dataclass(frozen=True)
class Clips:
    """A fold's clips, trimmed and normalized, with shifted ones of those that train or without."""

    fold: str
    manifest: Manifest
    shifted: bool


@dataclass(frozen=True)
class Job:
    """An extractor of one fold and seed, and heads on it: what one process does."""

    fold: str
    extractor: Extractor
    seed: int
    heads: tuple[Head, ...]

    @property
    def name(self) -> str:
        """Of the extractor's folder."""
        return f"{self.fold}-{self.extractor.name}-seed{self.seed}"


@dataclass(frozen=True)
class Workshop:
    """Where everything is made, and with which settings.

    Attributes
    ----------
    out : Path
        clips/, extractors/, sequences/ and heads/ go there.
    size : Size
    weights : Path or None
        VGGish's, to be fine-tuned; None trains from random weights.
    """

    out: Path
    size: Size
    weights: Path | None

    def prepare(self, clips: Clips, *, workers: int = 1) -> None:
        """Make the clips, in so many processes; what is there is not made again."""
        balance(
            clips.manifest,
            self._clips(clips.fold, shifted=clips.shifted),
            rate_hz=RATE_HZ,
            clips=self.size.shifted if clips.shifted else 0,  # at least none: as they are
            workers=workers,
            progress=False,
        )

    def prepared(self, clips: Clips) -> bool:
        """Say whether all of the clips are there."""
        return (self._clips(clips.fold, shifted=clips.shifted) / "manifest.csv").is_file()

    def do(self, job: Job) -> None:
        """Train the job's extractor and its heads, and keep the heads' answers.

        An interrupted extractor goes on, an interrupted head begins again.
        """
        machine.keep_memory()
        vggish = self.extractor(job)
        for head in job.heads:
            if not self.answered(job, head).is_file():
                self._train(job, head, vggish)

    def answered(self, job: Job, head: Head) -> Path:
        """Return the file of a head's answers."""
        return self.out / "heads" / f"{job.name}-{head.name}.npz"

    def answers(self, job: Job, head: Head) -> Answers:
        """Read what a head answered."""
        with np.load(self.answered(job, head)) as found:
            return Answers(found["probabilities"], found["targets"], found["groups"])

    def extractor(self, job: Job) -> Bundle:
        """Return the job's extractor, trained where it is not there."""
        place = self.out / "extractors" / job.name
        if not (place / "bundle.json").is_file():
            start = import_vggish(self.weights, width=self.size.width, seed=job.seed)
            if job.extractor.sampling is None:
                start.save(place)
            else:
                self._learn(job, start, place)
                shutil.rmtree(place / "checkpoints", ignore_errors=True)
        found = load(place)
        assert isinstance(found, Bundle)
        return found

    def _learn(self, job: Job, start: Bundle, place: Path) -> None:
        """Fine-tune, or train from scratch; `start` is what is fine-tuned."""
        clips = parted(self._prepared(job.fold, shifted=False), job.extractor, seed=job.seed)
        heard = clips.where(split=["train", "validation"])
        patches, _ = cut_rows(heard, length_s=patch_length_s(), distance_s=patch_distance_s())
        config = grid.extractor_config(
            job.extractor, self.size, classes=len(clips.labels), seed=job.seed
        )
        cache, resume = self.out / "features", place.is_dir()
        if self.weights is None:
            fit(patches, config, place, resume=resume, progress=False, cache=cache)
            return
        finetune(
            with_labels(start, clips.labels, seed=job.seed),
            patches,
            place,
            config=config,
            report_epochs=(),
            resume=resume,
            progress=False,
            cache=cache,
        )

    def _train(self, job: Job, head: Head, vggish: Bundle) -> None:
        """Train a head and keep its answers for the test clips."""
        manifest = self._prepared(job.fold, shifted=head.shifted)
        clips = parted(manifest, job.extractor, seed=job.seed)
        cache, target = self.out / "sequences", self.answered(job, head)
        place = target.with_suffix("")  # of the training; nobody asks for it when it has answered
        shutil.rmtree(place, ignore_errors=True)
        tagger = fit_head(
            clips.where(split=["train", "validation"]),
            vggish,
            head.config(self.size, seed=job.seed),
            place,
            segments=head.segments,
            hidden=self.size.hidden,
            cache=cache,
        )
        facts = vars(answer(tagger, clips.where(split="test"), cache))
        write_arrays(target, **facts)
        shutil.rmtree(place)

    def _prepared(self, fold: str, *, shifted: bool) -> Manifest:
        return Manifest.read(self._clips(fold, shifted=shifted) / "manifest.csv")

    def _clips(self, fold: str, *, shifted: bool) -> Path:
        return self.out / "clips" / (f"{fold}-shifted" if shifted else fold)


def jobs(
    folds: Sequence[str], extractors: dict[Extractor, tuple[Head, ...]], *, seeds: Sequence[int]
) -> list[Job]:
    """Return every fold, extractor and seed; whole seeds first, so that what is done is usable."""
    return [
        Job(fold, extractor, seed, heads)
        for seed in seeds
        for fold in folds
        for extractor, heads in extractors.items()
    ]


def parted(manifest: Manifest, extractor: Extractor, *, seed: int) -> Manifest:
    """Set the last recordings aside for validation, or the first, in an order of the seed.

    The paper takes the corpus's own order; by recordings, a clip and its shifted copies stay on
    one side. Shifted clips do not validate.
    """
    training = (manifest.table["split"] == "train").to_numpy(dtype=bool)
    recordings = np.asarray(manifest.recordings())
    names = np.unique(recordings[training])
    order = np.random.default_rng(seed).permutation(names)
    count = max(1, round(grid.VALIDATION_SHARE * len(order)))
    aside = order[-count:] if extractor.part == "first" else order[:count]
    validating = training & np.isin(recordings, aside)
    split = np.where(validating, "validation", manifest.table["split"].to_numpy(dtype=str))
    if "semitones" in manifest.table.columns:
        shifted = (manifest.table["semitones"].astype(str) != "0").to_numpy(dtype=bool)
        return manifest.with_columns(split=split).rows(~(validating & shifted))
    return manifest.with_columns(split=split)


def answer(bundle: Bundle, manifest: Manifest, cache: Path) -> Answers:
    """Let a tagger answer from sequences that all heads share: the mean over a clip's windows."""
    network = bundle.network
    assert isinstance(network, Tagger)
    found = open_sequences(manifest, bundle, cache)
    if found.failures:
        raise BundleError(
            f"{len(found.failures)} clips cannot be used. The first: {found.failures[0].reason}"
        )
    sequences = torch.from_numpy(found.features).float().transpose(1, 2)
    with torch.inference_mode():
        standardized = network.standardization(sequences)
        each = probabilities(network.head(standardized), bundle.temperature)
    mean = np.stack([average(each[found.rows == clip]) for clip in range(len(manifest))])
    return Answers(mean, manifest.targets(bundle.labels), np.array(manifest.recordings()))
