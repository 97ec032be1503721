"""Calibrated beside soft voting, on clips of no split: log loss, Brier score, calibration error.

    python benchmarks/voting.py
    python benchmarks/voting.py --esc50 ESC-50

Members are small networks (basic1 of a quarter of the channels, 32 mel bands), trained on the
built-in scenes or on folds 1 to 3 of ESC-10. Each sets a random quarter of its recordings aside,
which calibrates it. Six of the members vote, ten times other ones, drawn at random, on the test
scenes or on fold 4. A line is a draw: soft voting, calibrated voting, and calibrated voting with
the plain isotonic steps, whose log loss is infinite where a true label has probability 0.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic import metrics
from anymic.bundle import Bundle
from anymic.bundle.voting import vote
from anymic.calibration import IsotonicCalibrator
from anymic.data.corpora.esc50 import esc50
from anymic.data.corpora.scenes import scenes
from anymic.data.manifest import Manifest
from anymic.inference.predictor import Predictor
from anymic.training import load_config
from anymic.training.ensemble_builder import Builder
from anymic.training.members import fit_members

DRAWS, VOTERS = 10, 6
SCENES = {"frontend.rate_hz": 22_050, "frontend.hop_samples": 1024, "clip_s": 3}
ESC10 = {"frontend.rate_hz": 44_100, "frontend.hop_samples": 2048, "clip_s": 5}
MEMBER = {
    "frontend.bands": 32,
    "width": 0.25,
    "batch_size": 16,
    "spec_augment": None,
    "correction": None,
}
SCORES = ("log loss", "Brier", "ECE")
WAYS = ("soft", "calibrated", "plain isotonic")


def corpus(folder: Path, root: Path | None) -> Manifest:
    """Return the scenes, or ESC-10 whose fold 4 tests."""
    if root is None:
        return scenes(folder / "scenes", progress=False)
    found = esc50(root, subset="esc10")
    return found.with_columns(split=np.where(found.table["fold"] == 4, "test", "train"))


def scores(p: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return log loss (infinite where a true label has probability 0), Brier score and ECE."""
    with np.errstate(divide="ignore"):
        loss = -np.log(p[np.arange(len(targets)), targets]).mean()
    return (
        float(loss),
        metrics.brier_score(p, targets),
        metrics.expected_calibration_error(p, targets),
    )


@dataclass(frozen=True)
class Votes:
    """What trained members answer."""

    labels: tuple[str, ...]
    p: NDArray[np.float64]  # (member, clip, label), of the test clips
    targets: NDArray[np.int64]  # (clip,)
    # of each member its validation clips, and its probabilities for them
    own: list[tuple[Manifest, NDArray[np.float64]]]

    def calibrators(self, *, smoothing: bool = True) -> list[IsotonicCalibrator]:
        """Return a calibrator for each member, fitted on its validation clips."""
        return [
            IsotonicCalibrator(smoothing=smoothing).fit(p, kept.targets(self.labels))
            for kept, p in self.own
        ]


def votes(
    esc50_root: Path | None, out: Path, *, members: int, epochs: int, workers: int | None
) -> Votes:
    """Train members and return their votes; those that are in the folder are kept."""
    clips = corpus(out, esc50_root)
    changes = {**MEMBER, **(SCENES if esc50_root is None else ESC10), "epochs": epochs}
    config = load_config("kosmider2019-small", changes=changes)
    places = fit_members(clips, config, out, members=members, workers=workers)
    bundles = [Bundle.load(place) for place in places]
    test, builder = clips.where(split="test"), Builder(clips)
    own = [builder.predict(place.name, one) for place, one in zip(places, bundles, strict=True)]
    found = [Predictor(one).predict_manifest(test) for one in bundles]
    return Votes(
        bundles[0].labels,
        np.stack([one.probabilities for one in found]),
        test.rows(found[0].rows).targets(bundles[0].labels),
        [(kept, one.probabilities) for kept, one in own],
    )


def asked(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, *, members: int, epochs: int
) -> tuple[argparse.Namespace, Votes]:
    """Return the options of a command, with those of its members, and how these vote."""
    parser.add_argument("--esc50", type=Path, help="folder of ESC-50; without it, the scenes")
    parser.add_argument("--members", type=int, default=members)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--workers", type=int, help="trainings at a time")
    parser.add_argument("--out", type=Path, help="keeps the members here")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        found = votes(
            options.esc50,
            options.out or Path(temporary),
            members=options.members,
            epochs=options.epochs,
            workers=options.workers,
        )
    return options, found


def main() -> None:
    """Print a line a draw, and in how many draws calibrated voting is better."""
    parser = argparse.ArgumentParser(description=__doc__)
    _, found = asked(parser, None, members=20, epochs=30)
    p, targets = found.p, found.targets
    fitted = {smoothing: found.calibrators(smoothing=smoothing) for smoothing in (True, False)}
    print(f"{len(targets)} clips of no split; {len(found.own[0][0])} clips calibrate a member")
    print("draw", *(f"{way}: {score}" for way in WAYS for score in SCORES), sep="\t")
    generator, table = np.random.default_rng(0), []
    for number in range(DRAWS):
        drawn = generator.choice(len(p), VOTERS, replace=False)
        table.append([scores(vote(p[drawn], "soft"), targets)])
        for each in fitted.values():
            voted = vote(p[drawn], "calibrated", [each[member] for member in drawn])
            table[-1].append(scores(voted, targets))
        print(number + 1, *(f"{value:.3f}" for way in table[-1] for value in way), sep="\t")
    soft, calibrated = np.array(table)[:, 0], np.array(table)[:, 1]
    better = zip(SCORES, (calibrated < soft).sum(axis=0), strict=True)
    told = ", ".join(f"{score} in {wins}" for score, wins in better)
    print(f"calibrated better than soft voting, of {DRAWS} draws: {told}")


if __name__ == "__main__":
    main()
