"""Accuracy by correction and device, the shares that are recovered, and the gains by band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import Clip
from anymic.bundle import Bundle
from anymic.bundle.installed import resolve
from anymic.data.checks import require_all_usable
from anymic.data.corpora.esc50 import esc50
from anymic.data.derived import TABLE
from anymic.data.folds import cross_validation
from anymic.data.manifest import Manifest
from anymic.devices.correction.frames import SampleFrames
from anymic.devices.correction.spectra import statistics_of_take
from anymic.devices.simulation.chain import record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.devices.simulation.simulate import simulate
from anymic.errors import ConfigError, counted
from anymic.evaluation.report.rows import Row as Result
from anymic.evaluation.report.rows import row
from anymic.metrics.recovery import recovered_share
from anymic_experiments.commands import ROOT
from anymic_experiments.conditions import Grid
from anymic_experiments.experiment import Experiment, by_fold
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.pretrained.tasks import Answers, Head, Row, gains_of_takes, gathered

NOISE_S = 10.0  # of a device's own noise
# Every training clip also trains through one response: no level, no cut-off, hardly any noise.
RANDOM = RandomDevices(copies=1, level_db=0, cutoffs=0, clipping=0, noise_db=(-120, -120))


@dataclass(frozen=True, kw_only=True)
class Drums:
    """The part on real microphones."""

    reference: str  # the device whose clips train
    shortest_s: float  # takes with a shorter recording are left out
    folds: int
    rows: dict[str, Row]


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    rows: dict[str, Row]
    bands_hz: tuple[float, ...]  # the centres of the octaves of the table of gains
    compared: dict[str, str]  # rows, and that which each is compared with
    drums: Drums


def devices_of(experiment: Experiment[Settings]) -> DeviceSet:
    """Return the simulated microphones."""
    file = ROOT / "pretrained" / experiment.grid.simulations["corpus"]
    return DeviceSet.read(file, responses=experiment.options["responses"])


def prepare(experiment: Experiment[Settings]) -> Experiment[Settings]:
    """Pass the clips through the microphones, fold by fold: test clips through all of them."""
    resolve(experiment.options["extractor"])  # before minutes of simulation
    folds = list(by_fold(esc50(experiment.options["esc50"])).items())
    asked = experiment.grid.folds or len(folds)
    if asked > len(folds):
        raise ConfigError(
            f"folds is {asked}, and the corpus has {counted(len(folds), 'fold')}",
            expected=f"at most {len(folds)}",
            fix="choose another number",
        )
    found = []
    for name, fold in folds[:asked]:
        out = experiment.out / "microphones" / name
        made = simulate(fold, devices_of(experiment), out, workers=experiment.workers)
        require_all_usable(made.failures)
        found.append(out / TABLE)
    return replace(experiment, data=tuple(found), simulated=True)


def answers(
    experiment: Experiment[Settings],
    rows: Mapping[str, Row],
    heads: Mapping[bool, Sequence[Head]],
) -> tuple[list[Result], list[str]]:
    """Train the heads, plain or with random devices, and compare the rows; also their devices."""
    plain, *others = rows
    used = {row.random for row in rows.values()}
    experiment.finish(head for random in used for head in heads[random])
    tasks = {name: [Answers(head, row) for head in heads[row.random]] for name, row in rows.items()}
    experiment.finish((task for own in tasks.values() for task in own), doing="classifying")
    pooled = pool(
        task.outcome(name, experiment.places) for name, own in tasks.items() for task in own
    )
    devices = list(dict.fromkeys(pooled.devices.tolist()))
    reference = str(heads[False][0].device)
    devices.sort(key=lambda name: (name != reference, name))
    columns = {device: (device,) for device in devices}
    found = pooled.compared(plain, columns, {}, condition=plain)
    for name in others:
        found += pooled.compared(name, columns, {plain: plain}, condition=name)
        for device in devices[1:]:
            share = recovered_share(
                pooled.hits(name),
                pooled.hits(plain) > 0,
                pooled.devices,
                pooled.groups,
                reference=reference,
                others=(device,),
            )
            found.append(row("recovered_share", share, condition=name, device=device))
    for name, other in experiment.grid.compared.items():
        for device in experiment.grid.devices["coloured"] if {name, other} <= set(rows) else ():
            change = pooled.on(device).gain(name, other)
            place = {"condition": name, "device": device, "against_condition": other}
            found.append(row("accuracy_difference", change, **place))
    return found, devices


def microphones(experiment: Experiment[Settings]) -> list[Section]:
    """Compare every row on the simulated microphones, and show what gains and noise are."""
    grid, heads = experiment.grid, heads_of(experiment)
    words = experiment.options["leave_out"] or ()
    left_out = [name for name in grid.rows if any(word in name for word in words)]
    rows = {name: row for name, row in grid.rows.items() if name not in left_out}
    found, devices = answers(experiment, rows, heads)
    facts: dict[str, Any] = {"rows": list(rows), "devices": devices, "names": names(experiment)}
    facts |= {"left_out": left_out, "random": random_devices(experiment)}
    gains = Section("gains", Findings(by_band(experiment, heads[False])))
    table = Section("microphones", Findings(found), facts)
    return [table, gains]


def heads_of(experiment: Experiment[Settings]) -> dict[bool, list[Head]]:
    """Return the heads of every fold and seed, by whether they are trained on random devices."""
    folder = gathered(random_devices(experiment), experiment.out / "measured")
    random_of = {False: None, True: replace(RANDOM, responses=str(folder))}
    extractor = experiment.options["extractor"]
    (device,) = experiment.grid.devices["reference"]
    return {
        random: [
            Head(fold, device, extractor, seed, random_of[random])
            for seed in experiment.seeds
            for fold in experiment.data
        ]
        for random in (False, True)
    }


def names(experiment: Experiment[Settings]) -> dict[str, str]:
    """Return the measured microphone of each device."""
    devices = devices_of(experiment).devices
    files = {name: device.response and device.response.file for name, device in devices.items()}
    return {name: Path(file).stem for name, file in files.items() if file}


def random_devices(experiment: Experiment[Settings]) -> list[Path]:
    """Return the measured responses of all microphones that are no column of the table."""
    taken = set(names(experiment).values())
    files = sorted(Path(experiment.options["responses"]).glob("*.wav"))
    return [path for path in files if path.stem not in taken]


def by_band(experiment: Experiment[Settings], heads: Sequence[Head]) -> list[Result]:
    """Return by device and octave the gains, and how far takes lie above the device's noise."""
    config, rows = Bundle.load(experiment.options["extractor"]).frontend.config, []
    fitted = [gains_of_takes(head, config) for head in heads]
    hz = fitted[0].profile_.frequencies_hz()
    for name in experiment.grid.devices["coloured"]:
        gains = np.mean([20 * np.log10(one.profile_.gains_for(name)) for one in fitted], axis=0)
        levels = [one.spectra_.magnitude[one.spectra_.rows(name)] for one in fitted]
        noise = noise_of(experiment, name, config.rate_hz, fitted[0].spectra_.fft_size)
        above = 20 * np.log10(np.concatenate(levels).mean(axis=0) / noise)
        for centre in experiment.grid.bands_hz:
            band = (hz >= centre / 2**0.5) & (hz < centre * 2**0.5)
            place = {"device": name, "band_hz": f"{centre:g}"}
            for metric, values in (("gain_db", gains), ("takes_over_noise_db", above)):
                value = float(values[band].mean())
                rows.append(Result(place, metric, value, None, None, sum(map(len, levels))))
    return rows


