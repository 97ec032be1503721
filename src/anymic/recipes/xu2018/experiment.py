"""The whole experiment: clips prepared, extractors, heads, their answers, and the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anymic.bundle import Bundle, load
from anymic.datasets.evening import even
from anymic.datasets.pieces import cut_rows
from anymic.errors import BundleError, ConfigError, ManifestError
from anymic.frontend.patches import patch_distance_s, patch_length_s
from anymic.importing.vggish import import_vggish
from anymic.manifest import Manifest, check_splits
from anymic.metrics import mean_average_precision_at
from anymic.models.tagger import Tagger
from anymic.recipes import page
from anymic.recipes.page import Section
from anymic.recipes.xu2018 import grid, texts
from anymic.recipes.xu2018.grid import Extractor, Head, Line, Scale, Size
from anymic.report.rows import Row, row
from anymic.tagging import fit_head, open_sequences, with_labels
from anymic.training import fit
from anymic.training.finetuning import finetune
from anymic.voting import vote

RATE_HZ = 16_000
RESULT = "answers.npz"
METRIC = "mean_average_precision_at_3"


@dataclass(frozen=True)
class Answers:
    """Probabilities (clip, label) of test clips, their classes and recordings."""

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]


@dataclass(frozen=True)
class Experiment:
    """What to train on, and how.

    Attributes
    ----------
    data : Path
        A manifest with a column `split` (train and test), or `fold`: then each fold is the test
        set once.
    out : Path
        Folder of all that is made; what is found finished is not made again.
    scale : {"paper", "small"}
    seeds : tuple of int
    weights : Path or None
        VGGish's, which "paper" fine-tunes.
    size : Size or None
        In place of the scale's.
    workers : int
        Processes that shift clips.
    """

    data: Path
    out: Path
    scale: Scale = "small"
    seeds: tuple[int, ...] = (0, 1)
    weights: Path | None = None
    size: Size | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        """Refuse the paper's scale without the weights that it fine-tunes."""
        if self.scale == "paper" and self.weights is None:
            raise ConfigError(
                "the paper's scale without the weights of VGGish",
                wanted="--weights vggish-10086976.pth",
                remedy="fetch them with anymic import vggish --download, or use --scale small",
            )

    @property
    def sizes(self) -> Size:
        """The settings of the scale."""
        return self.size or grid.SIZES[self.scale]

    def folds(self) -> dict[str, Manifest]:
        """Return the corpus with train and test clips, a manifest a fold."""
        manifest = Manifest.read(self.data)
        if len(manifest.labels) < 3:
            raise ManifestError(
                f"{len(manifest.labels)} labels for MAP@3",
                wanted="3 or more",
                remedy="choose a corpus with more labels",
            )
        if "split" in manifest.table.columns:
            check_splits(manifest)
            return {"all": manifest.where(split=["train", "test"])}
        manifest.require("fold", purpose="a test set")
        numbers = sorted(set(manifest.table["fold"].tolist()) - {-1})
        return {
            f"fold{number}": manifest.with_columns(
                split=np.where(manifest.table["fold"] == number, "test", "train")
            )
            for number in numbers
        }

    def run(
        self, tables: Iterable[int], *, page_folder: Path | None, command: str
    ) -> tuple[list[Path], str]:
        """Train what is missing, compare, and write the report; returns files and the page."""
        sections = []
        for table in sorted(set(tables) or {2, 3, 4}):
            chosen = grid.lines(table, self.sizes)
            rows = [self._row(line).under(table=str(table), line=line.name) for line in chosen]
            sections.append(Section(texts.TITLES[table], texts.table(chosen, rows), rows))
        sections.append(Section("What the paper leaves open", texts.decisions(self.sizes)))
        return page.write(
            sections,
            texts.introduction(self.scale, command=command, seeds=len(self.seeds)),
            self.out,
            title="Xu, Smit and Kurimo 2018",
            name="xu2018",
            folder=page_folder,
            command=command,
            seeds=list(self.seeds),
        )

    def _row(self, line: Line) -> Row:
        """Return MAP@3 of a line over all folds and seeds; recordings are drawn for all seeds."""
        found = [
            self.answers(fold, manifest, line, seed)
            for fold, manifest in self.folds().items()
            for seed in self.seeds
        ]
        interval = mean_average_precision_at(
            np.concatenate([one.probabilities for one in found]),
            np.concatenate([one.targets for one in found]),
            np.concatenate([one.groups for one in found]),
        )
        return row(METRIC, interval)

    def answers(self, fold: str, manifest: Manifest, line: Line, seed: int) -> Answers:
        """Return the geometric mean of a line's extractors on a fold's test clips."""
        each = [self._head(fold, manifest, one, line.head, seed) for one in line.extractors]
        together = vote(np.stack([one.probabilities for one in each]), "geometric", ())
        return Answers(together, each[0].targets, each[0].groups)

    def prepared(self, fold: str, manifest: Manifest, *, shifted: bool) -> Manifest:
        """Return trimmed and normalized clips, and shifted ones of the training clips."""
        clips = self.sizes.shifted if shifted else 0  # at least none: as they are
        place = self.out / "clips" / (f"{fold}-shifted" if shifted else fold)
        result = even(
            manifest, place, rate_hz=RATE_HZ, clips=clips, workers=self.workers, progress=False
        )
        return result.manifest

    def _extractor(self, fold: str, manifest: Manifest, extractor: Extractor, seed: int) -> Bundle:
        size = self.sizes
        place = self.out / "extractors" / f"{fold}-{extractor.name}-seed{seed}"
        if (place / "bundle.json").is_file():
            found = load(place)
            assert isinstance(found, Bundle)
            return found
        start = import_vggish(self.weights, width=size.width, seed=seed)
        if extractor.sampling is None:
            start.save(place)
            return start
        clips = parted(self.prepared(fold, manifest, shifted=False), extractor, seed=seed)
        patches, _ = cut_rows(clips, length_s=patch_length_s(), distance_s=patch_distance_s())
        patches = patches.where(split=["train", "validation"])
        config = grid.extractor_config(
            extractor,
            size,
            classes=len(clips.labels),
            seed=seed,
            patches=len(patches) / len(clips.where(split=["train", "validation"])),
        )
        cache, resume = self.out / "features", place.is_dir()
        if self.weights is None:
            return fit(patches, config, place, resume=resume, progress=False, cache=cache)
        return finetune(
            with_labels(start, clips.labels, seed=seed),
            patches,
            place,
            config=config,
            report_epochs=(),
            resume=resume,
            progress=False,
            cache=cache,
        )

    def _head(
        self, fold: str, manifest: Manifest, extractor: Extractor, head: Head, seed: int
    ) -> Answers:
        """Train a head on an extractor and let it answer; once."""
        place = self.out / "heads" / f"{fold}-{extractor.name}-{head.name}-seed{seed}"
        if not (place / RESULT).is_file():
            vggish = self._extractor(fold, manifest, extractor, seed)
            clips = parted(
                self.prepared(fold, manifest, shifted=head.shifted), extractor, seed=seed
            )
            config = head.config(self.sizes, seed=seed)
            cache = self.out / "sequences"
            bundle = fit_head(
                clips.where(split=["train", "validation"]),
                vggish,
                config,
                place,
                segments=head.segments,
                hidden=self.sizes.hidden,
                cache=cache,
            )
            test = clips.where(split="test")
            answers = answer(bundle, test, cache)
            facts = {
                "probabilities": answers.probabilities,
                "targets": answers.targets,
                "groups": answers.groups,
            }
            beside = place / "unfinished.npz"
            np.savez(beside, **facts)  # type: ignore[arg-type]
            beside.replace(place / RESULT)
        with np.load(place / RESULT) as found:
            return Answers(found["probabilities"], found["targets"], found["groups"])


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
        raise BundleError(f"{len(found.failures)} test clips ({found.failures[0].reason})")
    sequences = torch.from_numpy(found.features).float().transpose(1, 2)
    with torch.inference_mode():
        standardized = network.standardization(sequences)
        logits = network.head(standardized).double()
    each = torch.softmax(logits / bundle.temperature, dim=1).numpy()
    mean = np.stack([each[found.rows == clip].mean(axis=0) for clip in range(len(manifest))])
    targets = [bundle.labels.index(label) for label in manifest.table["label"]]
    return Answers(mean, np.array(targets, dtype=np.int64), np.array(manifest.recordings()))
