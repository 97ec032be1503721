"""The result of an evaluation: rows with intervals, probabilities, and a report of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.data.manifest import Manifest
from anymic.devices.correction.profile import DeviceProfile
from anymic.evaluation import report
from anymic.evaluation.baseline import Baseline
from anymic.evaluation.measurement import Measurement
from anymic.evaluation.report.scored import ScoredClips
from anymic.metrics import confusion_matrix
from anymic.metrics.intervals import RESAMPLES

CAPTIONS = {
    "confusion": "Numbers are clips; the shade is their share of the true class.",
    "reliability": "On the dashed line confidence equals accuracy; below it, the model is "
    "overconfident. The area of a dot is its number of clips, the line its 95 % interval.",
    "accuracy_over_coverage": "Further left, more clips of low confidence are declined. If a line "
    "rises there, the confidence is informative. Marks are at 50, 80, 90 and 100 %.",
    "scores_by_label": "Average precision does not depend on the thresholds of the model; F1 does.",
    "device_gains": "The factor that each frequency of a device is multiplied by. The band is one "
    "standard deviation over clips to either side.",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation(Measurement):
    """The result of `evaluate`.

    Attributes
    ----------
    rows : tuple of Row
        Accuracy, log loss, Brier score, calibration error and MAP@k with n and 95 % intervals, of
        all clips, of each device and of each class; see `anymic.evaluation.report.evaluate`. With
        several labels a clip, average precision and F1: see `evaluate_labels` there.
    clips : Manifest
        The clips of `probabilities`, in their order: those that could be used.
    device_policies : str
        With `unstated`: how clips of unknown devices were corrected; else empty.
    title : str
    profile : DeviceProfile or None
        The gains of the model, for their figure.
    thresholds : array (label,) or (clip, label), or None
        With several labels a clip: the probabilities from which labels are named. Of several
        models, those of each clip's own.
    baseline : Baseline or None
        A simple classifier on the same clips, where one was trained.
    labels : tuple of str
    probabilities : array (clip, label), float64
        From 0 to 1; calibrated if the model is.
    targets : array (clip,), int64
        The number of the true label; with several labels a clip (clip, label), 0 and 1.
    failures : tuple of Failure
        The clips that could not be used; no number includes them.
    warning : str
        How many of the clips the model was fitted on, and for what; empty if none.
    facts : mapping
        What was measured, for the header of the report.
    seed : int
        Of the resamples behind the intervals.
    """

    rows: tuple[report.Row, ...]
    clips: Manifest
    device_policies: str
    title: str
    profile: DeviceProfile | None
    thresholds: NDArray[np.float64] | None = None
    baseline: Baseline | None = None

    def __str__(self) -> str:
        """Return the finding in one or two sentences."""
        return f"{report.summary(self.rows)} {self.baseline or ''}".strip()

    @property
    def several(self) -> bool:
        """Whether a clip may have several labels: targets are then (clip, label), 0 and 1."""
        return self.targets.ndim == 2

    def _write(self, folder: str | Path, facts: Mapping[str, Any]) -> dict[str, Path]:
        """Write the report with all figures."""
        from anymic.evaluation.report import figures

        extra: dict[str, Any] = {"labels": list(self.labels)}
        if self.several:
            drawn = [("scores_by_label", figures.scores_by_label(self.rows), "Classes")]
        else:
            clips = scored_clips(self.probabilities, self.targets, self.clips)
            counts = confusion_matrix(self.targets, clips.predicted, classes=len(self.labels))
            extra = {"confusion": {**extra, "counts": counts.tolist()}}
            drawn = [
                ("accuracy_by_class", figures.accuracy_by_class(self.rows), "Classes"),
                ("confusion", figures.confusion(counts, self.labels), "Classes"),
                ("reliability", figures.reliability(clips), "Confidence"),
                ("accuracy_over_coverage", figures.accuracy_over_coverage(clips), "Confidence"),
            ]
            if self.clips.devices:
                by_device = figures.accuracy_by_device(self.rows)
                drawn.insert(0, ("accuracy_by_device", by_device, "Devices"))
        if self.profile is not None:
            drawn.append(("device_gains", figures.gains_figure(self.profile), "Corrections"))
        rows, tables = self.rows, report.tables_of(self.rows)
        if self.baseline is not None:
            rows += self.baseline.rows
            tables = {"Baseline": [self.baseline.table()], **tables}
        return report.write_report(
            folder,
            rows,
            title=self.title,
            finding=str(self),
            tables=tables,
            header=self._header(facts),
            figures=[report.ReportFigure(*one, CAPTIONS.get(one[0], "")) for one in drawn],
            failures=self.failures,
            extra=extra,
        )

    def _header(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        recordings = recordings_of(self.clips)
        counted = len(set(recordings)) if recordings else "not stated: every clip counts by itself"
        return {
            **report.run_header(**facts),
            "clips": len(self.targets),
            "recordings": counted,
            "resampling": f"{RESAMPLES} resamples, seed {self.seed}",
        }


def scored_clips(probabilities: ArrayLike, targets: ArrayLike, clips: Manifest) -> ScoredClips:
    """Return the checked probabilities of clips with their devices and recordings."""
    return ScoredClips.of(probabilities, targets, devices_of(clips), recordings_of(clips))


def devices_of(clips: Manifest) -> list[str] | None:
    """Return the device of each clip; None if none is stated."""
    return clips.table["device"].tolist() if clips.devices else None


def recordings_of(clips: Manifest) -> list[str] | None:
    """Return the recording of each clip; None if the manifest has no such column."""
    return clips.recordings() if {"group", "take"} & set(clips.table.columns) else None