def noise_of(
    experiment: Experiment[Settings], name: str, rate_hz: int, fft_size: int
) -> NDArray[np.float64]:
    """Return the mean magnitude (bin,) of what a device records in silence."""
    silence = Clip(np.zeros(round(NOISE_S * rate_hz), dtype=np.float32), rate_hz)
    devices = devices_of(experiment)
    folder = str(devices.responses)
    samples = record(silence, devices.devices[name], seed=0, responses=folder).clip.samples
    frames = SampleFrames(samples, fft_size=fft_size, hop_samples=fft_size // 2)
    found = statistics_of_take([frames], floor_db=-100.0, silence_db=-40.0)
    return np.asarray(found["magnitude"][0], dtype=np.float64)


def drums(experiment: Experiment[Settings]) -> list[Section]:
    """Compare the rows on real microphones; nothing where their recordings are not given."""
    settings, file = experiment.grid.drums, experiment.options["drums"]
    if file is None:
        return []
    out = experiment.out / "drums"
    out.mkdir(parents=True, exist_ok=True)
    every = Manifest.read(file)
    lengths = np.array([audio.probe(path).duration_s or 0 for path in every.paths()])
    short = every.table["take"][lengths < settings.shortest_s]
    corpus = every.rows(~every.table["take"].isin(short).to_numpy())
    folds = cross_validation(corpus, settings.folds, seed=0)
    paths = [fold.write(out / f"fold{number}.csv") for number, fold in enumerate(folds, start=1)]
    heads = [
        Head(path, settings.reference, experiment.options["extractor"], seed)
        for seed in experiment.seeds
        for path in paths
    ]
    found, devices = answers(experiment, settings.rows, {False: heads})
    facts: dict[str, Any] = {"rows": list(settings.rows), "devices": devices, "folds": len(paths)}
    facts |= {"labels": len(corpus.labels), "left_out": short.nunique()}
    return [Section("drums", Findings(found), facts)]


SECTIONS = {"microphones": microphones, "drums": drums}
