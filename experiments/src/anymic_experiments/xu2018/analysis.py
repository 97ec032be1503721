"""Audio tagging with fine-tuned extractors: what the tables need, their MAP@3, and what agrees."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from anymic._internal.files import file_digest, write_text
from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle
from anymic.bundle.voting import vote
from anymic.data.balancing import balance
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError, ManifestError
from anymic.evaluation.report.rows import Row, row
from anymic.importers.vggish import import_vggish
from anymic.metrics.intervals import paired_difference
from anymic.metrics.scores import mean_average_precision_at, reciprocal_ranks_at
from anymic.models import Network, choose_segments
from anymic.models.yamnet import YAMNet
from anymic.training.finetuning import weights_digest
from anymic.training.heads import with_labels
from anymic_experiments.commands import ROOT
from anymic_experiments.experiment import Experiment, by_fold, has_split
from anymic_experiments.findings import Findings, Published
from anymic_experiments.page import Section
from anymic_experiments.runner import finish_all
from anymic_experiments.xu2018.settings import Head, Line, Settings
from anymic_experiments.xu2018.tasks import Answers, Job, clips

__all__ = ["SECTIONS", "Settings", "prepare"]

METRIC = "mean_average_precision_at_3"
STATE = "experiment.json"
RATE_HZ = 16_000
Ours = Experiment[Settings]


def prepare(experiment: Ours) -> Ours:
    """Divide the corpus into folds, and refuse to go on with what another experiment left.

    Raises ConfigError at the scales that fine-tune, without the weights or the model for it; in a
    folder that holds the results of other settings, weights or clips.
    """
    weights, size = experiment.options.get("weights"), experiment.grid.sizes[experiment.scale]
    pretrained = experiment.options.get("extractor")
    digest = None
    (data,) = experiment.data
    manifest = Manifest.read(data)
    if experiment.scale == "pretrained":
        if pretrained is None or weights is not None:
            raise ConfigError(
                "the scale pretrained needs a model, and no weights of VGGish",
                expected="--extractor yamnet, or the folder of another YAMNet",
                fix="install YAMNet with `anymic import yamnet`, and leave out --weights",
            )
        bundle = Bundle.load(pretrained)
        if not isinstance(bundle.network, YAMNet):
            raise ConfigError(
                f"the network of {pretrained} is {bundle.network_name}",
                expected="a YAMNet, whose last layers are fine-tuned",
                fix="use --extractor yamnet",
            )
        network = cast(Network, with_labels(bundle, manifest.labels).network)
        choose_segments(network, experiment.grid.tuned)
        digest = weights_digest(bundle)
    elif weights is not None:  # refused now, and not when the clips are ready
        import_vggish(weights, width=size.width)
        digest = file_digest(weights)
    elif experiment.scale == "paper":
        raise ConfigError(
            "the scale of the paper needs the weights of VGGish",
            expected="--weights vggish-10086976.pth",
            fix="download them with `anymic import vggish --download`, or use --scale small",
        )
    found = folds(manifest)
    here = {
        "scale": experiment.scale,
        "size": to_mapping(size),
        "manifest": manifest.digest(),
        "weights": digest,
    }
    _remember(experiment.out / STATE, here)
    return replace(experiment, made=found)


def folds(manifest: Manifest) -> dict[str, Manifest]:
    """Return the corpus with train and test clips, a manifest a fold."""
    if len(manifest.labels) < 3:
        raise ManifestError(
            f"there are {len(manifest.labels)} labels for MAP@3",
            expected="3 or more",
            fix="choose a corpus with more labels",
        )
    if has_split(manifest):
        return {"all": manifest.where(split=["train", "test"])}
    return by_fold(manifest)


def _remember(path: Path, here: Mapping[str, object]) -> None:
    """Write down what a folder holds; refuse one that holds something else."""
    if path.is_file():
        there = json.loads(path.read_text(encoding="utf-8"))
        different = [name for name in here if there.get(name) != here[name]]
        if different:
            raise ConfigError(
                f"the experiment in {path.parent} has another {' and '.join(different)}",
                expected="the same, to resume it",
                fix="choose another --out",
            )
    write_text(path, json.dumps(here, indent=1) + "\n")


def jobs(experiment: Ours, lines: Iterable[Line]) -> list[Job]:
    """Return every extractor with the heads that lines need on it; whole seeds first."""
    grid, scale = experiment.grid, experiment.scale
    weights, pretrained = (experiment.options.get(name) for name in ("weights", "extractor"))
    heads: dict[str, dict[Head, None]] = {}
    for line in lines:
        for extractor, head in line.models:
            heads.setdefault(extractor, {})[head] = None
    return [
        Job(fold, extractor, seed, tuple(own), grid, scale, weights, pretrained)
        for seed in experiment.seeds
        for fold in experiment.made
        for extractor, own in heads.items()
    ]


def train(experiment: Ours, lines: Iterable[Line]) -> None:
    """Make what lines need and is not there."""
    missing = [one for one in jobs(experiment, lines) if not one.done(experiment.out)]
    if missing:
        prepare_clips(experiment, shifted=False)
    if any(head.shifted for one in missing for head in one.heads):
        prepare_clips(experiment, shifted=True)
    workers = experiment.workers
    finish_all(missing, experiment.out, workers=workers, progress=experiment.progress)


def prepare_clips(experiment: Ours, *, shifted: bool) -> None:
    """Trim and normalize the clips, and shift some; what is there is not made again.

    Where the corpus has folds, the clips of all of them are shifted, each alike; a fold trains on
    the copies of its own training clips.
    """
    made = clips(experiment.out, shifted=shifted)
    if made.is_file():
        return
    (data,) = experiment.data
    manifest = Manifest.read(data)
    own = manifest
    if has_split(manifest):
        manifest = manifest.where(split=["train", "test"])
        own = manifest.where(split="train")
    most = int(own.table["label"].value_counts().max())
    balance(
        manifest,
        made.parent,
        rate_hz=RATE_HZ,
        # a label, at least; 0 leaves them as they are
        clips=most * experiment.grid.sizes[experiment.scale].shifted if shifted else 0,
        workers=experiment.workers,
        progress=False,
    )


def answers(experiment: Ours, line: Line) -> Answers:
    """Return the geometric mean of all models of a line, over all seeds and folds."""
    found = {(one.seed, one.fold, one.extractor): one for one in jobs(experiment, [line])}
    parts = []
    for seed in experiment.seeds:
        for fold in experiment.made:
            own = [
                found[seed, fold, extractor].answers(head, experiment.out)
                for extractor, head in line.models
            ]
            together = vote(np.stack([one.probabilities for one in own]), "geometric")
            parts.append(own[0]._replace(probabilities=together))
    return Answers(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def published(table: str, line: Line) -> float | None:
    """Return what the paper prints for a line."""
    figures = Published.read(ROOT / "xu2018")
    own = figures.maybe(table, line.name, "MAP@3")
    return figures.maybe(table, line.pattern, "MAP@3") if own is None else own


def _table(table: str, experiment: Ours) -> Iterator[Section]:
    lines = experiment.grid.lines(table, experiment.scale)
    train(experiment, lines)
    found = {line.name: answers(experiment, line) for line in lines if line.head}
    rows = [  # recordings are drawn with all their seeds
        row(METRIC, mean_average_precision_at(*answer), table=table, line=name)
        for name, answer in found.items()
    ]
    stated = [(line.name, published(table, line), experiment.grid.cut(line)) for line in lines]
    used, trained = len(experiment.grid.used), len(experiment.grid.trained)
    facts = {"table": table, "lines": stated, "used": used, "trained": trained}
    yield Section("table", Findings(rows), facts)


def contrasts(
    grid: Settings, table: str, scored: dict[str, tuple[Line, Answers]]
) -> list[tuple[Row, float]]:
    """Return the differences of a table's lines and the paper's, where it has figures of both."""
    by_pattern = {line.pattern: name for name, (line, _) in scored.items()}
    result = []
    for pair in grid.contrasts[table]:
        names = [by_pattern.get(name, name) for name in pair]
        if not scored.keys() >= set(names):
            continue
        papers = [published(table, scored[name][0]) for name in names]
        if papers[0] is None or papers[1] is None:
            continue
        ranks = [reciprocal_ranks_at(*scored[name][1][:2]) for name in names]
        change = paired_difference(ranks[0], ranks[1], scored[names[0]][1].groups)
        where = {"table": table, "line": names[0], "against_line": names[1]}
        result.append((row(f"{METRIC}_difference", change, **where), papers[0] - papers[1]))
    return result


def _agreement(experiment: Ours) -> Iterator[Section]:
    grid, found = experiment.grid, []
    for table in grid.tables:
        if _asked(experiment, table):
            lines = [line for line in grid.lines(table, experiment.scale) if line.head]
            scored = {line.name: (line, answers(experiment, line)) for line in lines}
            found += contrasts(grid, table, scored)
    yield Section("agreement", Findings([change for change, _ in found]), {"changes": found})
    (data,) = experiment.data
    missing = [table for table in grid.tables if not _asked(experiment, table)]
    facts = {"tables": missing, "tested": len(experiment.made)}
    yield Section("left_out", Findings([]), {**facts, "folds": len(folds(Manifest.read(data)))})


def _asked(experiment: Ours, table: str) -> bool:
    return f"table {table}" in experiment.asked or not experiment.asked


SECTIONS = {
    **{f"table {number}": partial(_table, number) for number in ("2", "3", "4")},
    "agreement": _agreement,
}
