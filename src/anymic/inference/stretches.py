"""Judge the device of a long recording by stretch: find where it changes, choose gains for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic._internal.changes import ChangeFinder
from anymic.audio import Clip
from anymic.devices.correction.blind import MeanSpectrum, band_matrices
from anymic.devices.correction.device_prior import components
from anymic.errors import AudioError
from anymic.inference.requests import ClipRequest
from anymic.inference.windowing import End, Window

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import DeviceIdentifier

Array = NDArray[np.float64]

BLOCK_S = 3.0  # of the blocks between which a device can change
LEAST_S = 14.0  # of the shortest stretch
PENALTY = 10.0  # nats: how much more likely a change has to be
FLOOR = -3.0  # of a block's log probability of a device: no single block decides
SPARSE = 2  # blocks are described by one frame in so many
# Blocks that follow each other are not independent: their evidence on the response counts less.
SPECTRAL_WEIGHT = 0.25

Decide = Callable[[ClipRequest, Sequence[Window]], None]


class BlockEvidence:
    """What a block of sound says about the device that recorded it, as statistics that add up.

    They are the log probabilities of the known devices and of an unknown one, by an identifier;
    and, where gains are estimated blindly, the mean log spectrum in bands, without its level. The
    score of a stretch is the log likelihood of one device for all of its blocks: of the most
    probable one, and of a response drawn as `MeanSpectrum` assumes.
    """

    def __init__(
        self, rate_hz: int, identifier: DeviceIdentifier | None, target: MeanSpectrum | None
    ) -> None:
        self.rate_hz, self.identifier = rate_hz, identifier
        self.states = 0 if identifier is None else len(identifier.devices) + 1
        self.target = None
        if target is not None:
            self.target = replace(target, hop_samples=SPARSE * target.hop_samples)
            from scipy.linalg import null_space

            into, _ = band_matrices(target.rate_hz, target.fft_size)
            (device,) = components("smooth", target.bands, np.empty((0, len(target.bands))))
            shape = null_space(np.ones((1, len(target.bands)))).T  # without the level
            ratios, basis = _common_basis(
                shape @ device.covariance @ shape.T, shape @ target.covariance @ shape.T
            )
            self._ratios, self._into = ratios, basis.T @ shape @ into

    def __call__(self, samples: NDArray[np.float32]) -> Array:
        """Return the statistics of a block (sample,); zeros for silence."""
        parts = []
        if self.identifier is not None:
            parts.append(self._devices(samples))
        if self.target is not None:
            parts.append(self._response(samples))
        return np.concatenate(parts)

    def score(self, total: Array) -> float:
        """Return the log likelihood of a stretch for the sum of its statistics."""
        found = float(total[: self.states].max()) if self.states else 0.0
        if self.target is not None:
            count, sums, squares = _divided(total[self.states :])
            shrunk = self._ratios * sums**2 / (1 + count * self._ratios)
            each = squares - shrunk + np.log1p(count * self._ratios)
            found -= 0.5 * SPECTRAL_WEIGHT * float(each.sum())
        return found

    def _devices(self, samples: NDArray[np.float32]) -> Array:
        assert self.identifier is not None
        try:
            clip = Clip(samples, self.rate_hz)
            logs = self.identifier.log_probabilities([clip], sparse=SPARSE)[0]
        except AudioError:  # silence
            return np.zeros(self.states)
        return np.asarray(np.maximum(logs, FLOOR), dtype=np.float64)

    def _response(self, samples: NDArray[np.float32]) -> Array:
        assert self.target is not None
        size = len(self._ratios)
        if not samples.any():
            return np.zeros(1 + 2 * size)
        found = self._into @ (self.target.observe(samples) - self.target.log_magnitude)
        return np.concatenate([[1.0], found, found**2])


def _divided(statistics: Array) -> tuple[float, Array, Array]:
    size = (len(statistics) - 1) // 2
    return float(statistics[0]), statistics[1 : 1 + size], statistics[1 + size :]


def _common_basis(device: Array, content: Array) -> tuple[Array, Array]:
    """Return device variances, and a basis, in which content has unit variance."""
    from scipy.linalg import eigh

    ratios, basis = eigh(device, content)
    return np.maximum(ratios, 0.0), np.asarray(basis)


class StretchedWindows:
    """The windows of a recording, with the gains of the stretch that each belongs to.

    Windows are held until it is known which stretch they belong to: about half a minute of them.
    A recording of less is one stretch.

    Parameters
    ----------
    evidence : BlockEvidence
    window_s : float
        The distance between the starts of two windows.
    preview : int
        The number of windows of a stretch that its device is decided from.
    decide : callable
        Chooses the device and the gains of a request from windows.
    """

    def __init__(
        self, evidence: BlockEvidence, *, window_s: float, preview: int, decide: Decide
    ) -> None:
        self.evidence, self.preview, self.decide = evidence, preview, decide
        self.window_s = window_s
        self.block = max(round(BLOCK_S / window_s), 1)
        self.least = max(math.ceil(LEAST_S / (self.block * window_s)), 1)

    def windows(
        self, request: ClipRequest, items: Iterable[Window | End]
    ) -> Iterator[Window | End]:
        """Yield the items; each window has the `gains` of its stretch."""
        finder = ChangeFinder(self.evidence.score, least=self.least, penalty=PENALTY)
        held: list[Window] = []
        begin, added = 0, 0  # windows before those that are held, and blocks that were added
        current: ClipRequest | None = None
        end: End | None = None
        for item in items:
            if isinstance(item, End):
                end = item
                break
            held.append(item)
            if begin + len(held) <= self.block * 2 * self.least:
                continue  # nothing can be settled yet
            found: list[int] = []
            while (added + 1) * self.block <= begin + len(held):
                first = added * self.block - begin
                added += 1
                change = finder.add(self.evidence(self._samples(held[first : first + self.block])))
                found += [] if change is None else [change]
            for settled, ended in self._steps(found, finder.settled):
                ready = settled * self.block - begin
                if ready > 0:
                    current = current or self._decided(request, held, ready if ended else None)
                    yield from self._marked(held[:ready], current)
                    del held[:ready]
                    begin += ready
                current = None if ended else current
        if held:
            current = current or self._decided(request, held, None)
            yield from self._marked(held, current)
        if end is not None:
            yield end

    @staticmethod
    def _steps(found: Sequence[int], settled: int) -> Iterator[tuple[int, bool]]:
        """Yield up to which block windows are known, and whether a stretch ends there."""
        for change in found:
            yield change, True
        yield settled, False

    def _samples(self, windows: Sequence[Window]) -> NDArray[np.float32]:
        new = round(self.window_s * self.evidence.rate_hz)
        return np.concatenate([one.samples[:new] for one in windows])

    def _decided(
        self, request: ClipRequest, held: Sequence[Window], until: int | None
    ) -> ClipRequest:
        """Return a request of one stretch, whose gains are chosen from its first windows."""
        first = next((row for row, one in enumerate(held) if one.samples.any()), 0)
        one = ClipRequest(request.source, *request.stated)
        one.starts_s.append(held[0].start_s)
        self.decide(one, held[:until][first : first + self.preview])
        last = request.stretches[-1] if request.stretches else None
        same = last is not None and (one.device, one.policy) == (last.device, last.policy)
        if last is not None and same and one.policy != "blind":
            return last  # nothing has changed
        request.stretches.append(one)
        if last is None:  # answers to its first windows are given before its end
            request.follow(one)
        return one

    @staticmethod
    def _marked(windows: Sequence[Window], current: ClipRequest) -> Iterator[Window]:
        for one in windows:
            current.marked += 1
            yield replace(one, gains=current.gains)
