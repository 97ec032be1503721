"""Nine short clips of three labels, and devices that record them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.data.manifest import Manifest
from anymic.devices.simulation.device_set import DeviceSet

RATE = 8000
LABELS = ("dog", "rain", "siren")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return one-second clips at 8 kHz, two of each recording but one, as 16-bit WAV."""
    root = tmp_path_factory.mktemp("clips")
    generator = np.random.default_rng(3)
    seconds = np.arange(RATE) / RATE
    rows = []
    for number in range(9):
        label = LABELS[number % 3]
        samples = 0.2 * np.sin(2 * np.pi * (200 + 900 * (number % 3)) * seconds)
        samples += 0.1 * generator.normal(size=RATE) * np.sin(np.pi * seconds)
        soundfile.write(root / f"{number}.wav", samples.astype(np.float32), RATE, subtype="PCM_16")
        rows.append((f"{number}.wav", label, f"{label}{number // 6}", "test"))
    table = pd.DataFrame(rows, columns=["path", "label", "group", "split"])
    manifest = Manifest.from_table(table, root, name="clips")
    manifest.write(root / "clips.csv")
    return manifest


@pytest.fixture(scope="session")
def microphones() -> DeviceSet:
    """Return devices: "flat" changes nothing, "B" is dark and noisy, "phone" has no lows."""
    return DeviceSet.from_mapping(
        {
            "devices": {
                "flat": {},
                "B": {"response": {"high_cut_hz": 900}, "noise_db": -40},
                "phone": {"response": {"low_cut_hz": 1000}, "gain_db": -6},
            },
            "recorded": {"test": {"flat": "all", "B": "all", "phone": "all"}},
            "seed": 4,
        }
    )
