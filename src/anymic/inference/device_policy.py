"""Choose the gains of a clip: those of a stated or identified device, blind gains, or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.threads import READERS, in_order
from anymic.audio import Clip
from anymic.audio.source import Source
from anymic.bundle import Bundle, Ensemble
from anymic.devices.correction.blind import MeanSpectrum
from anymic.errors import DeviceError, Failure, attempt
from anymic.features import Frontend, Gains
from anymic.inference.engine import Engine
from anymic.inference.prediction import DevicePolicy
from anymic.inference.requests import ClipRequest
from anymic.inference.stretches import BlockEvidence, StretchedWindows
from anymic.inference.windowing import End, Window, cut

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import Identification

# Devices are identified, and blind gains estimated, from this many seconds of a recording, and at
# least one window, beginning with the first window that is not silent.
PREVIEW_S = 30.0
# Devices that are less probable do not weight the gains of an identified clip.
LEAST_SHARE = 0.01

Spectra = tuple[NDArray[np.float64], ...]  # of one recording, for each distinct front-end


class GainSelector:
    """Chooses the gains of each clip.

    A stated device in the model's profile has the gains of the profile, whose policy is "blind" if
    they were estimated from recordings of the device alone. The device of a clip without a stated
    device is identified by the model's identifier, if there is one; its gains are those of the
    devices weighted by their probabilities (`_weight`). All other clips have no gains
    ("identity"), gains estimated from the clip itself ("blind"), or raise an error ("refuse"),
    according to the contract's `unknown_device`.
    """

    def __init__(self, bundle: Bundle | Ensemble, engine: Engine) -> None:
        self.contract, self.devices = bundle.contract, bundle.devices
        self.blind_devices = bundle.blind_devices
        self.policy = bundle.contract.unknown_device
        self.identifier = bundle.identifier
        self.engine = engine
        self.targets: tuple[MeanSpectrum, ...] = ()
        if self.policy == "blind":  # then every member has one
            self.targets = tuple(one for one in engine.spectra if one is not None)
        self.least_samples = engine.frontends[0].config.fft_size
        self.more_windows = max(math.ceil(PREVIEW_S / self.contract.clip_s), 1) - 1
        target = self.targets[0] if self.targets else None
        self._stretches = StretchedWindows(
            BlockEvidence(self.contract.rate_hz, self.identifier, target),
            window_s=self.contract.hop_samples / self.contract.rate_hz,
            preview=self.more_windows + 1,
            decide=self._decide,
        )

    def choose(self, request: ClipRequest) -> bool:
        """Choose without reading the clip; return False if it must be read first.

        DeviceError if the contract refuses the clip.
        """
        if request.gains is not None:
            return True
        if request.device in self.devices:
            request.gains = self.engine.profile_gains(request.device)
            request.policy = "blind" if request.device in self.blind_devices else "profile"
        elif self.identifier is not None and request.device_from == "assumed":
            return False
        elif self.policy == "refuse":
            raise self._refusal(request)
        elif self.policy == "identity":
            request.gains, request.policy = self.engine.profile_gains(None), "identity"
        return request.gains is not None

    def windows(self, request: ClipRequest) -> Iterator[Window | End]:
        """Yield the windows of a clip; its gains are chosen before the first that is not silent.

        Gains do not change digital silence. Raises the errors of `cut` and of `choose`.
        """
        chosen = self.choose(request)
        items = self._open(request)
        if not chosen:
            for item in items:
                if not _has_sound(item):
                    yield item
                    continue
                if isinstance(request.source, Source):  # it arrives, and cannot be held
                    first = [item, *islice(items, self.more_windows)]
                    self._decide(request, first)
                    yield from first
                else:
                    yield from self._stretched(request, chain([item], items))
                break
        yield from items

    def _stretched(
        self, request: ClipRequest, items: Iterator[Window | End]
    ) -> Iterator[Window | End]:
        """Yield the windows with the gains of their stretches; the longest is the request's."""
        yield from self._stretches.windows(request, items)
        request.follow(request.longest_stretch())

    def _decide(self, request: ClipRequest, windows: Sequence[Window | End]) -> None:
        """Choose the gains of a request from windows, of which the first is not silent."""
        samples = _samples(windows)
        if not self._identify(request, samples):
            request.gains, _ = self._blind_gains([self._observe(samples)])
            request.policy = "blind"

    def share_gains(self, requests: Sequence[ClipRequest]) -> None:
        """Estimate the gains of each unknown device that recorded several of the clips.

        Requests with an equal `device_group` are recordings of one device. The first `PREVIEW_S`
        seconds of each are read now, and again later. A clip that cannot be read is ignored here,
        and fails then.
        """
        if self.policy != "blind":
            return
        groups: dict[str, list[ClipRequest]] = {}
        for request in requests:
            if request.device_group is not None and request.device not in self.devices:
                groups.setdefault(request.device_group, []).append(request)
        for group in groups.values():
            if len(group) > 1:
                found = in_order(self._preview, group, workers=READERS)
                spectra = [one for one in found if one is not None]
                if spectra:
                    gains, notes = self._blind_gains(spectra)
                    for request in group:
                        if request.gains is None:
                            request.gains, request.policy = gains, "blind"
                            request.gain_notes = notes

    def preview(self, request: ClipRequest) -> NDArray[np.float32]:
        """Return the samples (sample,) from which gains of a clip are estimated.

        Raises the errors of `cut`.
        """
        items = self._open(request)
        first = next(filter(_has_sound, items))
        return _samples([first, *islice(items, self.more_windows)])

    def _preview(self, request: ClipRequest) -> Spectra | None:
        """Return the spectra of a clip; None if its device is known or it cannot be read."""
        found = attempt(request.path, self._preview_spectra, request)
        return None if isinstance(found, Failure) else found

    def _preview_spectra(self, request: ClipRequest) -> Spectra | None:
        samples = self.preview(request)
        return None if self._identify(request, samples) else self._observe(samples)

    def _open(self, request: ClipRequest) -> Iterator[Window | End]:
        return cut(
            request.source,
            self.contract,
            least_samples=self.least_samples,
            start_s=request.start_s,
            duration_s=request.duration_s,
            most_s=request.most_s,
        )

    def _identify(self, request: ClipRequest, samples: NDArray[np.float32]) -> bool:
        """Identify the device if none is stated; return whether the gains are chosen."""
        if self.identifier is not None and request.device_from == "assumed":
            clip = Clip(samples, self.contract.rate_hz, path=request.path)
            found = self.identifier.identify(clip)
            request.device, request.device_from = found.device, "identified"
            request.identification = found
            if found.device in self.devices and self.choose(request):
                self._weight(request, found, samples)
        return self.choose(request)

    def _weight(
        self, request: ClipRequest, found: Identification, samples: NDArray[np.float32]
    ) -> None:
        """Weight the gains of an identified clip by the probabilities of the devices.

        The result is the expected gain in decibels. An unknown device has the gains of the policy:
        none, or blind ones; where the policy refuses it, only the known devices count. Noise is
        subtracted as for the named device.
        """
        shares = {name: one for name, one in found.shares.items() if one >= LEAST_SHARE}
        if self.policy == "refuse":
            shares.pop(None, None)
        if len(shares) < 2 or request.gains is None:
            return
        weights = [one / sum(shares.values()) for one in shares.values()]
        each = [
            self._blind_gains([self._observe(samples)])[0]
            if name is None and self.policy == "blind"
            else self.engine.profile_gains(name)
            for name in shares
        ]
        rows = zip(self.engine.frontends, request.gains, zip(*each, strict=True), strict=True)
        request.gains = tuple(_expected(one, own, gains, weights) for one, own, gains in rows)
        order = sorted(zip(weights, shares, strict=True), key=lambda pair: -pair[0])
        text = ", ".join(f"{name or 'unknown'} {weight:.2f}" for weight, name in order)
        unknown = ", that of an unknown device included" if None in shares else ""
        weighted = f"gains weighted by probability{unknown} ({text})"
        request.gain_notes = (f"device {found.device}: {weighted}",)

    def _observe(self, samples: NDArray[np.float32]) -> Spectra:
        known: dict[tuple[float, ...], NDArray[np.float64]] = {}
        keys = [
            (one.fft_size, one.hop_samples, one.floor_db, one.silence_db) for one in self.targets
        ]
        for key, target in zip(keys, self.targets, strict=True):
            if key not in known:
                known[key] = target.observe(samples)
        return tuple(known[key] for key in keys)

    def _blind_gains(self, spectra: Sequence[Spectra]) -> tuple[Gains, tuple[str, ...]]:
        """Return the gains of a device, and notes on them, from the spectra of its recordings."""
        found = [
            target.estimate(np.stack(each))
            for target, each in zip(self.targets, zip(*spectra, strict=True), strict=True)
        ]
        gains = tuple(torch.from_numpy(one.gains).float().to(self.engine.place) for one in found)
        return gains, found[0].notes

    def _refusal(self, request: ClipRequest) -> DeviceError:
        name, found = request.path or "a clip", request.identification
        source = "found in" if found else "stated for"
        what = f"the device {request.device!r} {source} {name} is unknown"
        if request.device is None and found:
            nearest, share = found.nearest, found.probability
            what = f"the device of {name} is unknown (nearest: {nearest}, probability {share:.2f})"
        elif request.device is None:
            what = f"no device is stated for {name}"
        return DeviceError(
            what,
            expected=f"one of {', '.join(self.devices)}",
            fix="state the device, or estimate its profile and train with it",
        )


