"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

torch.set_num_threads(2)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real recordings beside the checkout, or skip where it is absent."""
    if not (SHARED_DATA / "ESC-50" / "meta" / "esc50.csv").is_file():
        pytest.skip("real recordings (shared/data: ESC-50, micirp) are not on this machine")
    return SHARED_DATA
