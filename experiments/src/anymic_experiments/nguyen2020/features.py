"""Figure 2: what the temperature of training does to the pooled features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.evaluation.report.rows import Row, row
from anymic.inference.embedder import Embedder
from anymic.metrics import intervals
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.runner import Arrays, ArrayTask
from anymic_experiments.runs import Run, with_test

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anymic_experiments.nguyen2020.settings import Settings

HALVES = ("train", "test")
COLUMNS = {"labels": "label", "devices": "device", "groups": "group", "splits": "split"}
VERSION = 1  # raise it when the same networks begin to give other features


@dataclass(frozen=True)
class Embedding(ArrayTask):
    """The pooled features of a trained run's training and test clips, of some devices."""

    run: Run
    devices: tuple[str, ...]

    def file(self, out: Path) -> Path:
        """Return the file of the features."""
        return self.run.folder(out) / f"pooled-{VERSION}.npz"

    def arrays(self, out: Path) -> Arrays:
        """Return `features` (clip, channel) and what they are of: `COLUMNS`, each (clip,)."""
        manifest = Manifest.read(self.run.manifest)
        manifest = with_test(manifest).where(split=list(HALVES), device=list(self.devices))
        embedder = Embedder(Bundle.load(self.run.folder(out)))
        features, rows = embedder.embed_manifest(manifest).clips()
        table = manifest.rows(rows).table
        columns = {name: table[column].to_numpy(dtype=str) for name, column in COLUMNS.items()}
        return {"features": features, **columns}


def pooled(experiment: Experiment[Settings], runs: Sequence[Run]) -> dict[float, list[Arrays]]:
    """Return the pooled features of trained runs by temperature, each run embedded once."""
    devices = tuple(dict.fromkeys(d for some in experiment.grid.devices.values() for d in some))
    tasks = [Embedding(run, devices) for run in runs]
    experiment.finish(tasks, doing="embedding")
    found: dict[float, list[Arrays]] = {}
    for task in tasks:
        found.setdefault(task.run.config.temperature, []).append(task.read(experiment.places))
    return found


def share_between(features: NDArray[np.float64], names: NDArray[np.str_]) -> float:
    """Return the share of the features' variance that lies between the means of the names.

    The trace of the scatter between classes over that of all (clip, channel) features, 0 to 1: 1
    where all clips of a class lie on one point. It does not change where features are scaled or
    turned.
    """
    centred = features - features.mean(axis=0)
    between = sum(
        (names == name).sum() * np.square(centred[names == name].mean(axis=0)).sum()
        for name in np.unique(names)
    )
    return float(between / np.square(centred).sum())


def section(found: Mapping[float, Sequence[Arrays]]) -> Section:
    """Return how compact classes and how far apart devices are, by temperature and half."""
    rows: list[Row] = []
    for temperature, runs in found.items():
        for split in HALVES:
            for between, column in (("label", "labels"), ("device", "devices")):
                inside = [run["splits"] == split for run in runs]
                shares = [
                    share_between(run["features"][kept], run[column][kept])
                    for run, kept in zip(runs, inside, strict=True)
                ]
                where = {"temperature": f"{temperature:g}", "split": split, "between": between}
                if len(runs) > 1:
                    mean = intervals.resampled_mean(np.array(shares))
                    rows.append(row("share_of_variance", mean, **where))
                else:
                    rows.append(Row(where, "share_of_variance", shares[0], None, None, 1))
    first = {temperature: runs[0] for temperature, runs in found.items()}
    return Section("features", Findings(rows), {}, "figure2", figure(first))


def figure(found: Mapping[float, Arrays]) -> Figure:
    """Draw figure 2: a column a temperature, training clips above, test clips below, by class.

    Each column has the plane of its training clips' first two principal components.
    """
    from anymic.evaluation.report.features import principal_plane
    from anymic.evaluation.report.style import MUTED, bare, canvas, quiet_style, series

    labels = sorted(set(next(iter(found.values()))["labels"].tolist()))
    with quiet_style():
        drawing, grid = canvas(5.0, 10.0, nrows=2, ncols=len(found), squeeze=False)
        for column, (temperature, run) in zip(grid.T, found.items(), strict=True):
            plane = principal_plane(run["features"], run["splits"] == "train")
            for axes, split, title in zip(column, HALVES, ("training", "test"), strict=True):
                inside = run["splits"] == split
                for number, label in enumerate(labels):
                    colour, marker = series(number)
                    x, y = plane.points[inside & (run["labels"] == label)].T
                    axes.scatter(x, y, s=9, marker=marker, color=colour, lw=0, alpha=0.75)
                axes.set(xticks=[], yticks=[])
                axes.set_title(f"T = {temperature:g}, {title} set", fontsize=9.5, pad=4)
                bare(axes, grid="both")
        for number, label in enumerate(labels):
            colour, marker = series(number)
            grid[0, -1].scatter([], [], s=22, marker=marker, color=colour, lw=0, label=label)
        grid[0, -1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.2)
        drawing.supxlabel(
            "first two principal components of the training clips; each column in its own scale",
            fontsize=9,
            color=MUTED,
        )
    return drawing
