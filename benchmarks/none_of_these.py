"""Whether a classifier notices sounds of classes that it was not trained on.

    python benchmarks/none_of_these.py --data ../shared/data/ESC-50-16k \
        --weights ../shared/data/yamnet/yamnet_float32.npz

Ten classes of ESC-50, drawn by the seed, are unknown: no clip of them is trained on. Logistic
regression on the mean embeddings of a frozen YAMNet, C = 0.01, learns the others in three ways:
softmax; a sigmoid for each label; and a sigmoid for each label where ten further classes are clips
without a label, as clips in a folder named "other" are. The three learn and are measured on the
same 30 known classes. Each fold is the test set once; of the other three, the last one is set aside
to choose thresholds, and nothing is fitted on it.

Printed for each way, over the test clips of all folds:

- AUROC of the highest score: how well known clips (positive) are separated from unknown ones;
- with the thresholds: the share of known clips whose named labels are exactly the right one, and
  the share of unknown clips for which no label is named. Sigmoids have thresholds of maximal F1 for
  each label; the softmax has one for all labels, the lowest of those that name as large a share of
  the set-aside known clips as the sigmoids' thresholds do;
- accuracy on known clips without any threshold: the highest score is that of the right label.

Intervals resample recordings.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from anymic.bundle.targets import named
from anymic.calibration import best_thresholds
from anymic.data import corpora
from anymic.importers.yamnet import import_yamnet
from anymic.inference.answers import probabilities
from anymic.inference.embedder import Embedder
from anymic.metrics import Interval, accuracy, bootstrap
from anymic.training.logistic import fit_logistic

STRENGTH = 0.01  # scikit-learn's C
WAYS = ("softmax", "sigmoid", "sigmoid, with clips without a label")
Floats = NDArray[np.float64]


def main() -> None:
    """Print a row for each way to learn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of ESC-50")
    parser.add_argument("--weights", type=Path, required=True, help="weights of YAMNet")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of classes")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    torch.set_num_threads(1)
    manifest = corpora.load("esc50", arguments.data)
    present = [path.is_file() for path in manifest.paths()]
    manifest = manifest.rows(np.array(present))
    found = Embedder(import_yamnet(arguments.weights), precision="float32").embed_manifest(manifest)
    vectors, rows = found.clips()
    clips = manifest.rows(rows)
    order = np.random.default_rng(arguments.seed).permutation(clips.labels)
    unknown, further, known = order[:10], order[10:20], sorted(order[20:])
    print(f"{len(clips)} clips; unknown: {', '.join(sorted(unknown))}")
    print(f"without a label, where these are learned: {', '.join(sorted(further))}")
    print("way\taccuracy of known\tAUROC\tknown, exactly right\tunknown, none named")
    table = clips.table
    labels, folds = table["label"].to_numpy(dtype=str), table["fold"].to_numpy()
    recordings = np.array(clips.recordings())
    for way in WAYS:
        scores, names, used = measure(way, vectors, labels, folds, recordings, known, further)
        report(way, scores, names, labels[used], recordings[used], known, unknown)


def measure(
    way: str,
    vectors: Floats,
    labels: NDArray[np.str_],
    folds: NDArray[np.int64],
    recordings: NDArray[np.str_],
    known: list[str],
    further: NDArray[np.str_],
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Return scores and named labels (clip, label) of all test clips, and their rows."""
    truth = (labels[:, None] == np.array(known)).astype(np.int64)  # (clip, label)
    is_known, is_further = truth.any(axis=1), np.isin(labels, further)
    numbers = sorted(set(folds.tolist()))
    parts = []
    for place, fold in enumerate(numbers):
        aside = numbers[place - 1]
        learned = is_known | (is_further if way == WAYS[2] else False)
        training = np.flatnonzero(learned & (folds != fold) & (folds != aside))
        held_out = np.flatnonzero(learned & (folds == aside))
        test = np.flatnonzero(~is_further & (folds == fold))
        targets = truth[training].argmax(axis=1) if way == "softmax" else truth[training]
        model = fit_logistic(
            vectors[training], targets, recordings[training].tolist(), strengths=[STRENGTH]
        )
        of = "one" if way == "softmax" else "several"
        aside_scores, scores = (
            probabilities(torch.from_numpy(model.logits(vectors[rows])), targets=of)  # type: ignore[arg-type]
            for rows in (held_out, test)
        )
        if way == "softmax":
            share = named_share(vectors, truth, training, held_out, recordings)
            threshold = float(np.quantile(aside_scores.max(axis=1), 1 - share))
            best = scores == scores.max(axis=1, keepdims=True)
            parts.append((scores, best & (scores >= threshold), test))
        else:
            thresholds = best_thresholds(aside_scores, truth[held_out]).values
            parts.append((scores, named(scores, thresholds), test))
    scores, names, used = (np.concatenate(each) for each in zip(*parts, strict=True))
    return scores, names, used


def named_share(
    vectors: Floats,
    truth: NDArray[np.int64],
    training: NDArray[np.int64],
    held_out: NDArray[np.int64],
    recordings: NDArray[np.str_],
) -> float:
    """Return the share of the known clips set aside for which sigmoids name some label."""
    model = fit_logistic(
        vectors[training], truth[training], recordings[training].tolist(), strengths=[STRENGTH]
    )
    scores = probabilities(torch.from_numpy(model.logits(vectors[held_out])), targets="several")
    thresholds = best_thresholds(scores, truth[held_out]).values
    return float(named(scores, thresholds).any(axis=1).mean())


def report(
    way: str,
    scores: Floats,
    names: NDArray[np.bool_],
    labels: NDArray[np.str_],
    recordings: NDArray[np.str_],
    known: list[str],
    unknown: NDArray[np.str_],
) -> None:
    """Print a row: accuracy, AUROC, and what the thresholds do."""
    truth = labels[:, None] == np.array(known)
    is_known, is_unknown = truth.any(axis=1), np.isin(labels, unknown)
    highest = scores.max(axis=1)

    def separation(rows: NDArray[np.intp]) -> float:
        return float(roc_auc_score(is_known[rows], highest[rows]))

    right = np.asarray(scores.argmax(axis=1) == truth.argmax(axis=1))
    exact, declined = np.asarray((names == truth).all(axis=1)), np.asarray(~names.any(axis=1))
    cells = [
        share(accuracy(right[is_known], recordings[is_known])),
        "{0.value:.3f} [{0.low:.3f}, {0.high:.3f}]".format(bootstrap(separation, recordings)),
        share(accuracy(exact[is_known], recordings[is_known])),
        share(accuracy(declined[is_unknown], recordings[is_unknown])),
    ]
    print("\t".join([way, *cells]))


def share(found: Interval) -> str:
    """Return a share in per cent with its interval."""
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}], n={found.n}"


if __name__ == "__main__":
    main()
