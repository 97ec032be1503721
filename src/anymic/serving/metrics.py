"""What the service counts, for Prometheus. No value of a request becomes a label."""

from __future__ import annotations

import logging

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

LOG = logging.getLogger("anymic.serving")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one service, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "anymic_requests", "Requests that were answered", ["route", "status"], registry=own
        )
        self._seconds = Histogram(
            "anymic_request_seconds",
            "Seconds from the head of a request to the end of its response",
            ["route"],
            buckets=SECONDS,
            registry=own,
        )
        self._running = Gauge(
            "anymic_requests_running", "Requests that are being processed", registry=own
        )
        self._batches = Histogram(
            "anymic_batch_recordings",
            "Recordings in a batch",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=own,
        )
        self._restarts = Counter(
            "anymic_decoder_restarts", "Decoders that were replaced", ["reason"], registry=own
        )
        self._failures = Counter(
            "anymic_batch_failures", "Batches that failed as a whole", registry=own
        )

    def begun(self) -> None:
        """Count a request that is being processed."""
        self._running.inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is a path of the application, or "other"."""
        self._running.dec()
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, model: str, recordings: int) -> None:
        """Count a batch."""
        self._batches.labels(model).observe(recordings)

    def decoder_restarted(self, reason: str) -> None:
        """Count a decoder that was replaced."""
        self._restarts.labels(reason).inc()
        LOG.warning("a decoder was replaced (%s)", reason)

    def failed(self, error: Exception) -> None:
        """Count a batch that failed as a whole."""
        self._failures.inc()
        LOG.error("a batch failed", exc_info=error)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)