def _expected(
    frontend: Frontend,
    own: torch.Tensor | None,
    gains: Sequence[torch.Tensor | None],
    weights: Sequence[float],
) -> torch.Tensor | None:
    """Return the mean of log gains (bin,), with the noise of `own`; None if no clip has any."""
    by_bin = frontend.gain_domain == "magnitude"
    size = frontend.config.bins if by_bin else frontend.config.bands
    logs = [
        weight * one[:size].log()
        for one, weight in zip(gains, weights, strict=True)
        if one is not None
    ]
    if not logs:
        return None
    mean = torch.stack(logs).sum(dim=0).exp()
    return mean if own is None else torch.cat([mean, own[size:]])


def device_note(
    device: str | None, policy: DevicePolicy, known: Sequence[str], blind: Sequence[str]
) -> tuple[str, ...]:
    """Return the notes on a clip's device: none if its gains are known.

    `known` are the devices that a model has gains for, `blind` those of them with blind gains.
    """
    if device is None or (device in known and device not in blind):
        return ()
    if device in blind:
        return (f"device {device}: gains estimated from recordings of it alone",)
    done = "corrected with estimated gains" if policy == "blind" else "not corrected"
    return (f"device {device}: no profile, {done}",)


def _has_sound(item: Window | End) -> bool:
    return isinstance(item, Window) and bool(item.samples.any())


def _samples(items: Sequence[Window | End]) -> NDArray[np.float32]:
    return np.concatenate([item.samples for item in items if isinstance(item, Window)])
