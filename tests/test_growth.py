"""What goes through all rows of a table is done as often for many clips as for few.

Done again for each clip, it would grow with the square of their number, which small tables hide.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic import Predictor, SpectrumCorrection, evaluate
from anymic.bundle import Bundle
from anymic.data.checks import check_files
from anymic.data.manifest import Manifest
from anymic.devices.identification.descriptions import describe_manifest
from anymic.training.mean_spectrum import with_spectrum

RATE_HZ = 8000
OF_ALL_ROWS = [
    name for name, one in vars(Manifest).items() if callable(one) and not name.startswith("__")
]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the methods of tables that are called from now on."""
    called: list[str] = []

    def counted(name: str) -> Callable[..., object]:
        method = getattr(Manifest, name)

        def call(self: Manifest, *arguments: object, **options: object) -> object:
            called.append(name)
            return method(self, *arguments, **options)

        return call

    for name in OF_ALL_ROWS:
        if not isinstance(vars(Manifest)[name], classmethod | staticmethod):
            monkeypatch.setattr(Manifest, name, counted(name))
    return called


def clips(folder: Path, takes: int) -> Manifest:
    """Write so many takes of two labels, each recorded by devices A and B."""
    folder.mkdir()
    rows = []
    for take in range(takes):
        sound = 0.1 * np.random.default_rng(take).standard_normal(RATE_HZ)
        for device, response in (("A", [1.0]), ("B", [0.6, 0.3])):
            own = np.convolve(sound, response)[:RATE_HZ]
            soundfile.write(folder / f"{device}{take}.wav", own, RATE_HZ)
            rows.append((f"{device}{take}.wav", ("dog", "rain")[take % 2], device, str(take)))
    columns = ["path", "label", "device", "take"]
    return Manifest.from_table(pd.DataFrame(rows, columns=columns), folder)


WORK: dict[str, Callable[[Manifest, Bundle], object]] = {
    "gains": lambda clips, _: SpectrumCorrection(reference="A").fit(clips),
    "a mean spectrum": lambda clips, model: with_spectrum(model, clips),
    "an identifier's examples": lambda clips, _: describe_manifest(clips),
    "a check of the files": lambda clips, _: check_files(clips, progress=False),
    "a measurement": lambda clips, model: evaluate(model, clips),
    "predictions": lambda clips, model: Predictor(model).predict_manifest(clips),
}


@pytest.mark.parametrize("name", WORK)
def test_more_clips_need_no_more_passes_over_the_table(
    name: str, small_bundle: Bundle, calls: list[str], tmp_path: Path
) -> None:
    counts = []
    for takes in (6, 12):
        table = clips(tmp_path / f"{takes}", takes)
        calls.clear()
        WORK[name](table, small_bundle)
        counts.append(sorted(calls))
    assert counts[0] == counts[1]
    assert counts[0]
