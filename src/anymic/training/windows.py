"""The length of a model's windows, chosen from the lengths of the training clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anymic import audio
from anymic._internal.threads import READERS, in_order
from anymic.data.manifest import Manifest
from anymic.errors import Failure, attempt

LONGEST_S = 10.0  # of a window: longer clips are divided
MOST_WINDOWS = 60  # of one clip that train


@dataclass(frozen=True)
class Survey:
    """What the headers of the files say; files that cannot be read are left out.

    Attributes
    ----------
    rates : mapping of int to int
        The number of clips of each sampling rate in Hz, the most frequent first.
    durations_s : tuple of float
        Of the clips whose length is known, ascending.
    """

    rates: Mapping[int, int]
    durations_s: tuple[float, ...]

    def window_s(self, least_s: float) -> float:
        """Return the length of a window: the median of the clips', from `least_s` to 10 s."""
        median = float(np.median(self.durations_s)) if self.durations_s else LONGEST_S
        return round(max(min(median, LONGEST_S), least_s), 3)

    def notes(self, *, rate_hz: int, window_s: float) -> list[str]:
        """Return sentences that say what is done with other rates and lengths."""
        found = []
        others = {rate: count for rate, count in self.rates.items() if rate != rate_hz}
        if others:
            listed = ", ".join(f"{count} clips of {rate} Hz" for rate, count in others.items())
            found.append(f"{listed} are resampled to the model's {rate_hz} Hz")
        lengths = np.array(self.durations_s)
        slack_s = 0.001
        shorter, longer = (lengths < window_s - slack_s).sum(), (lengths >= 1.5 * window_s).sum()
        if len(lengths):
            shortest, longest = lengths[0], lengths[-1]
            span = f"all last {longest:g} s"
            if longest - shortest > slack_s:
                span = f"from {shortest:.3g} s to {longest:.3g} s"
            found.append(f"a window of {window_s:g} s (clips: {span})")
        if shorter:
            found.append(f"{shorter} shorter clips are repeated to the length of a window")
        if longer:
            found.append(
                f"{longer} longer clips are divided into windows; of one clip at most"
                f" {MOST_WINDOWS} train"
            )
        return found


def survey(manifest: Manifest) -> Survey:
    """Read the headers of all files, in threads."""
    rates: Counter[int] = Counter()
    durations: list[float] = []
    paths = list(dict.fromkeys(manifest.paths()))
    known = dict(zip(paths, in_order(_probe, paths, workers=READERS, ahead=32), strict=True))
    parts = manifest.parts().to_dict("records")
    for path, part in zip(manifest.paths(), parts, strict=True):
        if (header := known[path]) is not None:
            rates[header.rate_hz] += 1
            if (length := _length_s(header, part)) is not None:
                durations.append(length)
    return Survey(dict(rates.most_common()), tuple(sorted(durations)))


def _probe(path: Path) -> audio.AudioInfo | None:
    found = attempt(path, audio.probe, path)
    return None if isinstance(found, Failure) else found


def _length_s(header: audio.AudioInfo, part: Mapping[Any, Any]) -> float | None:
    if not np.isnan(part["duration_s"]):
        return float(part["duration_s"])
    whole = header.duration_s
    return None if whole is None else max(whole - float(part["start_s"]), 0.0)
