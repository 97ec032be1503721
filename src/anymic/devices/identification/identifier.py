"""Identify the device that recorded a clip, from statistics of uncorrected clips."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from anymic import audio
from anymic._internal import settings as config
from anymic._internal.files import file_digest
from anymic._internal.process_state import default_torch, left_as_found
from anymic._internal.saved_folder import FolderFormat, part_of, tensor_bytes
from anymic.data.manifest import Manifest
from anymic.devices.correction.gain_fitting import failed
from anymic.devices.file_format import reading
from anymic.devices.identification.descriptions import (
    Analysis,
    Descriptions,
    describe,
    describe_manifest,
)
from anymic.devices.identification.identifier_network import (
    FittedNetwork,
    IdentifierNetwork,
    described_responses,
    held_out_scores,
    score,
    train,
)
from anymic.devices.simulation.random_responses import ResponseStatistics
from anymic.errors import AnymicWarning, ConfigError, DeviceError, Failure, counted

FOLDER = FolderFormat(
    "device identifier",
    "anymic-device-identifier",
    version=2,
    index="identifier.json",
    error=DeviceError,
    remedy="pass the folder that `anymic devices fit` wrote",
    again="fit it again",
)
WEIGHTS = "identifier.safetensors"
FEWEST_CLIPS = 5


@dataclass(frozen=True)
class Identification:
    """The device that recorded one clip, or several clips.

    Attributes
    ----------
    device : str or None
        None for an unknown device.
    probability : float
        The probability of `nearest` among the known devices.
    nearest : str
        The most probable of the known devices.
    score : float
        Log odds of any known device against an unknown one, at equal prior odds. `device` is
        given if this is at least the threshold of the identifier.
    shares : dict of str or None to float
        The probability of each known device and, under None, of an unknown one: they sum to 1, and
        weight the gains of a clip. Empty for identifiers of an earlier version, whose clips have
        the gains of `device` alone.
    """

    device: str | None
    probability: float
    nearest: str
    score: float
    shares: dict[str | None, float] = field(default_factory=dict, repr=False)


class DeviceIdentifier:
    """Identify the device that recorded a clip, or reject it as unknown.

    Parameters
    ----------
    true_accepts : float
        Share of the clips of each known device to accept; it sets the threshold.
    responses : ResponseStatistics, optional
        What unknown devices are like: random responses are drawn from it. By default measured
        microphones (`anymic.devices.simulation.random_responses.microphones`).

    Attributes
    ----------
    rate_hz : int
        The rate of every clip.
    devices : tuple of str
        The known devices.
    threshold : float
        A clip with a lower score was recorded by an unknown device.
    fitted_on : tuple of str
        Ids of the training clips (`Manifest.clip_ids`).
    record_ : dict
        How it was fitted and calibrated.
    notes_ : tuple of str
        Notes on the fit. Each is also given as a warning.
    failures_ : tuple of Failure
        Clips that could not be used.

    Raises
    ------
    ConfigError
        If `true_accepts` is not above 0 and below 1.

    Examples
    --------
    >>> import anymic
    >>> identifier = anymic.DeviceIdentifier().fit(anymic.Manifest.read("clips.csv"))
    >>> identifier.devices
    ('A', 'B')
    >>> identifier.save("identifier").name
    'identifier'
    """

    rate_hz: int
    devices: tuple[str, ...]
    threshold: float
    fitted_on: tuple[str, ...]
    record_: dict[str, Any]
    notes_: tuple[str, ...]
    failures_: tuple[Failure, ...]
    _filters: NDArray[np.float64] | None  # of identifiers that describe mel bands
    _weights: bool = True  # whether probabilities weight gains; not in identifiers of before

    def __init__(
        self, *, true_accepts: float = 0.9, responses: ResponseStatistics | None = None
    ) -> None:
        if not 0 < true_accepts < 1:
            raise ConfigError(
                f"true_accepts is {true_accepts:g}", expected="a share above 0 and below 1"
            )
        self.true_accepts, self.responses = true_accepts, responses

    def fit(
        self, manifest: Manifest, *, held_out: Sequence[str] = (), seed: int = 0
    ) -> DeviceIdentifier:
        """Read the clips of `manifest` once and learn its devices.

        Parameters
        ----------
        manifest : Manifest
            Training clips, uncorrected, of one rate. Needs `device`; `group` or `take` say which
            clips belong together.
        held_out : sequence of str
            Devices of the manifest that stand for unknown devices.
        seed : int

        Returns
        -------
        DeviceIdentifier
            Itself.

        Raises
        ------
        ManifestError, DeviceError
            As `describe_manifest` and `fit_descriptions`.
        """
        clips = describe_manifest(manifest)
        return self.fit_descriptions(clips, held_out=held_out, seed=seed)

    @left_as_found()
    def fit_descriptions(
        self, clips: Descriptions, *, held_out: Sequence[str] = (), seed: int = 0
    ) -> DeviceIdentifier:
        """Learn from clips already described.

        The threshold comes from cross-validation (`held_out_scores` and
        `HeldOutScores.threshold`). The final network is trained on all clips.

        Parameters
        ----------
        clips : Descriptions
            What `describe_manifest` returns: values (clip, number), devices and groups.
        held_out, seed
            As for `fit`.

        Returns
        -------
        DeviceIdentifier
            Itself.

        Raises
        ------
        DeviceError
            If a held-out device has no clip, fewer than two are left, one has too few clips, or
            all clips are of one recording.
        """
        if missing := sorted(set(held_out) - set(clips.devices)):
            raise DeviceError(
                f"there is no clip of the held-out device {', '.join(missing)}",
                expected=f"one of {', '.join(sorted(set(clips.devices)))}",
                fix="correct the name, or leave it out",
            )
        unknown = sorted(set(held_out))
        self.devices = tuple(sorted(set(clips.devices) - set(held_out)))
        counts = {name: clips.devices.count(name) for name in self.devices}
        _check_counts(counts, unknown)
        numbers = {name: number for number, name in enumerate((*self.devices, *unknown))}
        targets = np.array([numbers[name] for name in clips.devices], dtype=np.int64)
        _check_recordings(targets[targets < len(self.devices)], clips.groups)
        self.analysis_ = clips.analysis
        self.rate_hz = clips.analysis.rate_hz
        self._filters = None
        draw, devices = described_responses(clips.analysis, self.responses), len(self.devices)
        scores = held_out_scores(
            clips.values, targets, clips.groups, devices=devices, draw=draw, seed=seed
        )
        self.threshold = scores.threshold(self.true_accepts)
        self.fitted_ = train(clips.values, targets, devices=devices, draw=draw, seed=seed)
        self.fitted_on = clips.clip_ids
        self.failures_ = clips.failures
        self.record_ = {
            "clips": counts,
            "held_out": {name: clips.devices.count(name) for name in unknown},
            "seed": seed,
            **scores.record(self.threshold, self.devices),
        }
        self.notes_ = ()
        if clips.failures:
            self.notes_ = (f"some clips could not be used{failed(clips.failures)}",)
            warnings.warn(self.notes_[0], AnymicWarning, stacklevel=2)
        return self

    def describe(self, clip: audio.Clip) -> NDArray[np.float64]:
        """Describe a clip by its mean log spectrum, without its level.

        Parameters
        ----------
        clip : Clip
            Uncorrected, of any length, at `rate_hz`.

        Returns
        -------
        array (number,), float64
            Cosine transform of the mean log magnitudes.

        Raises
        ------
        AudioError
            If the clip is silent or has another rate.
        """
        return describe(clip, self.analysis_, self._filters)

    @default_torch()
    @torch.inference_mode()
    def log_probabilities(
        self, clips: Sequence[audio.Clip], *, sparse: int = 1
    ) -> NDArray[np.float64]:
        """Return the log probability of each device, and of an unknown one.

        Parameters
        ----------
        clips : sequence of Clip
        sparse : int
            Describe clips by one frame in so many.

        Returns
        -------
        array (clip, device + 1), float64
            Natural logarithms; the last column is that of an unknown device.

        Raises
        ------
        AudioError
            As `describe`.
        """
        analysis = replace(self.analysis_, hop_samples=sparse * self.analysis_.hop_samples)
        found = np.array([describe(clip, analysis, self._filters) for clip in clips])
        return np.asarray(self.fitted_.log_probabilities(found).numpy())

    def identify(self, clip: audio.Clip) -> Identification:
        """Name the device of one clip.

        Parameters
        ----------
        clip : Clip
            Uncorrected, of any length.

        Returns
        -------
        Identification
            The device, None where it is unknown, with its probability and score.

        Raises
        ------
        AudioError
            As `describe`.
        """
        return self.identify_together([clip])

    def identify_together(self, clips: Sequence[audio.Clip]) -> Identification:
        """Name the one device that recorded all of these clips.

        Parameters
        ----------
        clips : sequence of Clip
            At least one.

        Returns
        -------
        Identification

        Raises
        ------
        AudioError
            As `describe`.
        DeviceError
            If there are no clips.
        """
        if not clips:
            raise DeviceError(
                "there are no clips", expected="at least one", fix="pass recordings of a device"
            )
        return self.identify_features(np.array([self.describe(clip) for clip in clips]))

    @default_torch()
    @torch.inference_mode()
    def identify_features(self, values: ArrayLike) -> Identification:
        """Name the one device that recorded all described clips.

        Their probabilities are multiplied, as those of independent clips. The score is that of
        the mean log probabilities, with the same threshold.

        Parameters
        ----------
        values : array (clip, number)
            Descriptions, from `describe`.

        Returns
        -------
        Identification
        """
        described = np.asarray(values, dtype=np.float64)
        logs = self.fitted_.log_probabilities(described)
        share, index = logs[:, :-1].sum(dim=0).softmax(dim=0).max(dim=0)
        nearest = self.devices[int(index)]
        found = float(score(logs.mean(dim=0, keepdim=True)))
        named = nearest if found >= self.threshold else None
        every = logs.sum(dim=0).softmax(dim=0).tolist() if self._weights else ()
        shares = dict(zip((*self.devices, None), every, strict=False))
        return Identification(named, float(share), nearest, found, shares)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the state, for `from_parts`: plain JSON values, and tensors."""
        record = {
            "format": FOLDER.name,
            "version": FOLDER.version,
            "analysis": asdict(self.analysis_),
            "devices": list(self.devices),
            "threshold": self.threshold,
            "weights_gains": self._weights,
            "fitted_on": list(self.fitted_on),
            "record": self.record_,
        }
        network = self.fitted_.network.state_dict()
        tensors = {f"network.{key}": value for key, value in network.items()}
        tensors["mean"] = torch.from_numpy(self.fitted_.mean).float()
        tensors["scale"] = torch.from_numpy(self.fitted_.scale).float()
        if self._filters is not None:
            tensors["filters"] = torch.from_numpy(self._filters)
        return record, tensors

    @classmethod
    @left_as_found()
    def from_parts(
        cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> DeviceIdentifier:
        """Build an identifier from what `to_parts` returned.

        Parameters
        ----------
        record : mapping
            Plain JSON values.
        tensors : mapping of str to Tensor

        Returns
        -------
        DeviceIdentifier

        Raises
        ------
        DeviceError
            If they are not those of an identifier, or have another version.
        """
        where, kind, again = "the identifier", f"a {FOLDER.kind}", FOLDER.again
        with reading(record, FOLDER.name, FOLDER.version, where=where, kind=kind, again=again):
            self = cls()
            self.analysis_ = config.from_mapping(Analysis, record["analysis"])
            self.rate_hz = self.analysis_.rate_hz
            self.devices = tuple(map(str, record["devices"]))
            self.threshold = float(record["threshold"])
            self._weights = bool(record.get("weights_gains", False))
            self.fitted_on = tuple(map(str, record["fitted_on"]))
            self.record_ = dict(record["record"])
            self.notes_, self.failures_ = (), ()
            self._filters = None if self.analysis_.coefficients else tensors["filters"].numpy()
            network = IdentifierNetwork(self.analysis_.values, len(self.devices))
            network.load_state_dict(part_of(tensors, "network"))
            network.eval().requires_grad_(False)
            mean, scale = (tensors[name].double().numpy() for name in ("mean", "scale"))
            self.fitted_ = FittedNetwork(network, mean, scale)
        return self

    def save(self, folder: str | Path) -> Path:
        """Write identifier.json and identifier.safetensors, whole or not at all.

        Parameters
        ----------
        folder : path
            It is made where it does not exist.

        Returns
        -------
        Path
            The folder.
        """
        folder = Path(folder)
        record, tensors = self.to_parts()
        with FOLDER.writing(folder) as new:
            (new / WEIGHTS).write_bytes(tensor_bytes(tensors))
            FOLDER.write_index(new, {**record, "sha256": {WEIGHTS: file_digest(new / WEIGHTS)}})
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> DeviceIdentifier:
        """Read an identifier that `save` wrote.

        Parameters
        ----------
        folder : path

        Returns
        -------
        DeviceIdentifier

        Raises
        ------
        DeviceError
            If the folder or a file of it is missing, was altered, is not an identifier or has
            another version.
        """
        folder = Path(folder)
        record = FOLDER.read_index(folder)
        sha256 = record.pop("sha256", None)
        FOLDER.verify(folder, sha256 if isinstance(sha256, dict) else {}, needed=[WEIGHTS])
        return cls.from_parts(record, FOLDER.read_tensors(folder / WEIGHTS))


def _check_recordings(targets: NDArray[np.int64], groups: Sequence[str]) -> None:
    """Refuse clips of which no device has two recordings: a threshold is set on other ones."""
    pairs = zip(targets.tolist(), groups, strict=False)
    recordings = [device for device, _ in set(pairs)]
    if len(recordings) == len(set(recordings)):
        raise DeviceError(
            "all clips of each device are of one recording",
            expected="at least two recordings, to set the threshold",
            fix="add recordings, or fill the column group",
        )


def _check_counts(counts: Mapping[str, int], held_out: Sequence[str]) -> None:
    if len(counts) < 2:
        known = f" ({next(iter(counts))})" if counts else ""
        raise DeviceError(
            f"the clips are of {counted(len(counts), 'known device')}{known}"
            + f", and {', '.join(held_out)} held out" * bool(held_out),
            expected="at least two known devices",
            fix="hold out fewer devices" if held_out else "add clips of another device",
        )
    few = [f"{count} of {name}" for name, count in counts.items() if count < FEWEST_CLIPS]
    if few:
        raise DeviceError(
            f"there are too few clips: {', '.join(few)}",
            expected=f"at least {FEWEST_CLIPS} clips of each device",
            fix="record more, or leave the device out",
        )
