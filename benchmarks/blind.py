"""What blind gains of unknown devices are worth: errors in dB, accuracy, and recordings made worse.

    python benchmarks/blind.py --data ../shared/data/ESC-50-16k --responses ../shared/data/micirp \
        --weights ../shared/data/yamnet/yamnet_float32.npz --development
    python benchmarks/blind.py ... the same without --development

Two of the folds 2 to 4 of ESC-50, as device A records them, train logistic regression on the
embeddings of a frozen YAMNet, and give the mean spectrum that recordings are compared with. The
unknown devices are microphones of the preset `identification`, with its noise; none of them is in
the statistics of `random_responses`. With --development these are H to K, on clips of fold 4, with
which the prior was chosen. Otherwise they are those that no choice was made with, B to G and L to
Q, on clips of fold 1, with folds 2 and 3 for training.

Printed, with 95 % intervals over recordings:

- the error of the gains from 1, 5, 20 and 80 recordings in dB: root mean square from 125 Hz to
  7.5 kHz over log frequency, without the level of the device, which a recording does not tell;
  without gains, with the prior of earlier models, and with that of new ones; and the share of gains
  within one and two standard errors of the true ones;
- the same for 20 recordings of one class, and how often these are noticed;
- accuracy uncorrected and with gains from each clip alone, the recovered share of the loss, and the
  share of clips that changed from right to wrong and from wrong to right.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from microphone_statistics import files_of  # type: ignore[import-not-found]
from numpy.typing import NDArray
from torch import Tensor

from anymic import audio
from anymic._internal.settings import preset_file
from anymic.data import corpora
from anymic.data.manifest import Manifest
from anymic.devices.correction.blind import MeanSpectrum, bands_hz
from anymic.devices.correction.spectra import ClipSpectra
from anymic.devices.simulation.chain import Device, noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.random_devices import measured_levels
from anymic.importers.yamnet import import_yamnet
from anymic.inference.embedder import Embedder
from anymic.metrics import intervals
from anymic.training.logistic import fit_logistic

DEVELOPMENT, REPORTED = "HIJK", "BCDEFGLMNOPQ"
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
COUNTS, TRIES = (1, 5, 20, 80), 25
TRAINING_CLIPS, MEAN_CLIPS = 500, 200
Array = NDArray[np.float64]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, what in (("data", "folder of ESC-50"), ("responses", "folder of MicIRP")):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--weights", type=Path, required=True, help="weights of YAMNet")
    parser.add_argument("--development", action="store_true", help="devices of the choice")
    parser.add_argument("--clips", type=int, default=60, help="test clips of each device")
    parser.add_argument("--part", choices=("gains", "accuracy", "both"), default="both")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    torch.set_num_threads(1)
    names = DEVELOPMENT if arguments.development else REPORTED
    table = Recorded(arguments.data, arguments.responses, arguments.weights)
    test = table.part("4" if arguments.development else "1")
    table.learn_spectrum(table.part("2", "3"))
    if arguments.part != "accuracy":
        spectra = {name: table.spectra(test, name) for name in ("A", *names)}
        print_errors(table, spectra, test)
    if arguments.part != "gains":
        table.learn_head(evenly(table.part("2", "3"), TRAINING_CLIPS))
        print_accuracy(table, evenly(test, arguments.clips), names)


class Recorded:
    """Clips as the devices of the preset record them, and a model that is trained on those of A."""

    def __init__(self, data: Path, responses: Path, weights: Path) -> None:
        bundle = import_yamnet(weights)
        self.frontend, self.embedder = bundle.frontend, Embedder(bundle, precision="float32")
        config = self.frontend.config
        self.analysis: dict[str, Any] = {
            "fft_size": config.fft_size,
            "hop_samples": min(config.hop_samples, config.fft_size // 2),
        }
        self.responses = str(responses)
        self.devices = DeviceSet.read(preset_file("identification", example="microphones")).devices
        files = sorted(path.name for path in responses.glob("*.wav"))
        bins = config.fft_size // 2 + 1
        levels = measured_levels(self.responses, config.rate_hz, bins)
        self.levels_db = dict(zip(files, levels, strict=True))
        assert set(files_of("identification")) <= set(files)
        self.hz = np.linspace(0, config.rate_hz / 2, bins)
        manifest = corpora.load("esc50", data)
        self.manifest = manifest.rows(np.array([path.is_file() for path in manifest.paths()]))

    def part(self, *folds: str) -> Manifest:
        """Return the clips of folds."""
        return self.manifest.where(fold=list(folds))

    def gains_db(self, name: str) -> Array:
        """Return the true gains (bin,) of a device."""
        response = self.devices[name].response
        if response is None or response.file is None:
            return np.zeros_like(self.hz)
        return np.asarray(-self.levels_db[response.file])

    def samples(self, path: Path, name: str) -> NDArray[np.float32]:
        """Return a clip as a device records it."""
        device: Device = self.devices[name]
        seed = noise_seed(2019, name, path.name)
        return record(audio.read(path), device, seed=seed, responses=self.responses).clip.samples

    def learn_spectrum(self, training: Manifest) -> None:
        """Compute the mean spectrum of training clips of A."""
        chosen = evenly(training, MEAN_CLIPS)
        config, count = self.frontend.config, len(chosen)
        empty = np.zeros((count, len(self.hz)))
        levels: dict[str, Any] = {"floor_db": -100.0, "silence_db": -40.0}
        settings = {**levels, **self.analysis, "rate_hz": config.rate_hz}
        self.observer = MeanSpectrum(
            **settings, log_magnitude=empty[0], known=empty[:0], count=count,
            covariance=np.eye(len(bands_hz(config.rate_hz, config.fft_size))),
            spread=np.ones(len(self.hz)),
        )  # fmt: skip
        found = np.stack([self.observer.observe(self.samples(p, "A")) for p in chosen.paths()])
        spectra = ClipSpectra(
            **settings, clip_ids=tuple(chosen.clip_ids()), devices=("A",) * count,
            takes=(None,) * count, magnitude=empty, log_magnitude=found, joint_log_magnitude=empty,
            frames=np.ones(count, np.int64), active_frames=np.ones(count, np.int64),
        )  # fmt: skip
        self.target = MeanSpectrum.of(spectra, None)

    def spectra(self, clips: Manifest, name: str) -> Array:
        """Return the mean log spectra (clip, bin) of clips of a device."""
        return np.stack([self.target.observe(self.samples(p, name)) for p in clips.paths()])

    def learn_head(self, training: Manifest) -> None:
        """Train the classifier."""
        vectors = [self.vector(self.samples(path, "A")) for path in training.paths()]
        targets = training.targets(self.manifest.labels)
        self.head = fit_logistic(np.stack(vectors), targets, training.recordings())

    @torch.inference_mode()
    def vector(self, samples: NDArray[np.float32], gains: Array | None = None) -> Array:
        """Return the mean and the maximum over the embeddings of a clip's patches."""
        magnitude = self.frontend.magnitude(torch.from_numpy(samples)[None])[0]
        if gains is not None:
            magnitude = magnitude * torch.from_numpy(gains).float()
        mel = self.frontend.mel(magnitude)
        log_mel: Tensor = (mel + self.frontend.config.log_offset).log()
        embeddings = self.embedder.pool((log_mel.unfold(0, 96, 48).contiguous(),))
        return np.concatenate([embeddings.mean(axis=0), embeddings.max(axis=0)])


