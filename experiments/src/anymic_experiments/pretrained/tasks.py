"""Heads on a pretrained extractor, and their answers to the recordings of every device."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.files import file_digest, key_of, write_arrays
from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle
from anymic.bundle.device_changes import add_devices, with_device_policy
from anymic.bundle.format import FOLDER
from anymic.bundle.installed import resolve
from anymic.codecs.conditions import codec_names
from anymic.codecs.random_codec import Codecs
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.errors import Failure
from anymic.features import FrontendConfig
from anymic.inference.answers import average, probabilities
from anymic.inference.new_device import add_device
from anymic.inference.sequences import open_sequences
from anymic.models.tagger import Tagger
from anymic.training import TrainingConfig
from anymic.training.head_settings import LINEAR
from anymic.training.heads import fit_head
from anymic_experiments.runner import Arrays, ArrayTask, FileTask
from anymic_experiments.runs import BLIND_PRIOR, Outcome, Run, named_by, renewed

SEQUENCES = "sequences"
# Raise it when the same settings and clips begin to give other answers.
VERSION = 1
MOST_UNUSABLE = 0.01  # of the training clips


@dataclass(frozen=True)
class Row:
    """A row of a table: how the head is trained, and what corrects the test clips."""

    takes: bool = False  # a profile from the takes among the training clips
    limit_db: float = 40.0  # of its gains
    blind: int = 0  # gains from so many recordings of each device alone
    random: bool = False  # whether the head is also trained on random devices
    subtract_noise: bool = False  # whether the gains of takes do

    @property
    def name(self) -> str:
        """The name of its file; what is not subtracted is not named."""
        settings = asdict(self)
        if not settings["subtract_noise"]:
            del settings["subtract_noise"]
        if self.blind == 1:  # the first such files were of clips with a stated device
            settings["stated"] = False
        if self.blind:  # and of gains that expected one kind of device
            settings["prior"] = BLIND_PRIOR
        return "-".join(f"{key}-{value}" for key, value in settings.items())


@dataclass(frozen=True)
class Head(FileTask):
    """A logistic head on the embeddings of the training clips of one device, or of several."""

    manifest: Path
    device: str | tuple[str, ...] | None  # None where no device is stated
    extractor: str
    seed: int
    # settings of a training: every clip is also trained on through random devices, and codecs
    random_devices: RandomDevices | None = None
    codecs: Codecs | None = None

    @property
    def config(self) -> TrainingConfig:
        """The settings of the training: all clips train."""
        return TrainingConfig(
            network=LINEAR,
            loss="cross_entropy",
            validation_share=0.0,
            seed=self.seed,
            random_devices=self.random_devices,
            codecs=self.codecs,
        )

    def folder(self, out: Path) -> Path:
        """Return the folder of the training, named by all that decides its result."""
        extractor = file_digest(resolve(self.extractor) / FOLDER.index)
        none: list[str] = []  # responses of an earlier version: no old head is renamed
        facts: list[Any] = [VERSION, self.device, extractor, self.seed, none]
        if self.random_devices is not None:
            facts.append(to_mapping(self.random_devices))
        if self.codecs is not None:
            facts.append({"codecs": to_mapping(self.codecs)})
        return out / named_by(facts, self.manifest)

    def file(self, out: Path) -> Path:
        """Return the file that is written last."""
        return self.folder(out) / FOLDER.index

    def finish(self, out: Path) -> None:
        """Train it."""
        embedder = Bundle.load(self.extractor)
        training = Manifest.read(self.manifest).where(split="train")
        if self.device is not None:
            training = training.where(device=self.device)
        head = fit_head(training, embedder, self.config, self.folder(out), cache=out / SEQUENCES)
        unusable = [Failure(**one) for one in head.training["failures"]]
        if len(unusable) > MOST_UNUSABLE * len(training):
            require_all_usable(unusable)


@dataclass(frozen=True)
class Answers(ArrayTask):
    """The answers of a head to the test clips of every device, corrected as a row says."""

    head: Head
    row: Row

    def file(self, out: Path) -> Path:
        """Return the file of the result."""
        return self.head.folder(out) / f"{self.row.name}.npz"

    def arrays(self, out: Path) -> Arrays:
        """Classify the test clips."""
        manifest = Manifest.read(self.head.manifest)
        test = manifest.where(split="test")
        bundle = renewed(Bundle.load(self.head.folder(out)))
        bundle = self._corrected(bundle, manifest)
        # Clips of one device would share their gains: of a single recording no device is stated.
        asked = test.with_columns(device="") if self.row.blind == 1 else test
        return {
            **answer(bundle, asked, out / SEQUENCES),
            "labels": np.array(bundle.labels),
            "devices": conditions(test),
        }

    def outcome(self, condition: str, out: Path) -> Outcome:
        """Return what was kept, under the name of the row."""
        found = self.read(out)
        run = Run(condition, self.head.config, self.head.manifest)
        return Outcome(run, labels=tuple(found.pop("labels").tolist()), **found)

    def _corrected(self, bundle: Bundle, manifest: Manifest) -> Bundle:
        """Return the model with the gains of the row. No label of a test clip is used."""
        if self.row.takes:
            fitted = gains_of_takes(
                self.head,
                bundle.frontend.config,
                limit_db=self.row.limit_db,
                subtract_noise=self.row.subtract_noise,
            )
            return add_devices(bundle, fitted.profile_)
        if self.row.blind == 1:
            found = with_device_policy(bundle, unknown="blind")
            assert isinstance(found, Bundle)
            return found
        if self.row.blind:
            generator = np.random.default_rng(self.head.seed)
            for device in manifest.devices:
                if device != self.head.device:
                    own = manifest.where(split="test", device=device).paths()
                    chosen = generator.permutation(len(own))[: self.row.blind]
                    recordings = [own[place] for place in chosen]
                    added = add_device(bundle, device, recordings=recordings).model
                    assert isinstance(added, Bundle)
                    bundle = added
        return bundle


def conditions(test: Manifest) -> NDArray[np.str_]:
    """Return the device of each clip; in a corpus without devices the codec."""
    if "device" in test.table:
        return test.table["device"].to_numpy(dtype=str)
    return codec_names(test)


def gains_of_takes(head: Head, config: FrontendConfig, **settings: Any) -> SpectrumCorrection:
    """Estimate the gains of every device that recorded takes of the training clips.

    `settings` are others of `SpectrumCorrection`.
    """
    assert head.device is not None
    return SpectrumCorrection(
        reference=head.device,
        fft_size=config.fft_size,
        hop_samples=config.hop_samples,
        **settings,
    ).fit(Manifest.read(head.manifest).where(split="train"), rate_hz=config.rate_hz)


def gathered(files: Iterable[Path], folder: Path) -> Path:
    """Copy measured responses into a folder of their own, for `RandomDevices.responses`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not (folder / file.name).is_file():
            shutil.copyfile(file, folder / file.name)
    return folder


