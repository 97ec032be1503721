"""A service that runs: the program `anymic serve` on a free port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.serving.service import Running, running

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """Return the folder of golden models and clips."""
    return GOLDEN


@pytest.fixture(scope="session")
def service() -> Iterator[Running]:
    """Return a service of two models, that all tests of the session share."""
    with running(GOLDEN / "basic1", GOLDEN / "tagger") as found:
        yield found


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    """Return a client of the service."""
    with httpx.Client(base_url=service.url, timeout=30) as found:
        yield found
