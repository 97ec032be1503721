from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import anymic
from anymic.exporters import Exported

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Exported]:
    """Return a function that exports a golden model once for each of its settings."""

    @cache
    def export(name: str, **settings: Any) -> Exported:
        out = tmp_path_factory.mktemp(name) / "m.onnx"
        return anymic.export(GOLDEN / name, out, **settings)

    return export
