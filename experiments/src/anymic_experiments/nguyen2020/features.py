"""Figure 2: what the temperature of training does to the pooled features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic._internal.files import write_arrays
from anymic._internal.machine import processors
from anymic._internal.processes import do_all
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.evaluation.report.cells import plain
from anymic.evaluation.report.rows import Row, row
from anymic.inference.embedder import Embedder
from anymic.metrics import intervals
from anymic_experiments.findings import Findings
from anymic_experiments.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CORRECTION = "Ref.ABC"
PANELS: tuple[float, ...] = (1, 5, 10, 35)  # temperatures that the paper draws
HALVES = {"train": "Training set", "test": "Test set"}
DEVICES = ("A", "B", "C")
VERSION = 1  # raise it when the same networks begin to give other features


@dataclass(frozen=True, eq=False)
class Pooled:
    """The pooled features of one run's clips.

    Attributes
    ----------
    features : array (clip, channel)
    labels, devices, groups, splits : array (clip,) of str
    """

    features: NDArray[np.float64]
    labels: NDArray[np.str_]
    devices: NDArray[np.str_]
    groups: NDArray[np.str_]
    splits: NDArray[np.str_]


def hear(runs: Sequence[Run], places: Path, *, progress: bool = True) -> list[Pooled]:
    """Let trained networks hear the training and test clips of A, B and C, once.

    Parameters
    ----------
    runs : sequence of Run
    places : Path
        The folder of the runs, where their bundles are, and where the features are kept.
    progress : bool
    """
    missing = [run for run in runs if not _kept(run, places).is_file()]
    work = partial(_hear, places=places)
    do_all(work, missing, workers=processors(), progress=progress, doing="hearing")
    found = []
    for run in runs:
        with np.load(_kept(run, places)) as kept:
            found.append(Pooled(**{name: kept[name] for name in kept.files}))
    return found


def _kept(run: Run, places: Path) -> Path:
    return places / run.key / f"pooled-{VERSION}.npz"


def _hear(run: Run, places: Path) -> None:
    kept = _kept(run, places)
    manifest = Manifest.read(run.manifest).where(split=list(HALVES), device=list(DEVICES))
    features, rows = Embedder(Bundle.load(places / run.key)).embed_manifest(manifest).clips()
    table = manifest.rows(rows).table
    columns = {
        name: table[column].to_numpy(dtype=str)
        for name, column in zip(
            ("labels", "devices", "groups", "splits"),
            ("label", "device", "group", "split"),
            strict=True,
        )
    }
    write_arrays(kept, features=features, **columns)


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


def compare(heard: Mapping[float, Sequence[Pooled]]) -> Findings:
    """Return how compact classes and how far apart devices are, by temperature and half.

    Parameters
    ----------
    heard : mapping of float to sequence of Pooled
        By temperature: every fold and seed, in the same order. A run's share is one number, and
        the interval resamples runs.
    """
    rows = []
    for temperature, runs in heard.items():
        for split in HALVES:
            shares: dict[str, list[float]] = {"label": [], "device": []}
            for run in runs:
                inside = run.splits == split
                for what, names in (("label", run.labels), ("device", run.devices)):
                    shares[what].append(share_between(run.features[inside], names[inside]))
            for what, values in shares.items():
                where = {"temperature": f"{temperature:g}", "split": split, "between": what}
                rows.append(_mean("share_of_variance", np.array(values), where))
    return Findings(rows)


def _mean(metric: str, values: NDArray[np.float64], where: dict[str, str]) -> Row:
    """Return the mean over runs, with its interval where there are two runs or more."""

    def statistic(chosen: NDArray[np.intp]) -> float:
        return float(values[chosen].mean())

    if len(values) < 2:
        return Row(where, metric, float(values.mean()), None, None, len(values))
    return row(metric, intervals.bootstrap(statistic, np.arange(len(values))), **where)


def markdown(found: Findings, temperatures: Sequence[float]) -> str:
    """Return the shares of variance as a table."""
    columns = [(split, between) for between in ("label", "device") for split in HALVES]
    names = {"label": "classes", "device": "devices"}
    heads = [f"between {names[between]}, {split}" for split, between in columns]
    lines = [f"| T | {' | '.join(heads)} |", "|---" * (1 + len(columns)) + "|"]
    for temperature in temperatures:
        cells = [
            plain(
                found.of(
                    "share_of_variance",
                    temperature=f"{temperature:g}",
                    split=split,
                    between=between,
                )
            )
            for split, between in columns
        ]
        lines.append(f"| {temperature:g} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figure(heard: Mapping[float, Pooled]) -> Figure:
    """Draw figure 2: a column a temperature, training clips above, test clips below, by class.

    Each column has the plane of its training clips' first two principal components.
    """
    from anymic.evaluation.report.features import principal_plane
    from anymic.evaluation.report.style import MUTED, bare, canvas, quiet_style, series

    labels = sorted(set(next(iter(heard.values())).labels.tolist()))
    with quiet_style():
        drawing, grid = canvas(5.0, 10.0, nrows=2, ncols=len(heard), squeeze=False)
        for column, (temperature, run) in enumerate(heard.items()):
            plane = principal_plane(run.features, run.splits == "train")
            for line, (split, title) in enumerate(HALVES.items()):
                axes = grid[line, column]
                inside = run.splits == split
                for number, label in enumerate(labels):
                    colour, marker = series(number)
                    x, y = plane.points[inside & (run.labels == label)].T
                    axes.scatter(x, y, s=9, marker=marker, color=colour, lw=0, alpha=0.75)
                axes.set(xticks=[], yticks=[])
                axes.set_title(f"T = {temperature:g}, {title.lower()}", fontsize=9.5, pad=4)
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
