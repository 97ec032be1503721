"""Compute a result for each window of clips: reading, device gains, features and batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.remote import RemotePath
from anymic._internal.threads import read_ahead
from anymic._internal.torch_threads import spread_workers
from anymic.audio import DecodedFile
from anymic.bundle import Bundle, Ensemble
from anymic.errors import AnymicError, DeviceError, kept_error
from anymic.features import Features, Gains
from anymic.inference.device_policy import GainSelector
from anymic.inference.engine import Engine
from anymic.inference.requests import ClipRequest
from anymic.inference.windowing import End, Window

Batch = list[tuple[ClipRequest, Window]]  # windows that are computed together
# of each window the result, or what was raised, and whether its features are finite
Computed = list[tuple[ClipRequest, Window, NDArray[np.float64] | AnymicError, bool]]

BATCH_VALUES = 250_000  # feature values in a batch on a processor, which one core computes
LEAN_VALUES = 70_000  # the same, where memory is to stay small
MOST_WINDOWS = 32  # in a batch on a processor; on a GPU in every batch


class ClipPipeline:
    """Reads clips, selects their device gains, cuts them into windows and computes in batches.

    Files are read ahead in two threads, and the windows of neighbouring clips share batches.

    Parameters
    ----------
    bundle : Bundle or Ensemble
    engine : Engine
        Of the same bundle.
    compute : callable
        Returns an array (batch, ...) for the log-mel features of a batch. Several threads may call
        it at once.
    batch_size : int, optional
        Windows in a batch; by default 4 to 32, more if they are small.
    """

    def __init__(
        self,
        bundle: Bundle | Ensemble,
        engine: Engine,
        compute: Callable[[Features], NDArray[np.float64]],
        *,
        batch_size: int | None = None,
    ) -> None:
        self.engine, self.compute = engine, compute
        self.gain_selector = GainSelector(bundle, engine)
        self.batch_size = batch_size or fitting_batch(bundle, engine)

    def run(self, requests: Iterable[ClipRequest], *, alike: bool = False) -> Iterator[ClipRequest]:
        """Compute every request, and yield them in order.

        Requests of an iterator are drawn as they are needed, and share no gains. With `alike`,
        also a single batch is computed by a worker thread: the same windows in the same batches
        have the same results, whatever else there is.
        """
        if isinstance(requests, Sequence):
            self.gain_selector.share_gains(requests)
        unfinished: deque[ClipRequest] = deque()
        batches = self._batches(requests, unfinished)
        for computed in self.engine.spread(self.compute_batch, batches, alike=alike):
            for request, window, result, finite in computed:
                request.deliver(window, result, finite=finite)
            while unfinished and unfinished[0].done:
                yield unfinished.popleft()
        yield from unfinished

    def knows_gains(self, request: ClipRequest) -> bool:
        """Return whether a clip's gains are known without reading it."""
        try:
            return self.gain_selector.choose(request)
        except DeviceError:
            return False  # it fails with this error when it is computed

    def _batches(
        self, requests: Iterable[ClipRequest], unfinished: deque[ClipRequest]
    ) -> Iterator[Batch]:
        """Yield batches of windows, and add each request to `unfinished` when it begins."""
        batch: Batch = []
        decoded, size = False, self.batch_size
        if isinstance(requests, Sequence) and all(
            isinstance(one.source, DecodedFile) for one in requests
        ):
            decoded, size = True, self._size(requests)
        for request, item in read_ahead(
            requests, self._windows, in_threads=not decoded, is_large=_is_copied
        ):
            if not unfinished or unfinished[-1] is not request:
                if request.apart and batch:
                    yield batch
                    batch = []
                unfinished.append(request)
            if isinstance(item, Window):
                request.begin(item)
                batch.append((request, item))
            else:
                request.end = item
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _size(self, requests: Sequence[ClipRequest]) -> int:
        """Return the windows in a batch of decoded files: few are divided among the threads."""
        if self.engine.place.type != "cpu":
            return self.batch_size
        sources = (one.source for one in requests)
        windows = sum(len(one.clips) for one in sources if isinstance(one, DecodedFile))
        return max(1, min(self.batch_size, -(-windows // spread_workers())))

    def _windows(self, request: ClipRequest) -> Iterator[Window | End]:
        """Yield the windows of a clip, each through all devices of the request, and its end."""
        rate_hz = self.gain_selector.contract.rate_hz
        for item in self.gain_selector.windows(request):
            if isinstance(item, End):
                yield item
                continue
            first = round(item.start_s * rate_hz)
            for device in request.through:
                own = item.samples
                yield replace(
                    item, samples=own if device is None else device.record(own, first=first)
                )

    def compute_batch(self, batch: Batch) -> Computed:
        """Compute a batch; if that fails, each window alone, so that no other clip is lost."""
        try:
            return self._together(batch)
        except Exception as error:
            if len(batch) > 1:
                return [one for item in batch for one in self.compute_batch([item])]
            ((request, window),) = batch
            return [(request, window, kept_error(error), False)]

    def _together(self, batch: Batch) -> Computed:
        samples = torch.from_numpy(np.stack([window.samples for _, window in batch]))
        none = self.engine.profile_gains(None)  # for silence before the gains are chosen
        features = self.engine.features(samples, [_gains(*one) or none for one in batch])
        finite = self.engine.finite(features)
        results = self.compute(features)
        return [
            (request, window, result, ok)
            for (request, window), result, ok in zip(batch, results, finite, strict=True)
        ]


def _is_copied(request: ClipRequest) -> bool:
    """Return whether a clip is in a file at a URL, which is copied for as long as it is read."""
    return isinstance(request.source, RemotePath)


def _gains(request: ClipRequest, window: Window) -> Gains | None:
    return request.gains if window.gains is None else window.gains


def fitting_batch(
    bundle: Bundle | Ensemble, engine: Engine, *, most_values: int = BATCH_VALUES
) -> int:
    """Return the number of windows in a batch of at most so many feature values: 4 to 32."""
    if engine.place.type != "cpu":
        return MOST_WINDOWS
    config, contract = engine.frontends[0].config, bundle.contract
    values = config.bands * config.frames(round(contract.clip_s * contract.rate_hz))
    return min(max(most_values // values, 4), MOST_WINDOWS)
