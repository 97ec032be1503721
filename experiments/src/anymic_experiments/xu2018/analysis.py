"""Audio tagging with VGGish: what the tables need, MAP@3 of their lines, and what agrees."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from anymic._internal.files import file_digest, write_text
from anymic._internal.settings import to_mapping
from anymic.bundle.voting import vote
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError, ManifestError
from anymic.evaluation.report.rows import Row, row
from anymic.importers.vggish import import_vggish
from anymic.metrics.intervals import paired_difference
from anymic.metrics.scores import mean_average_precision_at, reciprocal_ranks_at
from anymic_experiments.commands import ROOT
from anymic_experiments.corpora import by_fold, has_split
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Published
from anymic_experiments.page import Section
from anymic_experiments.runner import finish_all
from anymic_experiments.xu2018.settings import Line, Settings, heads_of
from anymic_experiments.xu2018.tasks import Answers, Clips, Job

__all__ = ["SECTIONS", "Settings", "prepare"]

METRIC = "mean_average_precision_at_3"
STATE = "experiment.json"
Ours = Experiment[Settings]


def prepare(experiment: Ours) -> Ours:
    """Divide the corpus into folds, and refuse to go on with what another experiment left.

    Raises ConfigError at the paper's scale without the weights that it fine-tunes; in a folder that
    holds the results of other settings, weights or clips.
    """
    weights, size = experiment.options.get("weights"), experiment.grid.sizes[experiment.scale]
    if weights is not None:  # refused now, and not when the clips are ready
        import_vggish(weights, width=size.width)
    elif experiment.scale == "paper":
        raise ConfigError(
            "the scale of the paper needs the weights of VGGish",
            expected="--weights vggish-10086976.pth",
            fix="download them with `anymic import vggish --download`, or use --scale small",
        )
    (data,) = experiment.data
    found = folds(Manifest.read(data))
    here = {
        "scale": experiment.scale,
        "size": to_mapping(size),
        "manifest": Manifest.read(data).digest(),
        "weights": None if weights is None else file_digest(weights),
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


def job(experiment: Ours, fold: str, extractor: str, seed: int, line: Line | None = None) -> Job:
    """Return the task of an extractor, and of all heads on it that a line needs."""
    heads = heads_of([line])[extractor] if line else ()
    grid, weights = experiment.grid, experiment.options.get("weights")
    return Job(fold, grid.extractors[extractor], seed, heads, grid, experiment.scale, weights)


def train(experiment: Ours, lines: Iterable[Line]) -> None:
    """Make what lines need and is not there; whole seeds first, so that what is done is usable."""
    jobs = [
        replace(job(experiment, fold, extractor, seed), heads=heads)
        for seed in experiment.seeds
        for fold in experiment.made
        for extractor, heads in heads_of(lines).items()
    ]
    out, workers = experiment.out, experiment.workers
    missing = [one for one in jobs if not one.done(out)]
    needed = {(one.fold, shifted) for one in missing for shifted in (False, *_shifted(one))}
    number = experiment.grid.sizes[experiment.scale].shifted
    clips = [
        Clips(fold, shifted, experiment.made[fold], number) for fold, shifted in sorted(needed)
    ]
    clips = [one for one in clips if not one.done(out)]
    finish = partial(finish_all, out=out, progress=experiment.progress)
    if len(clips) < 2 * workers:  # one fold clip by clip, many folds side by side
        finish([replace(one, workers=workers) for one in clips], workers=1, doing="preparing")
    else:
        finish(clips, workers=workers, doing="preparing")
    finish(missing, workers=workers)


def _shifted(one: Job) -> set[bool]:
    return {head.shifted for head in one.heads}


def answers(experiment: Ours, line: Line) -> Answers:
    """Return the geometric mean of a line's extractors, over all seeds and folds."""
    assert line.head is not None
    found = []
    for seed in experiment.seeds:
        for fold in experiment.made:
            jobs = [job(experiment, fold, name, seed, line) for name in line.extractors]
            each = [one.answers(line.head, experiment.out) for one in jobs]
            together = vote(np.stack([one.probabilities for one in each]), "geometric", ())
            found.append(each[0]._replace(probabilities=together))
    return Answers(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def published(table: str, line: Line) -> float | None:
    """Return what the paper prints for a line."""
    figures = Published.read(ROOT / "xu2018")
    own = figures.maybe(table, line.name, "MAP@3")
    return figures.maybe(table, line.pattern, "MAP@3") if own is None else own


def score(found: Answers, line: Line, table: str) -> Row:
    """Return MAP@3 of a line; recordings are drawn with all their seeds."""
    interval = mean_average_precision_at(found.probabilities, found.targets, found.groups)
    return row(METRIC, interval, table=table, line=line.name)


def _table(table: str, experiment: Ours) -> Iterator[Section]:
    lines = experiment.grid.lines(table, experiment.scale)
    train(experiment, lines)
    yield section(
        table, lines, [score(answers(experiment, line), line, table) for line in lines if line.head]
    )


def section(table: str, lines: Iterable[Line], rows: list[Row]) -> Section:
    """Return a table of what was found beside the paper's figures."""
    facts = {
        "table": table,
        "lines": [(line.name, published(table, line)) for line in lines],
        "found": {one.condition["line"]: one for one in rows},
    }
    return Section("table", facts, rows)


def contrasts(
    grid: Settings, table: str, scored: dict[str, tuple[Line, Answers]]
) -> list[tuple[Row, float]]:
    """Return the differences of a table's lines and the paper's, where it has figures of both."""
    by_pattern = {line.pattern: name for name, (line, _) in scored.items()}
    result = []
    for pair in grid.contrasts[table]:
        one, other = (name if name in scored else by_pattern.get(name) for name in pair)
        if one is None or other is None:
            continue
        papers = [published(table, scored[name][0]) for name in (one, other)]
        if papers[0] is None or papers[1] is None:
            continue
        ranks = [
            reciprocal_ranks_at(found.probabilities, found.targets)
            for found in (scored[one][1], scored[other][1])
        ]
        change = paired_difference(ranks[0], ranks[1], scored[one][1].groups)
        where = {"table": table, "line": one, "against_line": other}
        result.append((row(f"{METRIC}_difference", change, **where), papers[0] - papers[1]))
    return result


def _agreement(experiment: Ours) -> Iterator[Section]:
    grid, found = experiment.grid, []
    for table in grid.tables:
        if f"table {table}" in experiment.asked or not experiment.asked:
            lines = [line for line in grid.lines(table, experiment.scale) if line.head]
            scored = {line.name: (line, answers(experiment, line)) for line in lines}
            found += contrasts(grid, table, scored)
    yield Section("agreement", {"found": found}, [one for one, _ in found])


SECTIONS = {
    **{f"table {number}": partial(_table, number) for number in ("2", "3", "4")},
    "agreement": _agreement,
}
