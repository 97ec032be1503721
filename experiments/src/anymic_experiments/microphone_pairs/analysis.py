"""Accuracy and recovered loss by microphone, and over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.data.checks import require_all_usable
from anymic.data.corpora.esc50 import esc50
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import Device
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.response import ResponseSpec
from anymic.devices.simulation.simulate import simulate
from anymic.errors import DeviceError, counted
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic.metrics.intervals import Interval
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.microphone_pairs.choosing import Choice, choose, with_candidate
from anymic_experiments.microphone_pairs.noise_floor import (
    BANDS,
    METRIC,
    Floor,
    Measured,
    Order,
    shares,
)
from anymic_experiments.microphone_pairs.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Run
from anymic_experiments.unknown_devices.analysis import deviation_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SECTIONS", "Settings", "prepare"]

ALL = "all"  # how rows call all microphones together
OWN, FLAT = "microphone", "A"  # and whose clips an accuracy is of
Array = NDArray[np.float64]
THESE = "recovered_share_of_these"  # the interval is over recordings alone
LOWEST_DB, MARGIN_DB = -45, 5  # of the drawn spectra: below them there is text


def flat_device() -> Device:
    """Return the flat microphone; the others have its level and noise."""
    return Device(noise_db=-80, gain_db=-6)


def microphones(experiment: Experiment[Settings]) -> dict[str, Device]:
    """Return the microphones whose responses deviate most from a flat one, farthest first.

    Raises DeviceError if the folder has too few responses.
    """
    grid, folder = experiment.grid, Path(experiment.options["responses"])
    files = [
        path.name
        for path in sorted(folder.glob("*.wav"))
        if not any(defect in path.name for defect in grid.defects)
    ]
    if len(files) < grid.microphones:
        raise DeviceError(
            f"{folder} has {counted(len(files), 'impulse response')}",
            expected=f"{grid.microphones}, of microphones that are in order",
            fix="download them again, or state fewer as microphones",
        )
    devices = {
        Path(name).stem: replace(flat_device(), response=ResponseSpec(file=name)) for name in files
    }
    far = {name: deviation_db(one, str(folder)) for name, one in devices.items()}
    chosen = sorted(far, key=lambda name: -far[name])[: grid.microphones]
    return {name: devices[name] for name in chosen}


def prepare(experiment: Experiment[Settings]) -> Experiment[Settings]:
    """Pass ESC-10 through A and the coloured microphones; return one manifest a fold."""
    grid, coloured = experiment.grid, microphones(experiment)
    (reference,) = grid.devices["reference"]
    devices = DeviceSet(
        devices={reference: flat_device(), **coloured},
        recorded={
            "train": {reference: "all", **dict.fromkeys(coloured, grid.takes)},
            "test": dict.fromkeys([reference, *coloured], "all"),
        },
        seed=2019,
        responses=Path(experiment.options["responses"]),
    )
    clips = esc50(experiment.options["esc50"], subset="esc10")
    made = simulate(clips, devices, experiment.out / "microphones", workers=experiment.workers)
    require_all_usable(made.failures)
    return replace(experiment, data=tuple(made.folds.values()), simulated=True)


def pairs_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return neighbours in a ring, so that each is once the first and once the second."""
    return list(zip(names, [*names[1:], *names[:1]], strict=True))


def runs_of(
    experiment: Experiment[Settings], choice: Choice, pairs: Sequence[tuple[str, str]]
) -> list[tuple[tuple[str, str], Run]]:
    """Return the trainings with the pair of each, whose microphones are called B and C in it.

    Whole folds come first, so that an unfinished grid is a finished one of fewer folds.
    """
    grid = experiment.grid
    (reference,), coloured = grid.devices["reference"], grid.devices["coloured"]
    found = []
    for seed in experiment.seeds:
        for fold in experiment.data:
            own, clips = with_candidate(grid, choice.names[fold]), Manifest.read(fold)
            for pair in pairs:
                called = {reference: reference, **dict(zip(pair, coloured, strict=True))}
                part = clips.rows(clips.table["device"].isin(list(called)).to_numpy())
                part = part.with_columns(device=part.table["device"].map(called))
                path = experiment.out / "pairs" / fold.stem / f"{'-'.join(pair)}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                part.write(path)
                runs = own.runs("pairs", folds=[path], seeds=[seed], scale=experiment.scale)
                found += [(pair, run) for run in runs]
    return found


