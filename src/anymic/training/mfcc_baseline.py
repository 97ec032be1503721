"""The baseline of a result: statistics of MFCCs, and logistic regression."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.optional import extra
from anymic._internal.threads import READERS, in_order
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.errors import Failure, attempt
from anymic.inference.answers import probabilities
from anymic.training.logistic import fit_logistic

NAME = "MFCC baseline"
COEFFICIENTS = 20
MOST_HZ = 22050  # the rate of librosa's examples
FRAME = 2048  # librosa's default, in samples
WINDOW_S = 60.0  # a longer file is read in windows of this length
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of C


@dataclass(frozen=True, eq=False)
class MfccStatistics:
    """Mean and standard deviation of the MFCCs of each clip.

    Attributes
    ----------
    features : (clip, 40) float64
        NaN for clips that cannot be read.
    rate_hz : int
        The rate that the clips were resampled to.
    """

    features: NDArray[np.float64]
    rate_hz: int

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Whether each clip could be read: (clip,)."""
        return np.asarray(np.isfinite(self.features).all(axis=1))

    def describe(self) -> str:
        """Return a description of the baseline."""
        return (
            f"mean and standard deviation of {COEFFICIENTS} MFCCs (librosa, {self.rate_hz} Hz),"
            " standardized, logistic regression (scikit-learn), C chosen by cross-validation over"
            " recordings of the training clips"
        )

    def classify(
        self,
        training: NDArray[np.intp],
        tested: NDArray[np.intp],
        *,
        targets: NDArray[np.int64],
        recordings: list[str],
        seed: int,
    ) -> NDArray[np.float64]:
        """Fit logistic regression on some clips and return the probabilities of others.

        Parameters
        ----------
        training, tested : (row,)
            Usable clips.
        targets : (clip,) int, or (clip, label) of 0 and 1
            With several labels a clip, each is classified against the rest.
        recordings : list of str, (clip,)

        Returns
        -------
        (row, class) float64
        """
        groups = [recordings[row] for row in training.tolist()]
        fitted = fit_logistic(
            self.features[training], targets[training], groups, strengths=STRENGTHS, seed=seed
        )
        logits = torch.from_numpy(fitted.logits(self.features[tested]))
        return probabilities(logits, targets="one" if targets.ndim == 1 else "several")


def mfcc_statistics(manifest: Manifest) -> MfccStatistics:
    """Return mean and standard deviation over time of 20 MFCCs of each clip.

    They are those of `librosa.feature.mfcc` with its defaults, at 22.05 kHz, or at the most
    frequent rate of the clips where that is lower.

    Raises
    ------
    DependencyError
        If librosa is not installed.
    ManifestError
        If no clip can be read.
    """
    with extra("train"):
        import librosa.feature  # here, so that no thread is the first to import it

    assert librosa.feature
    headers = [attempt(path, audio.probe, path) for path in dict.fromkeys(manifest.paths())]
    failures = [one for one in headers if isinstance(one, Failure)]
    require_usable(headers[len(failures) :], failures)
    rates = Counter(one.rate_hz for one in headers if not isinstance(one, Failure))
    rate_hz = min(MOST_HZ, rates.most_common(1)[0][0])

    def one(job: tuple[Path, dict[Any, Any]]) -> NDArray[np.float64]:
        path, part = job
        found = attempt(path, _statistics, path, part, rate_hz)
        return np.full(2 * COEFFICIENTS, np.nan) if isinstance(found, Failure) else found

    parts = manifest.parts().to_dict("records")
    jobs = zip(manifest.paths(), parts, strict=True)
    return MfccStatistics(np.stack(list(in_order(one, jobs, workers=READERS))), rate_hz)


def _statistics(path: Path, part: dict[str, Any], rate_hz: int) -> NDArray[np.float64]:
    """Return the means, then the standard deviations: (40,)."""
    import librosa.feature

    start_s, duration_s = part["start_s"], part["duration_s"]
    whole = not start_s and np.isnan(duration_s)
    clips = (
        audio.stream(path, window_s=WINDOW_S, rate_hz=rate_hz, allow_silence=True)
        if whole
        else [
            audio.read(
                path,
                start_s=start_s,
                duration_s=None if np.isnan(duration_s) else duration_s,
                rate_hz=rate_hz,
                allow_silence=True,
            )
        ]
    )
    sums, squares, count = np.zeros(COEFFICIENTS), np.zeros(COEFFICIENTS), 0
    for clip in clips:
        samples = clip.samples
        if len(samples) < FRAME:
            samples = np.pad(samples, (0, FRAME - len(samples)))
        found = librosa.feature.mfcc(y=samples, sr=rate_hz, n_mfcc=COEFFICIENTS).astype(np.float64)
        sums += found.sum(axis=1)
        squares += (found**2).sum(axis=1)
        count += found.shape[1]
    mean = sums / count
    return np.concatenate([mean, np.sqrt(np.maximum(squares / count - mean**2, 0))])
