"""How much of what a microphone records lies below its noise, in the cells of the features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import permutation_test, rankdata

from anymic import audio
from anymic.bundle import Bundle
from anymic.data.corpora.esc50 import esc50
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import Device, noise, record
from anymic.devices.simulation.simulate import name_takes
from anymic.evaluation.report.rows import Row, row
from anymic.features import Frontend
from anymic.metrics import intervals
from anymic_experiments.runner import Arrays, ArrayTask
from anymic_experiments.runs import Run

Array = NDArray[np.float64]
VERSION = 1  # raise it when the same clips begin to give other shares or spectra
NOISE_S = 30.0  # of noise, whose mean level the sound is compared with
LOWEST_HZ = 100.0
METRIC = "cells_below_noise"
BANDS = ("all", "top third")  # the mel bands that a share is of
MOST_ORDERS = 50_000  # orders of microphones: up to eight of them all are counted, else so many


@dataclass(frozen=True)
class Measured:
    """What a microphone records of some clips, against its noise."""

    below: Array  # (clip, 2): the share of the cells whose sound is below the noise, by `BANDS`
    power: Array  # (clip, third octave): the mean power over that of the noise, linear
    hz: Array  # (third octave,): the centres, up to half of the rate

    @property
    def level_db(self) -> Array:
        """The mean spectrum of the clips over the noise, in dB (third octave,)."""
        return np.asarray(10 * np.log10(self.power.mean(axis=0)), dtype=np.float64)


def thirds(rate_hz: int, bins: int) -> tuple[Array, list[NDArray[np.bool_]]]:
    """Return the centres of third octaves up to half of the rate, and the bins in each."""
    hz = np.linspace(0, rate_hz / 2, bins)
    count = int(3 * np.log2(rate_hz / 2 / LOWEST_HZ)) + 1
    centres = LOWEST_HZ * 2 ** (np.arange(count) / 3)
    inside = [(hz >= one * 2 ** (-1 / 6)) & (hz < one * 2 ** (1 / 6)) for one in centres]
    kept = [place for place, own in enumerate(inside) if own.any()]
    return centres[kept], [inside[place] for place in kept]


def measure(
    frontend: Frontend, clips: Iterable[audio.Clip], device: Device, *, responses: str
) -> Measured:
    """Pass clips through a device without its noise, and compare them with the noise alone.

    A cell is a mel band in a frame, as the front-end computes them. It is below the noise where the
    sound is below the mean that the noise alone has in that band.
    """
    rate_hz, first = frontend.config.rate_hz, 2 * frontend.config.bands // 3
    centres, inside = thirds(rate_hz, frontend.config.bins)
    drawn = noise(
        round(NOISE_S * rate_hz), rate_hz, device.noise_colour, np.random.default_rng(0)
    ) * np.float32(10 ** ((device.noise_db or 0) / 20))
    floor, floor_power = _features(frontend, drawn)
    line = np.log(np.exp(floor).mean(axis=1, keepdims=True))
    quiet = replace(device, noise_db=None, bits=24)
    below, power = [], []
    for clip in clips:
        sound = record(clip, quiet, seed=0, responses=responses).clip.samples
        cells, own = _features(frontend, sound)
        under = cells < line
        below.append((under.mean(), under[first:].mean()))
        power.append([own[band].mean() / floor_power[band].mean() for band in inside])
    return Measured(np.array(below), np.array(power), centres)


def _features(frontend: Frontend, samples: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return the log-mel cells (band, frame) and the mean power (bin,) of samples."""
    batch = torch.from_numpy(np.ascontiguousarray(samples))[None]
    with torch.inference_mode():
        cells, magnitude = frontend.log_mel(batch)[0], frontend.magnitude(batch)[0]
        power = magnitude.double().square().mean(dim=0)
    return cells.double().numpy(), power.numpy()


@dataclass(frozen=True)
class Floor(ArrayTask):
    """What a microphone records of a fold's test clips, in the cells of a trained network."""

    run: Run  # trained in that fold, with clips of the microphone
    name: str
    device: Device
    esc50: Path
    responses: Path
    reference: str

    def file(self, out: Path) -> Path:
        """Return the file of the shares and spectra."""
        return self.run.folder(out) / f"noise-{self.name}-{VERSION}.npz"

    def arrays(self, out: Path) -> Arrays:
        """Return the parts of `Measured`, and the recording of each clip, `groups`."""
        tested = Manifest.read(self.run.manifest).where(split="test", device=self.reference)
        clean = name_takes(esc50(self.esc50, subset="esc10"))
        mine = clean.rows(clean.table["take"].isin(tested.table["take"]).to_numpy(dtype=bool))
        frontend = Bundle.load(self.run.folder(out)).frontend
        clips = map(partial(audio.read, allow_silence=True), mine.paths())
        found = measure(frontend, clips, self.device, responses=str(self.responses))
        return {**vars(found), "groups": mine.table["group"].to_numpy(dtype=str)}


def shares(found: Mapping[str, Sequence[Arrays]]) -> tuple[list[Row], dict[str, Measured]]:
    """Return the shares of cells below the noise by microphone, and the whole of the folds."""
    rows, whole = [], {}
    for name, folds in found.items():
        joined = {key: np.concatenate([one[key] for one in folds]) for key in ("below", "power")}
        whole[name] = Measured(**joined, hz=folds[0]["hz"])
        groups = np.concatenate([one["groups"] for one in folds])
        for bands, values in zip(BANDS, whole[name].below.T, strict=True):
            mean = intervals.resampled_mean(values, groups)
            rows.append(row(METRIC, mean, device=name, bands=bands))
    return rows, whole


@dataclass(frozen=True)
class Order:
    """Whether microphones with more cells below the noise are those with less recovered."""

    names: tuple[str, ...]  # most cells below the noise first
    followed: int  # so many of these, from the first, have the least recovered, in the same order
    correlation: float  # of the ranks
    chance: float  # of a correlation as far from 0 in an order drawn at random, 0 to 1

    @classmethod
    def of(cls, below: Mapping[str, float], recovered: Mapping[str, float]) -> Order:
        """Compare the order of two values of the microphones that have both; three or more."""
        names = sorted(set(below) & set(recovered), key=lambda name: -below[name])
        least = sorted(names, key=lambda name: recovered[name])
        pairs = zip(names, least, strict=True)
        followed = next((n for n, (one, other) in enumerate(pairs) if one != other), len(names))
        ranks = [rankdata([values[name] for name in names]) for values in (below, recovered)]
        first, second = (one - one.mean() for one in ranks)
        scale = np.sqrt((first**2).sum() * (second**2).sum())

        def correlation(order: Array, axis: int = -1) -> Array:
            return np.asarray((order * second).sum(axis=axis) / scale)

        test = permutation_test(
            (first,),
            correlation,
            permutation_type="pairings",
            vectorized=True,
            n_resamples=MOST_ORDERS,
            rng=np.random.default_rng(0),
        )
        return cls(tuple(names), followed, float(test.statistic), float(test.pvalue))