@dataclass(frozen=True, eq=False)
class Hits:
    """How often each clip is right, by condition, in the pairs of each microphone."""

    coloured: Mapping[str, Array]  # (clip, microphone)
    reference: Mapping[str, Array]  # (clip, microphone): on A in the same trainings
    groups: NDArray[np.str_]  # (clip,)

    @classmethod
    def of(
        cls,
        pooled: Mapping[tuple[str, str], Pooled],
        names: Sequence[str],
        *,
        reference: str,
        coloured: Sequence[str],
    ) -> Hits:
        """Return the mean over the two pairs that a microphone is in, as B and as C."""
        first = next(iter(pooled.values()))
        own: dict[str, Array] = {}
        flat: dict[str, Array] = {}
        for condition in first.conditions:
            parts, beside = [], []
            for name in names:
                places = [
                    (one.on(coloured[pair.index(name)]), one.on(reference))
                    for pair, one in pooled.items()
                    if name in pair
                ]
                parts.append(np.mean([one.hits(condition) for one, _ in places], axis=0))
                beside.append(np.mean([one.hits(condition) for _, one in places], axis=0))
            own[condition] = np.stack(parts, axis=1)
            flat[condition] = np.stack(beside, axis=1)
        return cls(own, flat, first.on(reference).groups)

    def mean(self, values: Array) -> Interval:
        """Return the mean of values (clip, microphone), resampled as `share`."""
        totals = self._totals(values, np.ones_like(values))
        means = intervals.ratio(totals[:, 0], totals[:, 1])
        return self._interval(float(values.mean()), means, values)

    def share(self, part: Array, whole: Array) -> Interval | None:
        """Return sum(part) / sum(whole), both (clip, microphone).

        The interval is over resamples of recordings and, of several, of microphones, independently
        of each other: that of another microphone with other recordings. It is made wider for the
        number of microphones, which is small. None where the interval of sum(whole) reaches 0.
        """
        if self.mean(whole).low <= 0:
            return None
        totals = self._totals(part, whole)
        shares = intervals.ratio(totals[:, 0], totals[:, 1])
        return self._interval(float(part.sum() / whole.sum()), shares, part)

    def _totals(self, *values: Array) -> Array:
        """Return the sums of each of these (clip, microphone), (resample, value)."""
        number = values[0].shape[1]
        sums = intervals.resampled_totals(np.concatenate(values, axis=1), self.groups)
        times = np.ones((len(sums), 1))
        if number > 1:
            drawn = intervals.resampled_counts(number, len(sums), seed=1)
            times = np.concatenate(list(drawn)).astype(np.float64)
        parts = np.split(sums, len(values), axis=1)
        return np.stack([(times * part).sum(axis=1) for part in parts], axis=1)

    def _interval(self, value: float, resampled: Array, values: Array) -> Interval:
        recordings, number = len(set(self.groups.tolist())), values.shape[1]
        count = min(number, recordings) if number > 1 else recordings
        return intervals.percentile_interval(value, resampled, groups=count, n=values.size)


def compared(hits: Hits, names: Sequence[str]) -> list[Row]:
    """Return what tables state: by microphone and over all of them, for each condition.

    That is the accuracy on the microphone and on A in its trainings, their changes against the
    first condition, what is lost to A without correction, and the share of that that is recovered.
    """
    plain, *corrected = hits.coloured
    rows = []
    every = {**{name: [place] for place, name in enumerate(names)}, ALL: [*range(len(names))]}
    for device, columns in every.items():
        before, flat = hits.coloured[plain][:, columns], hits.reference[plain][:, columns]
        lost = flat - before
        rows.append(row("accuracy_difference", hits.mean(lost), device=device, against_device=FLAT))
        for condition in hits.coloured:
            own, beside = (one[condition][:, columns] for one in (hits.coloured, hits.reference))
            place = {"condition": condition, "device": device}
            rows.append(row("accuracy", hits.mean(own), **place, on=OWN))
            rows.append(row("accuracy", hits.mean(beside), **place, on=FLAT))
            if condition in corrected:
                against = {**place, "against_condition": plain}
                change, side = hits.mean(own - before), hits.mean(beside - flat)
                rows.append(row("accuracy_difference", change, **against, on=OWN))
                rows.append(row("accuracy_difference", side, **against, on=FLAT))
                share = hits.share(own - before, lost)
                if share is not None:
                    rows.append(row("recovered_share", share, **place))
                if device == ALL:
                    parts = [one.mean(axis=1, keepdims=True) for one in (own - before, lost)]
                    if (these := hits.share(parts[0], parts[1])) is not None:
                        rows.append(row(THESE, these, condition=condition))
    return rows


def choice(experiment: Experiment[Settings]) -> list[Section]:
    """Choose the settings of each fold."""
    found = choose(experiment)
    chosen = {fold.stem: name for fold, name in found.names.items()}
    return [Section("choice", Findings(found.rows), {"chosen": chosen})]