def print_errors(table: Recorded, spectra: dict[str, Array], test: Manifest) -> None:
    """Print the errors of gains, and what is noticed of recordings of one class."""
    earlier = replace(table.target, prior="smooth")
    generator = np.random.default_rng(0)
    labels = test.table["label"].to_numpy(dtype=str)
    groups = {"A": ["A"], "unknown devices": [name for name in spectra if name != "A"]}
    print("error in dB without gains, earlier, new; made worse by gains; within 1 and 2 errors")
    for title, names in groups.items():
        for count in (*COUNTS, 0):  # 0: of one class
            rows = []
            for name in names:
                for _ in range(TRIES if len(names) > 1 else 4 * TRIES):
                    chosen = generator.permutation(len(labels))[: count or 20]
                    if not count:
                        chosen = np.flatnonzero(labels == generator.choice(np.unique(labels)))
                    rows.append(errors(table, earlier, spectra[name][chosen], name))
            values = np.array(rows)
            rms = np.sqrt(np.mean(np.square(values[:, :3]), axis=0))
            worse = intervals.accuracy(values[:, 2] > values[:, 0])
            within = 100 * values[:, 3:5].mean(axis=0)
            what = f"{count} recordings" if count else "8 of one class"
            noticed = 100 * values[:, 5].mean()
            print(
                f"{title:16s} {what:14s} {rms[0]:5.2f} {rms[1]:5.2f} {rms[2]:5.2f}   worse "
                f"{percent(worse)}   {within[0]:.0f} % {within[1]:.0f} %   noticed {noticed:.0f} %"
                f"   n = {len(values)}"
            )


