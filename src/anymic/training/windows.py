"""The length of a model's windows, chosen from the lengths of the training clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anymic import audio
from anymic._internal.threads import READERS, in_order
from anymic.data.manifest import Manifest
from anymic.errors import Failure, attempt, counted

LONGEST_S = 10.0  # of a window: longer clips are divided
MOST_WINDOWS = 60  # of one clip that train


@dataclass(frozen=True)
class Survey:
    """What the headers of the files state; files that cannot be read are left out.

    Attributes
    ----------
    rates : mapping of int to int
        The number of clips of each sampling rate in Hz, the most frequent first.
    durations_s : tuple of float
        Of the clips, ascending.
    """

    rates: Mapping[int, int]
    durations_s: tuple[float, ...]

    def window_s(self, least_s: float) -> float:
        """Return the length of a window: the median of the clips', from `least_s` to 10 s."""
        median = float(np.median(self.durations_s)) if self.durations_s else LONGEST_S
        return round(max(min(median, LONGEST_S), least_s), 3)

    def notes(self, *, rate_hz: int, window_s: float) -> list[str]:
        """Return notes on clips of other rates and lengths."""
        found = []
        others = {rate: count for rate, count in self.rates.items() if rate != rate_hz}
        if others:
            each = [f"{counted(count, 'clip')} of {rate} Hz" for rate, count in others.items()]
            are = "is" if sum(others.values()) == 1 else "are"
            found.append(f"{', '.join(each)} {are} resampled to the model's {rate_hz} Hz")
        lengths = np.array(self.durations_s)
        slack_s = 0.001
        shorter, longer = (lengths < window_s - slack_s).sum(), (lengths >= 1.5 * window_s).sum()
        if len(lengths):
            shortest, longest = lengths[0], lengths[-1]
            span = f"all last {longest:g} s"
            if longest - shortest > slack_s:
                span = f"from {round(shortest, 2):g} s to {round(longest, 2):g} s"
            found.append(f"a window of {window_s:g} s (clips: {span})")
        if shorter:
            found.append(f"{_are(shorter, 'shorter clip')} repeated to the length of a window")
        if longer:
            found.append(
                f"{_are(longer, 'longer clip')} divided into windows; of one clip at most"
                f" {MOST_WINDOWS} train"
            )
        return found


def survey(manifest: Manifest) -> Survey:
    """Read the headers of all files, in threads, and the files whose header states no length."""
    rates: Counter[int] = Counter()
    durations: list[float] = []
    parts = manifest.parts()
    clips = list(zip(manifest.paths(), parts["start_s"], parts["duration_s"], strict=True))
    whole = {path: False for path, _, _ in clips}
    whole.update((path, True) for path, _, duration_s in clips if np.isnan(duration_s))
    found = in_order(_measured, whole.items(), workers=READERS, ahead=32)
    known = dict(zip(whole, found, strict=True))
    for path, start_s, duration_s in clips:
        file = known[path]
        if isinstance(file, Failure):
            continue
        rate_hz, length_s = file
        rates[rate_hz] += 1
        durations.append(max(length_s - start_s, 0.0) if np.isnan(duration_s) else duration_s)
    return Survey(dict(rates.most_common()), tuple(sorted(durations)))


def _measured(file: tuple[Path, bool]) -> tuple[int, float] | Failure:
    """Return the rate of a file, and its length where all of it is a clip, else NaN."""
    path, whole = file
    return attempt(
        path, lambda: (audio.probe(path).rate_hz, audio.length_s(path) if whole else np.nan)
    )


def _are(count: int, name: str) -> str:
    return f"{counted(count, name)} {'is' if count == 1 else 'are'}"