def pairs(experiment: Experiment[Settings]) -> list[Section]:
    """Train every pair with the settings that were chosen, and compare."""
    grid, devices = experiment.grid, microphones(experiment)
    names = list(devices)
    runs = runs_of(experiment, choose(experiment), pairs_of(names))
    experiment.finish(run for _, run in runs)
    (reference,), coloured = grid.devices["reference"], grid.devices["coloured"]
    pooled = {
        pair: pool(run.outcome(experiment.places) for place, run in runs if place == pair)
        for pair in pairs_of(names)
    }
    hits = Hits.of(pooled, names, reference=reference, coloured=coloured)
    floors = {
        name: [task.read(experiment.places) for task in own]
        for name, own in measured(experiment, runs, devices).items()
    }
    below, spectra = shares(floors)
    found = Findings([*compared(hits, names), *below])
    folder = str(experiment.options["responses"])
    facts = {
        "far": {name: deviation_db(one, folder) for name, one in devices.items()},
        "conditions": list(hits.coloured),
        "folds": len(experiment.data),
        "order": order(found, list(hits.coloured)[1]),
    }
    drawing = figure(found, spectra, condition=list(hits.coloured)[1])
    return [Section("pairs", found, facts, figure=drawing)]


def measured(
    experiment: Experiment[Settings],
    runs: Sequence[tuple[tuple[str, str], Run]],
    devices: Mapping[str, Device],
) -> dict[str, list[Floor]]:
    """Compare A and each microphone with their noise; return the finished tasks of the folds.

    The cells are those of the first network in each fold that is trained with the microphone as B.
    """
    (reference,) = experiment.grid.devices["reference"]
    options, tasks = experiment.options, {}
    for name, device in {reference: flat_device(), **devices}.items():
        first: dict[Path, Run] = {}  # by the fold's clips
        for pair, run in runs:
            if pair[0] == name or (name == reference and pair == runs[0][0]):
                first.setdefault(run.manifest, run)
        folders = Path(options["esc50"]), Path(options["responses"])
        tasks[name] = [Floor(run, name, device, *folders, reference) for run in first.values()]
    experiment.finish(
        [task for own in tasks.values() for task in own], doing="comparing with noise"
    )
    return tasks


def order(found: Findings, condition: str) -> Order | None:
    """Compare what lies below the noise with what is recovered; None with fewer than three."""
    recovered = {
        one.condition["device"]: one.value
        for one in found.all("recovered_share", condition=condition)
        if one.condition["device"] != ALL
    }
    if len(recovered) < 3:
        return None
    below = {name: found.of(METRIC, device=name, bands=BANDS[1]).value for name in recovered}
    return Order.of(below, recovered)


def figure(found: Findings, spectra: Mapping[str, Measured], *, condition: str) -> Figure:
    """Draw the mean spectrum of each microphone, and of A behind it, over the noise."""
    from anymic.evaluation.report.style import INK, MUTED, series
    from anymic_experiments.drawing import panels

    flat, *names = spectra
    rows = 2 if len(names) % 2 == 0 else 1
    caption = "frequency (Hz), third octaves up to half of the rate"
    with panels(
        names, 4.8, 10.0, grid="y", rows=rows, caption=caption, sharex=True, sharey=True
    ) as (drawing, each):
        for number, (name, axes) in enumerate(zip(names, each, strict=True)):
            own = spectra[name]
            axes.semilogx(
                spectra[flat].hz, spectra[flat].level_db, color=MUTED, lw=1.0, label="A, flat"
            )
            axes.semilogx(own.hz, own.level_db, color=INK, label="microphone")
            axes.axhline(0, color=series(1)[0], linestyle="--", linewidth=1.2, label="noise")
            axes.set_xticks([100, 1000, 10_000], ["100", "1k", "10k"])
            share = found.of(METRIC, device=name, bands=BANDS[1])
            text = f"{100 * share.value:.0f} % of the top third below"
            if recovered := found.maybe("recovered_share", device=name, condition=condition):
                text += f"\n{100 * recovered.value:.0f} % recovered"
            axes.text(0.03, 0.04, text, transform=axes.transAxes, fontsize=8.0, color=MUTED)
            if number % (len(names) // rows) == 0:
                axes.set_ylabel("dB over the noise")
        highest = max(one.level_db.max() for one in spectra.values())
        each[0].set_ylim(LOWEST_DB, highest + MARGIN_DB)
        lines = each[0].get_legend_handles_labels()
        drawing.legend(*lines, loc="outside upper right", ncols=3, fontsize=8.0)
    return drawing


SECTIONS = {"pairs": pairs, "choice": choice}
