"""Which gains a clip is heard with: stated, identified, estimated from itself, or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.threads import READERS, in_order
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.devices.correction.blind import MeanSpectrum
from anymic.errors import AnymicError, DeviceError
from anymic.features import Treatment
from anymic.inference.engine import Inference
from anymic.inference.requests import Job
from anymic.inference.windowing import End, Window, cut

# What a device is judged by: the first windows of a recording from its first sound on, so many
# seconds of them and one at least. They wait in memory until it is decided how they are heard.
LISTEN_S = 30.0

Spectra = tuple[NDArray[np.float64], ...]  # of one recording, for each distinct front-end


class Router:
    """Decides, clip by clip, what is done about its device.

    A stated device that the model knows is taken at its word, and costs nothing. A clip for which
    none is stated is given to the model's identifier, where it has one. What is unknown then, and
    a stated device that the model does not know, is treated as the contract's `unknown_device`
    says: heard as it is, with gains estimated from the clip itself, or refused.

    Parameters
    ----------
    bundle : Bundle or Ensemble
    model : Inference
        Of the same bundle.
    """

    def __init__(self, bundle: Bundle | Ensemble, model: Inference) -> None:
        self.contract, self.devices = bundle.contract, bundle.devices
        self.policy = bundle.contract.unknown_device
        self.identifier = bundle.identifier
        self.model = model
        self.targets: tuple[MeanSpectrum, ...] = ()
        if self.policy == "blind":  # then every member has one
            self.targets = tuple(one for one in model.spectra if one is not None)
        self.least_samples = model.frontends[0].config.fft_size
        self.more_windows = max(math.ceil(LISTEN_S / self.contract.clip_s), 1) - 1

    def decide(self, job: Job) -> bool:
        """Decide by what is stated; False where the clip must be listened to first.

        Raises
        ------
        DeviceError
            If the contract refuses the clip.
        """
        if job.treatment is not None:
            return True
        if job.device in self.devices:
            job.treatment, job.policy = self.model.profile_treatment(job.device), "profile"
        elif self._asks(job):
            return False
        elif self.policy == "refuse":
            raise self._refusal(job)
        elif self.policy == "identity":
            job.treatment, job.policy = self.model.profile_treatment(None), "identity"
        return job.treatment is not None

    def items(self, job: Job) -> Iterator[Window | End]:
        """Yield the job's windows, none before it is decided how they are heard.

        Windows of digital silence before the first sound come at once: no gain changes them.

        Raises
        ------
        AnymicError
            What reading raises, and DeviceError as `decide`.
        """
        decided = self.decide(job)
        items = self._open(job)
        if not decided:
            for item in items:
                if _sounds(item):
                    head = [item, *islice(items, self.more_windows)]
                    self._listen(job, _samples(head))
                    yield from head
                    break
                yield item
        yield from items

    def settle(self, jobs: Sequence[Job]) -> None:
        """Estimate the gains of each unknown device that several clips come from.

        Jobs of unknown device with an equal `batch` are recordings of one device. They are read
        twice, the first `LISTEN_S` seconds of each now. A clip that cannot be read is left out,
        and fails when it is heard.
        """
        if self.policy != "blind":
            return
        batches: dict[str, list[Job]] = {}
        for job in jobs:
            if job.batch is not None and job.device not in self.devices:
                batches.setdefault(job.batch, []).append(job)
        for batch in batches.values():
            if len(batch) > 1:
                found = in_order(self._preview, batch, workers=READERS)
                spectra = [one for one in found if one is not None]
                if spectra:
                    self._share(batch, self._blind(spectra))

    def _share(self, batch: Sequence[Job], treatment: Treatment) -> None:
        for job in batch:
            if job.treatment is None:
                job.treatment, job.policy = treatment, "blind"

    def _preview(self, job: Job) -> Spectra | None:
        """Return the spectra of a clip of unknown device; None if it is known or unreadable."""
        try:
            items = self._open(job)
            first = next(filter(_sounds, items))
            samples = _samples([first, *islice(items, self.more_windows)])
            if self._asks(job):
                self._identify(job, samples)
            return None if self.decide(job) else self._observe(samples)
        except (AnymicError, StopIteration):
            return None

    def _open(self, job: Job) -> Iterator[Window | End]:
        return cut(
            job.source,
            self.contract,
            least_samples=self.least_samples,
            start_s=job.start_s,
            duration_s=job.duration_s,
        )

    def _asks(self, job: Job) -> bool:
        return job.device_from == "assumed" and self.identifier is not None

    def _listen(self, job: Job, samples: NDArray[np.float32]) -> None:
        if self._asks(job):
            self._identify(job, samples)
        if not self.decide(job):
            job.treatment, job.policy = self._blind([self._observe(samples)]), "blind"

    def _identify(self, job: Job, samples: NDArray[np.float32]) -> None:
        assert self.identifier is not None
        found = self.identifier.identify(Clip(samples, self.contract.rate_hz, path=job.path))
        job.device, job.device_from, job.identification = found.device, "identified", found

    def _observe(self, samples: NDArray[np.float32]) -> Spectra:
        known: dict[tuple[float, ...], NDArray[np.float64]] = {}
        found = []
        for target in self.targets:
            key = (target.fft_size, target.hop_samples, target.floor_db, target.silence_db)
            if key not in known:
                known[key] = target.observe(samples)
            found.append(known[key])
        return tuple(found)

    def _blind(self, spectra: Sequence[Spectra]) -> Treatment:
        return tuple(
            torch.from_numpy(target.gains(np.stack(each))).float().to(self.model.place)
            for target, each in zip(self.targets, zip(*spectra, strict=True), strict=True)
        )

    def _refusal(self, job: Job) -> DeviceError:
        name = job.path or "a clip"
        what = f"device {job.device!r} {'found in' if job.identification else 'stated for'} {name}"
        if job.device is None and job.identification:
            nearest, share = job.identification.nearest, job.identification.probability
            what = f"an unknown device in {name} (nearest: {nearest}, probability {share:.2f})"
        elif job.device is None:
            what = f"no device stated for {name}"
        return DeviceError(
            what,
            expected=f"one of {', '.join(self.devices)}, as the model's contract says",
            fix="state the device, or calibrate it and train with its profile",
        )


def _sounds(item: Window | End) -> bool:
    return isinstance(item, Window) and bool(item.samples.any())


def _samples(items: Sequence[Window | End]) -> NDArray[np.float32]:
    return np.concatenate([item.samples for item in items if isinstance(item, Window)])
