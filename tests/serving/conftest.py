"""A service that runs: the program `anymic serve` on a free port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.serving.service import Running, running

from anymic.bundle import Bundle

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """Return the folder of golden models and clips."""
    return GOLDEN


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service that all tests of the session share.

    Its models are basic1, and one of several labels a clip.
    """
    several = replace(Bundle.load(GOLDEN / "basic1").uncalibrated(), targets="several")
    folder = several.save(tmp_path_factory.mktemp("models") / "several")
    with running(GOLDEN / "basic1", folder) as found:
        yield found


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    """Return a client of the service."""
    with httpx.Client(base_url=service.url, timeout=30) as found:
        yield found
