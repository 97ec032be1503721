"""How heads on a frozen extractor are trained with random devices: the choice of the default.

    python benchmarks/random_devices.py --data ../shared/data/ESC-50-16k \
        --responses ../shared/data/micirp --weights ../shared/data/yamnet/yamnet_float32.npz

Two inner splits of ESC-50: with fold 1 as the test fold, folds 2 and 3 train and fold 4 is
classified; with fold 3, folds 4 and 1 train and fold 2 is classified. No head is trained or
measured on its test fold. Device A records all training clips, through its noise of -80 dBFS. Every
clip to classify is recorded by A and by the microphones H, I, J and K of the preset
`identification`, which are not among those that the built-in responses were fitted to, nor among
those that results are tested on.

Printed for each setting: the accuracy in per cent on A, its difference in pairs to training
without random devices, and the same for each microphone and for their mean, with 95 % intervals
over recordings of the splits together. With --rows only some settings are compared; those of the
last rows are treatments of the recordings, with a head trained as the default is. Results are kept
in the folder --work, so that a run continues where another ended.

--train and --classify use every n-th clip only. --strength compares no other C, which takes
a tenth of the time.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.files import key_of
from anymic.bundle import Bundle
from anymic.bundle.device_changes import with_device_policy
from anymic.data import corpora
from anymic.data.manifest import Manifest
from anymic.devices.simulation.copies import Copies
from anymic.devices.simulation.device_set import DeviceSet, Share
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.devices.simulation.simulate import simulate
from anymic.evaluation.report.cells import points
from anymic.importers.yamnet import import_yamnet
from anymic.inference.new_device import add_device
from anymic.inference.sequences import Sequences, open_sequences
from anymic.metrics import paired_difference
from anymic.training.heads import untrained
from anymic.training.logistic import STRENGTHS, fit_logistic
from anymic.training.mean_spectrum import with_spectrum

SPLITS = {"1": (["2", "3"], "4"), "3": (["4", "1"], "2")}  # the test fold: training, classified
OWN, OTHERS = "A", ("H", "I", "J", "K")
RECORDINGS = 80  # of a device, that blind gains are estimated from
WINDOW_S = 5.0
SILENT = -200.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """How a head is trained, and what is done with recordings of unknown devices."""

    devices: RandomDevices | None = field(default_factory=RandomDevices)
    half: bool = False  # a clip weighs as much as its copies together
    blind: int = 0  # recordings that gains are estimated from


def settings(folder: Path) -> dict[str, Setting]:
    """Return the settings by name; the folder has measured responses."""
    changed = {
        "scale 0.5": {"scale": 0.5},
        "scale 1.5": {"scale": 1.5},
        "scale 2": {"scale": 2.0},
        "level 0 dB": {"level_db": 0.0},
        "level 6 dB": {"level_db": 6.0},
        "without noise": {"noise_db": (SILENT, SILENT)},
        "noise of -80 to -50 dBFS": {"noise_db": (-80.0, -50.0)},
        "without cut-offs": {"cutoffs": 0.0},
        "cut-offs 0.3": {"cutoffs": 0.3},
        "without clipping": {"clipping": 0.0},
        "clipping 0.3": {"clipping": 0.3},
        "response alone": {
            "level_db": 0.0,
            "noise_db": (SILENT, SILENT),
            "cutoffs": 0.0,
            "clipping": 0.0,
        },
        "measured responses": {"responses": str(folder)},
    }
    return {
        "none": Setting(None),
        "2 copies": Setting(),
        "1 copy": Setting(RandomDevices(copies=1)),
        "4 copies": Setting(RandomDevices(copies=4)),
        **{name: Setting(RandomDevices(**each)) for name, each in changed.items()},  # type: ignore[arg-type]
        "a clip weighs as its copies": Setting(half=True),
        "4, a clip weighs as its copies": Setting(RandomDevices(copies=4), half=True),
        "none, blind of each": Setting(None, blind=1),
        "none, blind of 80": Setting(None, blind=RECORDINGS),
        "2 copies, blind of each": Setting(blind=1),
        "2 copies, blind of 80": Setting(blind=RECORDINGS),
        "1 copy, blind of each": Setting(RandomDevices(copies=1), blind=1),
    }


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, what in (("data", "folder of ESC-50"), ("responses", "folder of MicIRP")):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--weights", type=Path, required=True, help="weights of YAMNet")
    parser.add_argument("--work", type=Path, default=Path("random-devices"), help="for recordings")
    parser.add_argument("--rows", nargs="*", help="names of some settings")
    parser.add_argument("--splits", nargs="*", default=list(SPLITS), help="test folds")
    parser.add_argument("--train", type=int, default=1, help="every n-th clip")
    parser.add_argument("--classify", type=int, default=1, help="every n-th clip")
    parser.add_argument("--strength", type=float, help="the one value of C")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    torch.set_num_threads(1)
    splits = [Split(arguments, fold) for fold in arguments.splits]
    rows = settings(generator_folder(arguments))
    base = [split.right(rows["none"]) for split in splits]
    print("\t".join(["", OWN, *OTHERS, "mean of " + ", ".join(OTHERS), "seconds"]))
    for name in arguments.rows or rows:
        begin = time.process_time()
        found = [split.right(rows[name]) for split in splits]
        spent = time.process_time() - begin
        print("\t".join([name, *cells(found, base, splits), f"{spent:.0f}"]), flush=True)


def generator_folder(arguments: argparse.Namespace) -> Path:
    """Return a folder of the measured responses that the built-in ones were fitted to."""
    folder = Path(arguments.work) / "responses"
    folder.mkdir(parents=True, exist_ok=True)
    used = {
        one.response.file
        for one in DeviceSet.read("identification").devices.values()
        if one.response
    }
    for path in Path(arguments.responses).glob("*.wav"):
        if path.name not in used and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path.resolve())
    return folder


def cells(
    found: list[Mapping[str, Floats]], base: list[Mapping[str, Floats]], splits: list[Split]
) -> list[str]:
    """Return the accuracies and paired differences of one row."""
    groups = np.concatenate([split.groups for split in splits])
    cells = []
    for names in ((OWN,), *((name,) for name in OTHERS), OTHERS):
        own, other = (
            np.concatenate([np.mean([split[name] for name in names], axis=0) for split in each])
            for each in (found, base)
        )
        difference = paired_difference(own, other, groups)
        cells.append(f"{100 * own.mean():.1f} ({points(difference)})")
    return cells


class Split:
    """An inner split: the recordings of every device, and the extractor."""

    def __init__(self, arguments: argparse.Namespace, fold: str) -> None:
        trains, classified = SPLITS[fold]
        self.work, self.fold = Path(arguments.work), fold
        self.strengths = STRENGTHS if arguments.strength is None else (arguments.strength,)
        self.state = [fold, arguments.train, arguments.classify, *self.strengths]
        clean = corpora.load("esc50", arguments.data).where(fold=[*trains, classified])
        parts = np.where(clean.table["fold"].astype(str) == classified, "test", "train")
        clean = clean.with_columns(split=parts.tolist())
        clean = Manifest.from_table(clean.table.drop(columns="fold"), clean.root, name=clean.name)
        devices = DeviceSet.read("identification", responses=arguments.responses)
        chosen = {name: devices.devices[name] for name in (OWN, *OTHERS)}
        whole: Share = "all"
        recorded = {"train": {OWN: whole}, "test": dict.fromkeys(chosen, whole)}
        devices = replace(devices, devices=chosen, recorded=recorded)
        made = simulate(clean, devices, self.work / f"without-{fold}", progress=False)
        # A device is named where its gains are added.
        training = _unnamed(made.manifest.where(split="train"))
        self.training = every(training, arguments.train)
        self.tests = {
            name: every(made.manifest.where(split="test", device=name), arguments.classify)
            for name in chosen
        }
        self.bundle = untrained(
            import_yamnet(arguments.weights),
            self.training.labels,
            "linear_head",
            window_s=WINDOW_S,
        )
        self.groups = np.array(self.tests[OWN].recordings())

    def right(self, setting: Setting) -> Mapping[str, Floats]:
        """Return for each device whether each clip is classified correctly."""
        path = self.work / "found" / f"{key_of([*self.state, asdict(setting)])}.npz"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            np.savez(path, **self._measure(setting))  # type: ignore[arg-type]
        with np.load(path) as found:
            return dict(found)

    def _measure(self, setting: Setting) -> Mapping[str, Floats]:
        sequences = self.embed(self.training, self.bundle, setting.devices)
        copies = sequences.copies
        weights = np.ones(len(copies))
        if setting.half and copies.any():
            weights = np.where(copies == 0, float(copies.max()), 1.0)
        head = fit_logistic(
            pooled(sequences),
            self.training.targets(self.bundle.labels)[sequences.rows],
            np.array(self.training.recordings())[sequences.rows].tolist(),
            weights=weights,
            copies=copies > 0,
            strengths=self.strengths,
            scaling="common",
        )
        print(f"fold {self.fold}: C = {head.strength:g}", file=sys.stderr, flush=True)
        found = {}
        for name, clips in self.tests.items():
            bundle = self.bundle
            if setting.blind:
                bundle = self.with_blind_gains(name, setting.blind)
            named = clips if bundle.devices else _unnamed(clips)
            logits = head.logits(pooled(self.embed(named, bundle)))
            found[name] = (logits.argmax(axis=1) == clips.targets(bundle.labels)).astype(float)
        return found

    def with_blind_gains(self, device: str, recordings: int) -> Bundle:
        """Return the model with gains of a device from recordings of it alone, or of each clip."""
        model = with_spectrum(self.bundle, self.training)
        if recordings == 1:
            blind = with_device_policy(model, unknown="blind")
            assert isinstance(blind, Bundle)
            return blind
        paths = self.tests[device].paths()
        order = np.random.default_rng(0).permutation(len(paths))[:recordings]
        found = add_device(model, device, recordings=[paths[place] for place in order]).model
        assert isinstance(found, Bundle)
        return found

    def embed(
        self, clips: Manifest, bundle: Bundle, devices: RandomDevices | None = None
    ) -> Sequences:
        """Return the sequences of embeddings of clips, and of their copies."""
        return open_sequences(
            clips,
            bundle,
            self.work / "embeddings",
            copies=None if devices is None else Copies(devices),
            copied=clips.clip_ids() if devices else (),
        )


def every(clips: Manifest, step: int) -> Manifest:
    """Return every n-th clip of each label."""
    number = clips.table.groupby("label", sort=False).cumcount().to_numpy()
    return clips.rows(np.asarray(number % step == 0))


def pooled(sequences: Sequences) -> Floats:
    """Return the mean and the maximum over the segments, as a logistic head pools them."""
    values = sequences.features.astype(np.float64)
    return np.concatenate([values.mean(axis=-1), values.max(axis=-1)], axis=1)


def _unnamed(clips: Manifest) -> Manifest:
    return Manifest.from_table(clips.table.drop(columns="device"), clips.root, name=clips.name)


if __name__ == "__main__":
    main()
