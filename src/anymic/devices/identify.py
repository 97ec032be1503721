"""Which device is this? A small network on statistics of uncorrected clips, and when to say no."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic import audio, config
from anymic.devices import identifier_files
from anymic.devices.descriptions import Analysis, Descriptions, describe, describe_manifest
from anymic.devices.identifier_files import FORMAT, VERSION
from anymic.devices.identifier_network import IdentifierNetwork, train, unseen_scores
from anymic.errors import AnymicError, DeviceError, Failure
from anymic.manifest import Manifest

FEWEST_CLIPS = 5


@dataclass(frozen=True)
class Identification:
    """The answer for one clip.

    Attributes
    ----------
    device : str or None
        The device; None: none of the known ones.
    probability : float
        Of `nearest` among the known devices.
    nearest : str
        The known device that the clip is most like.
    score : float
        How like a known device the clip is: accepted from the identifier's threshold on.
    """

    device: str | None
    probability: float
    nearest: str
    score: float


class DeviceIdentifier:
    """Learn to name the device that recorded a clip, and to say when it is none of the known.

    Attributes
    ----------
    rate_hz : int
        The rate of every clip.
    devices : tuple of str
        The known devices.
    threshold : float
        A clip whose score is below is of an unknown device.
    fitted_on : tuple of str
        Ids of the clips (`Manifest.clip_ids`) that were learned from.
    record_ : dict
        How it was fitted and calibrated.
    notes_ : tuple of str
        What a user should know of this fit; each is also given as a warning.
    failures_ : tuple of Failure
        Clips that could not be used.
    """

    rate_hz: int
    devices: tuple[str, ...]
    threshold: float
    fitted_on: tuple[str, ...]
    record_: dict[str, Any]
    notes_: tuple[str, ...]
    failures_: tuple[Failure, ...]

    def __init__(self, *, bands: int = 128, true_accepts: float = 0.95) -> None:
        self.bands = bands
        self.true_accepts = true_accepts

    def fit(
        self, manifest: Manifest, *, held_out: Sequence[str] = (), seed: int = 0
    ) -> DeviceIdentifier:
        """Read the clips of `manifest` once and learn its devices.

        Parameters
        ----------
        manifest : Manifest
            Training clips only, uncorrected, of one rate. Needs `device`; `group` or `take` say
            which clips belong together.
        held_out : sequence of str
            Devices of the manifest that are not learned: `record_` says how many of their clips
            pass for a known device, and the area under the ROC curve of the scores.
        seed : int
        """
        return self.fit_descriptions(
            describe_manifest(manifest, bands=self.bands), held_out=held_out, seed=seed
        )

    def fit_descriptions(
        self, clips: Descriptions, *, held_out: Sequence[str] = (), seed: int = 0
    ) -> DeviceIdentifier:
        """Learn from clips already described.

        Clips are learned twice over: four networks, each trained without a quarter of the
        recordings, score the quarter that they have not heard, and the threshold accepts the share
        `true_accepts` of those scores. The network that is kept is trained on all clips.
        """
        known = [row for row, device in enumerate(clips.devices) if device not in set(held_out)]
        mine = clips.rows(known)
        self.devices = tuple(sorted(set(mine.devices)))
        counts = {name: mine.devices.count(name) for name in self.devices}
        _check_counts(counts)
        self.analysis_ = clips.analysis
        self.rate_hz = clips.analysis.rate_hz
        self._filters = clips.analysis.filters()
        self._mean = torch.from_numpy(mine.values.mean(axis=0)).float()
        self._scale = torch.full_like(self._mean, float(mine.values.std(axis=0).mean()) + 1e-6)
        targets = np.array([self.devices.index(name) for name in mine.devices], dtype=np.int64)
        standardized = self._standardized(mine.values).double().numpy()
        scale, devices = 1 / float(self._scale[0]), len(self.devices)
        unseen = unseen_scores(
            standardized, targets, mine.groups, devices=devices, scale=scale, seed=seed
        )
        self.threshold = float(np.quantile(unseen, 1 - self.true_accepts))
        self.network_ = train(standardized, targets, devices=devices, scale=scale, seed=seed)
        self.fitted_on = mine.clip_ids
        self.failures_ = clips.failures
        self.record_ = {
            "clips": counts,
            "held_out": list(held_out),
            "seed": seed,
            "true_accepts": float((unseen >= self.threshold).mean()),
            **self._false_accepts(clips, unseen, held_out),
        }
        self.notes_ = ()
        if clips.failures:
            first = clips.failures[0]
            self.notes_ = (
                f"{len(clips.failures)} clips could not be used"
                f" (first: {first.path}: {first.reason})",
            )
        for note in self.notes_:
            warnings.warn(note, stacklevel=2)
        return self

    def _false_accepts(
        self, clips: Descriptions, unseen: NDArray[np.float64], held_out: Sequence[str]
    ) -> dict[str, float]:
        """Return how often held-out devices pass, and how well scores tell them apart."""
        strangers = [row for row, device in enumerate(clips.devices) if device in set(held_out)]
        if not strangers:
            return {}
        from sklearn.metrics import roc_auc_score

        theirs = self._answer(clips.values[strangers])[1]
        truth = np.repeat([1, 0], [len(unseen), len(theirs)])
        return {
            "false_accepts": float((theirs >= self.threshold).mean()),
            "auroc": float(roc_auc_score(truth, np.concatenate([unseen, theirs]))),
        }

    def describe(self, clip: audio.Clip) -> NDArray[np.float64]:
        """Return the statistics (number,) of a clip that `identify_features` takes.

        Raises
        ------
        AudioError
            If the clip has another rate or is silent.
        """
        return describe(clip, self.analysis_, self._filters)

    def identify(self, clip: audio.Clip) -> Identification:
        """Name the device of one clip of any length.

        Raises
        ------
        AudioError
            If the clip has another rate or is silent.
        """
        return self.identify_features(self.describe(clip)[None])[0]

    def identify_features(self, values: NDArray[np.float64]) -> list[Identification]:
        """Name the devices of described clips, (clip, number)."""
        logits, scores = self._answer(values)
        shares, best = torch.from_numpy(logits).softmax(dim=1).max(dim=1)
        found = []
        for score, share, index in zip(
            scores.tolist(), shares.tolist(), best.tolist(), strict=True
        ):
            nearest = self.devices[index]
            named = nearest if score >= self.threshold else None
            found.append(Identification(named, share, nearest, score))
        return found

    def _standardized(self, values: NDArray[np.float64]) -> Tensor:
        return (torch.from_numpy(values).float() - self._mean) / self._scale

    @torch.no_grad()
    def _answer(
        self, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return logits of the known devices (clip, device), and scores (clip,)."""
        logits, scores = self.network_(self._standardized(values))
        return logits.double().numpy(), scores.double().numpy()

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what `from_parts` makes an equal identifier of: plain JSON values, and tensors."""
        record = {
            "format": FORMAT,
            "version": VERSION,
            "analysis": asdict(self.analysis_),
            "devices": list(self.devices),
            "threshold": self.threshold,
            "fitted_on": list(self.fitted_on),
            "record": self.record_,
        }
        tensors = {f"network.{key}": value for key, value in self.network_.state_dict().items()}
        filters = torch.from_numpy(self._filters)
        return record, {**tensors, "mean": self._mean, "scale": self._scale, "filters": filters}

    @classmethod
    def from_parts(
        cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> DeviceIdentifier:
        """Put an identifier together again.

        Raises
        ------
        DeviceError
            If the parts are those of a newer version, incomplete, or do not fit each other.
        """
        if record.get("format") != FORMAT or record.get("version") != VERSION:
            raise DeviceError(
                f"an identifier of format {record.get('format')!r},"
                f" version {record.get('version')!r}",
                wanted=f"{FORMAT!r}, version {VERSION}",
                remedy="install the anymic that wrote it, or fit it again",
            )
        try:
            self = cls(bands=int(record["analysis"]["bands"]))
            self.analysis_ = config.from_mapping(Analysis, record["analysis"])
            self.rate_hz = self.analysis_.rate_hz
            self.devices = tuple(map(str, record["devices"]))
            self.threshold = float(record["threshold"])
            self.fitted_on = tuple(map(str, record["fitted_on"]))
            self.record_ = dict(record["record"])
            self.notes_, self.failures_ = (), ()
            self._mean, self._scale = tensors["mean"], tensors["scale"]
            self._filters = tensors["filters"].numpy()
            self.network_ = IdentifierNetwork(self.analysis_.size, len(self.devices))
            self.network_.load_state_dict(
                {
                    key.removeprefix("network."): value
                    for key, value in tensors.items()
                    if key.startswith("network.")
                }
            )
            self.network_.eval().requires_grad_(False)
        except (KeyError, TypeError, ValueError, RuntimeError, AnymicError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DeviceError(
                f"an identifier whose parts do not fit ({reason})",
                wanted="what `anymic devices fit` wrote",
                remedy="fit it again",
            ) from error
        return self

    def save(self, folder: str | Path) -> Path:
        """Write identifier.json and identifier.safetensors into `folder`, whole or not at all."""
        identifier_files.write(Path(folder), *self.to_parts())
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> DeviceIdentifier:
        """Read an identifier that `save` wrote.

        Raises
        ------
        DeviceError
            If there is no such folder, it is no identifier, a file of it is missing or was
            altered, or a newer anymic wrote it.
        """
        return cls.from_parts(*identifier_files.read(Path(folder)))


def _check_counts(counts: Mapping[str, int]) -> None:
    if len(counts) < 2:
        raise DeviceError(
            f"clips of {len(counts)} device" + (f" ({next(iter(counts))})" if counts else ""),
            wanted="two devices or more to tell apart",
            remedy="add clips of another device",
        )
    few = [f"{count} of {name}" for name, count in counts.items() if count < FEWEST_CLIPS]
    if few:
        raise DeviceError(
            f"{' and '.join(few)} clips",
            wanted=f"at least {FEWEST_CLIPS} clips a device",
            remedy="record more, or leave the device out",
        )
