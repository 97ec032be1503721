"""From clips to one result a window: reading, device gains, features and batches, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.threads import read_ahead
from anymic.bundle import Bundle, Ensemble
from anymic.errors import DeviceError
from anymic.features import Features
from anymic.inference.device_policy import GainSelector
from anymic.inference.engine import FeatureEngine
from anymic.inference.requests import ClipRequest, WindowBatch
from anymic.inference.windowing import Window

BATCH_VALUES = 250_000  # feature values in a batch on a processor: what one core works on at once
MOST_WINDOWS = 32  # in a batch on a processor; on a GPU in every batch


class ClipPipeline:
    """Reads clips, corrects their devices, cuts them into windows and computes in batches.

    Files are read ahead in two threads, and the windows of neighbouring clips share batches.
    `Predictor` computes probabilities of each batch, `Embedder` pooled features.

    Parameters
    ----------
    bundle : Bundle or Ensemble
        Its contract says how clips are cut, and what happens where a device is not known.
    engine : FeatureEngine
        Of the same bundle.
    compute : callable
        Log-mel features of a batch, a tensor (batch, band, frame) for each front-end, to an array
        (batch, ...). Several threads may call it at once.
    batch_size : int, optional
        Windows in a batch; by default 4 to 32, more where they are smaller.
    """

    def __init__(
        self,
        bundle: Bundle | Ensemble,
        engine: FeatureEngine,
        compute: Callable[[Features], NDArray[np.float64]],
        *,
        batch_size: int | None = None,
    ) -> None:
        self.engine, self.compute = engine, compute
        self.gain_selector = GainSelector(bundle, engine)
        self.batch_size = batch_size or _fitting_batch(bundle, engine)

    def run(self, requests: Sequence[ClipRequest]) -> Iterator[ClipRequest]:
        """Compute every request; yield each when it is done, in their order."""
        self.gain_selector.share_gains(requests)
        unfinished: deque[ClipRequest] = deque()
        for batch in self.engine.spread(self._compute, self._batches(requests, unfinished)):
            batch.deliver()
            while unfinished and unfinished[0].done:
                yield unfinished.popleft()
        yield from unfinished

    def knows_gains(self, request: ClipRequest) -> bool:
        """Say whether a clip's gains are known without reading it."""
        try:
            return self.gain_selector.choose(request)
        except DeviceError:
            return False  # it fails with this error when it is computed

    def _batches(
        self, requests: Iterable[ClipRequest], unfinished: deque[ClipRequest]
    ) -> Iterator[WindowBatch]:
        """Collect windows in batches, and add each request that has begun to `unfinished`."""
        batch = WindowBatch()
        for request, item in read_ahead(requests, self.gain_selector.windows):
            if not unfinished or unfinished[-1] is not request:
                unfinished.append(request)
            if isinstance(item, Window):
                request.starts_s.append(item.start_s)
                batch.requests.append(request)
                batch.windows.append(item)
            else:
                request.end = item
            if len(batch.requests) == self.batch_size:
                yield batch
                batch = WindowBatch()
        if batch.requests:
            yield batch

    def _compute(self, batch: WindowBatch) -> WindowBatch:
        samples = torch.from_numpy(np.stack([window.samples for window in batch.windows]))
        none = self.engine.profile_gains(None)  # for the silence before the first sound
        gains = [request.gains or none for request in batch.requests]
        features = self.engine.features(samples, gains)
        batch.finite = self.engine.finite(features)
        batch.results = self.compute(features)
        return batch


def _fitting_batch(bundle: Bundle | Ensemble, engine: FeatureEngine) -> int:
    if engine.place.type != "cpu":
        return MOST_WINDOWS
    config, contract = engine.frontends[0].config, bundle.contract
    values = config.bands * config.frames(round(contract.clip_s * contract.rate_hz))
    return min(max(BATCH_VALUES // values, 4), MOST_WINDOWS)
