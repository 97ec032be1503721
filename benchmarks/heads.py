"""Heads on the embeddings of a frozen YAMNet, beside logistic regression, with few clips.

    python benchmarks/heads.py --data ../shared/data/ESC-50-16k \
        --weights ../shared/data/yamnet/yamnet_float32.npz

Eight clips of each label, drawn from folds 3 and 4, train; the 400 clips of fold 2 are the inner
test set. Fold 1 is not used. Printed for each setting: the accuracy, its difference to logistic
regression in pairs with a 95 % interval over recordings, and the epoch that is kept. With --rows
only some settings are compared.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from anymic import models
from anymic.data import corpora
from anymic.evaluation.report.cells import points
from anymic.features import Standardizer
from anymic.importers.yamnet import import_yamnet
from anymic.inference.sequences import open_sequences
from anymic.metrics import paired_difference
from anymic.models.tagger import Standardization
from anymic.training.embedded import Embedded
from anymic.training.head_settings import LINEAR, head_config
from anymic.training.heads import untrained
from anymic.training.loop.trainer import train
from anymic.training.parts import Examples

CLIPS = 8  # of each label
ALL_TRAIN = {"schedule": "cosine", "validation_share": 0, "monitor": "last", "epochs": 30}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "attention, 100 epochs": ("attention_head", {"epochs": 100, "batch_size": 64}),
    "attention, batches of 16, 50 epochs": ("attention_head", {"epochs": 50, "batch_size": 16}),
    "dense, batches of 16, 50 epochs": ("dense_head", {"epochs": 50, "batch_size": 16}),
    "attention, 30 epochs": ("attention_head", {**ALL_TRAIN, "batch_size": 64}),
    "attention, 30 epochs without mixup": (
        "attention_head",
        {**ALL_TRAIN, "batch_size": 64, "mixup": None},
    ),
    "attention, batches of 16, 30 epochs": ("attention_head", {**ALL_TRAIN, "batch_size": 16}),
    "dense, 30 epochs": ("dense_head", {**ALL_TRAIN, "batch_size": 64}),
}


class Clips:
    """The sequences of embeddings of the clips, and which of them train."""

    def __init__(self, data: Path, weights: Path) -> None:
        manifest = corpora.load("esc50", data)
        manifest = manifest.rows([path.is_file() for path in manifest.paths()])
        labels = manifest.labels
        extractor = untrained(import_yamnet(weights), labels, "attention_head", window_s=5.0)
        self.labels, self.sequences = tuple(labels), open_sequences(manifest, extractor).features
        self.targets, self.recordings = manifest.targets(labels), np.array(manifest.recordings())
        folds, random = manifest.table["fold"].to_numpy(), np.random.default_rng(0)
        inner = np.flatnonzero(folds >= 3)
        of_label = [inner[self.targets[inner] == number] for number in range(len(labels))]
        self.training = np.sort(
            np.concatenate([random.permutation(own)[:CLIPS] for own in of_label])
        )
        self.test = np.flatnonzero(folds == 2)

    def examples(self, training: NDArray[np.int64], validation: NDArray[np.int64]) -> Examples:
        """Return the examples of a training."""
        return Examples(
            self.sequences,
            self.labels,
            training,
            self.targets[training],
            validation,
            self.targets[validation],
            training_files=tuple(map(str, training)),
            validation_clips=tuple(map(str, validation)),
        )

    def logistic(self) -> NDArray[np.bool_]:
        """Return whether logistic regression is right for each test clip."""
        data = self.examples(self.training, self.training[:0])
        every = np.arange(len(self.targets))
        embedded = Embedded(data, every, self.recordings, head_config(LINEAR))
        logits = embedded.logistic().logits(embedded._pooled(self.test))
        return np.asarray(logits.argmax(axis=1) == self.targets[self.test])

    def head(self, name: str, changes: dict[str, Any]) -> tuple[NDArray[np.bool_], int]:
        """Return whether a head is right for each test clip, and the epoch that was kept."""
        config = head_config(name, changes=changes)
        rows, validation = self.training, self.training[:0]
        if config.validation_share:
            parts = StratifiedGroupKFold(
                round(1 / config.validation_share), shuffle=True, random_state=config.seed
            ).split(rows, self.targets[rows], self.recordings[rows])
            first, second = next(iter(parts))
            rows, validation = rows[first], rows[second]
        standardization = Standardization(self.sequences.shape[1])
        learned = Standardizer().fit(self.sequences[row] for row in rows)
        standardization.mean.copy_(torch.from_numpy(learned.mean_))
        standardization.scale.copy_(torch.from_numpy(learned.scale_))
        data = self.examples(rows, validation)
        with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(config.seed)
            size = self.sequences.shape[1]
            network = models.build(name, classes=len(self.labels), inputs=size)
            record = train(network, standardization, data, config, Path(folder), False, False, {})
        network.eval()
        test = torch.from_numpy(self.sequences[self.test].astype(np.float32))
        with torch.inference_mode():
            found = network(standardization.maps(test)).argmax(dim=1).numpy()
        return np.asarray(found == self.targets[self.test]), int(record["kept_epoch"])


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of ESC-50")
    parser.add_argument("--weights", type=Path, required=True, help="weights of YAMNet")
    parser.add_argument("--rows", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    clips = Clips(arguments.data, arguments.weights)
    base, groups = clips.logistic(), clips.recordings[clips.test]
    print(f"logistic regression\t{100 * base.mean():.1f} %\tn={len(base)}")
    for row in arguments.rows:
        right, epoch = clips.head(*SETTINGS[row])
        change = paired_difference(right.astype(float), base.astype(float), groups)
        print(f"{row}\t{100 * right.mean():.1f} %\t{points(change)}\tepoch {epoch}", flush=True)


if __name__ == "__main__":
    main()