def answer(bundle: Bundle, manifest: Manifest, cache: Path) -> Arrays:
    """Classify clips by sequences that all heads share: the mean over a clip's windows.

    Returns the probabilities (clip, label) of clips, their classes (`targets`) and recordings
    (`groups`). Raises BundleError if a clip cannot be used.
    """
    network = bundle.network
    assert isinstance(network, Tagger)
    features, rows = _sequences(bundle, manifest, cache)
    sequences = torch.from_numpy(features).float().transpose(1, 2)
    with torch.inference_mode():
        standardized = network.standardization(sequences)
        each = probabilities(network.head(standardized), bundle.temperature)
    mean = [average(each[rows == clip]) for clip in range(len(manifest))]
    return {
        "probabilities": np.stack(mean),
        "targets": manifest.targets(bundle.labels),
        "groups": np.array(manifest.recordings()),
    }


def _sequences(
    bundle: Bundle, manifest: Manifest, cache: Path
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Return the sequences of embeddings of clips, and the clip of each, cached for all heads.

    Those with blind gains, which `open_sequences` does not keep, are kept by what the gains are
    estimated from: the clips and the mean spectrum. Raises BundleError if a clip cannot be used.
    """
    spectrum, path = bundle.spectrum, None
    if bundle.contract.unknown_device == "blind" and spectrum is not None:
        record, tensors = spectrum.to_parts()
        own = [VERSION, bundle.network_arguments["embedder"], record, manifest.digest()]
        key = key_of(own, *(tensor.numpy().tobytes() for tensor in tensors.values()))
        path = cache / "blind" / f"{key}.npz"
        if path.is_file():
            with np.load(path) as kept:
                return kept["features"], kept["rows"]
    found = open_sequences(manifest, bundle, cache)
    require_all_usable(found.failures)
    if path is not None:
        write_arrays(path, features=found.features, rows=found.rows)
    return np.asarray(found.features), found.rows