def errors(table: Recorded, earlier: MeanSpectrum, spectra: Array, name: str) -> list[float]:
    """Return the errors of none, earlier and new gains, and how far the new ones are certain."""
    inside = (table.hz >= LOWEST_HZ) & (table.hz <= HIGHEST_HZ)
    weights = inside / np.maximum(table.hz, 1.0)
    weights /= weights.sum()
    true_db, found = table.gains_db(name), table.target.estimate(spectra)
    values = []
    for gains in (np.ones_like(true_db), earlier.gains(spectra), found.gains):
        error_db = 20 * np.log10(gains) - true_db
        error_db -= weights @ error_db
        values.append(float(np.sqrt(weights @ np.square(error_db))))
    far = np.abs(20 * np.log10(found.gains) - true_db) / found.uncertainty_db
    within = [float(weights @ (far < times)) for times in (1, 2)]
    return [*values, *within, float(found.alike)]


def print_accuracy(table: Recorded, test: Manifest, names: Sequence[str]) -> None:
    """Print accuracy of each device without gains and with gains from each clip alone."""
    targets = test.targets(table.manifest.labels)
    where = test.recordings()
    right: dict[tuple[str, bool], NDArray[np.bool_]] = {}
    for name in ("A", *names):
        recorded = [table.samples(path, name) for path in test.paths()]
        for blind in (False, True):
            found = []
            for samples in recorded:
                observed = table.target.observe(samples)[None]
                found.append(table.vector(samples, table.target.gains(observed) if blind else None))
            logits = table.head.logits(np.stack(found))
            right[name, blind] = logits.argmax(axis=1) == targets
        print_row(name, right[name, False], right[name, True], where)
    before = np.concatenate([right[name, False] for name in names])
    after = np.concatenate([right[name, True] for name in names])
    everywhere = [*where] * len(names)
    print_row("all unknown", before, after, everywhere)
    own = np.tile(right["A", False], len(names)).astype(float)
    change = intervals.paired_difference(after, before, everywhere)
    loss = intervals.paired_difference(own, before, everywhere)
    print(f"change {percent(change)}, of a loss of {percent(loss)} against A")


def print_row(
    name: str,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    where: Sequence[str],
) -> None:
    """Print accuracies, and the shares of clips that changed."""
    cells = [
        percent(intervals.accuracy(values, where))
        for values in (before, after, before & ~after, ~before & after)
    ]
    line = f"{cells[0]} -> {cells[1]}; right to wrong {cells[2]}, back {cells[3]}"
    print(f"{name:12s} {line}; n = {len(after)}", flush=True)


def evenly(manifest: Manifest, count: int) -> Manifest:
    """Return rows at equal distances."""
    count = min(count, len(manifest))
    return manifest.rows(np.linspace(0, len(manifest) - 1, count).round().astype(int))


def percent(interval: intervals.Interval) -> str:
    """Return a share in per cent with its bounds."""
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}] %"


if __name__ == "__main__":
    main()
