"""Predictions of several clients share batches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from anymic.audio import DecodedFile
from anymic.errors import AnymicError
from anymic.inference.exported_predictor import ExportedPredictor
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor
from anymic.serving.limits import Limits
from anymic.serving.refusals import internal_error, too_busy

Answer = Prediction | AnymicError


@dataclass(eq=False)
class _Waiting:
    """A recording whose prediction a request waits for."""

    source: DecodedFile
    device: str | None
    answer: Callable[[Answer], None]
    answered: bool = False


class Batcher:
    """A thread that predicts the recordings of several requests together.

    A recording waits for others at most `limits.wait_ms`, and only while other requests for this
    model are being read; what arrives while a batch is computed is in the next one. Each recording
    has the answer that it has alone, and its own error.

    Parameters
    ----------
    predictor : Predictor or ExportedPredictor
    limits : Limits
    observed : callable, optional
        Called with the number of recordings in each batch.
    failed : callable, optional
        Called with what was raised for a whole batch.
    """

    def __init__(
        self,
        predictor: Predictor | ExportedPredictor,
        limits: Limits,
        *,
        observed: Callable[[int], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self.predictor, self.limits = predictor, limits
        self.observed, self.failed = observed or _ignore, failed or _ignore
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._expected, self._lock = 0, threading.Lock()
        self._thread = threading.Thread(target=self._work, name="anymic-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of recordings that wait for their batch."""
        return self._queue.qsize()

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Say that a request for this model is being processed in the block."""
        with self._lock:
            self._expected += 1
        try:
            yield
        finally:
            with self._lock:
                self._expected -= 1

    async def predict(self, source: DecodedFile, device: str | None) -> Prediction:
        """Return the prediction of a recording.

        Raises
        ------
        AnymicError
            As `Predictor.predict`; a Refusal if the batch failed for another reason.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def answer(found: Answer) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_resolve, future, found)

        self._queue.put(_Waiting(source, device, answer))
        found = await future
        if isinstance(found, Prediction):
            return found
        raise found

    def close(self) -> None:
        """End the thread after what waits is answered."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ends = self._gathered(first)
            self.observed(len(batch))
            try:
                self._predict(batch)
            except Exception as error:  # memory ran out: it concerns the batch, not the service
                self.failed(error)
                refusal = too_busy() if isinstance(error, MemoryError) else internal_error()
                for one in batch:
                    if not one.answered:
                        one.answer(refusal)
            if ends:
                return

    def _gathered(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Return the recordings of a batch, and whether it is the last one."""
        batch, until = [first], time.monotonic() + self.limits.wait_ms / 1000
        while len(batch) < self.limits.batch:
            try:
                one = self._queue.get_nowait()
            except Empty:
                left = until - time.monotonic()
                if left <= 0 or self._expected <= len(batch):
                    break
                try:
                    one = self._queue.get(timeout=left)
                except Empty:
                    break
            if one is None:
                return batch, True
            batch.append(one)
        return batch, False

    def _predict(self, batch: list[_Waiting]) -> None:
        """Answer each recording of a batch, short ones first."""
        batch = sorted(batch, key=lambda one: one.source.duration_s)
        found = self.predictor.outcomes(
            [one.source for one in batch], devices=[one.device for one in batch]
        )
        for one, (_, outcome) in zip(batch, found, strict=True):
            one.answered = True
            one.answer(outcome)


def _resolve(future: asyncio.Future[Answer], found: Answer) -> None:
    if not future.done():  # else the client has gone
        future.set_result(found)


def _ignore(_: object) -> None:
    """Do nothing."""
