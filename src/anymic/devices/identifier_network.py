"""The small network that names a device, and how it learns what is none of its devices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic.devices.imitation import RandomResponses

Array = NDArray[np.float64]
WIDTH, STEPS, BATCH = 64, 500, 64
FOLDS = 4
EVEN, RIDGE = 0.3, 3e-3  # shares in the correlation of content


class IdentifierNetwork(nn.Module):
    """Names the device of a clip, and says how likely it is one of the known ones at all.

    Two parts, since each does its own task better than the other: a linear layer whose weights are
    those of linear discriminant analysis with a shrunk covariance of content, shared by all
    devices; and a small perceptron, trained on the clips and on imitations of strangers.

    Parameters
    ----------
    inputs : int
        Numbers that describe a clip.
    devices : int
    """

    def __init__(self, inputs: int, devices: int) -> None:
        super().__init__()
        self.naming = nn.Linear(inputs, devices)
        self.judging = nn.Sequential(
            nn.Linear(inputs, WIDTH),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(WIDTH, devices + 1),
        )

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of the known devices (clip, device), and the score (clip,).

        The score is the log odds of "some known device" against "none of them".
        """
        judged = self.judging(values)
        return self.naming(values), judged[:, :-1].logsumexp(dim=1) - judged[:, -1]


def train(
    values: Array, targets: NDArray[np.int64], *, devices: int, scale: float, seed: int
) -> IdentifierNetwork:
    """Train on clips of known devices and on the same clips through imitated ones.

    Half of every batch are known clips to which a random smooth response was added
    (`RandomResponses`): what they have in common is that they are of no known device.

    Parameters
    ----------
    values : (clip, number)
        Log powers of bands, standardized.
    targets : (clip,)
        Device numbers.
    devices : int
    scale : float
        What a log power was multiplied by.
    seed : int
    """
    generator = np.random.default_rng(seed)
    responses = RandomResponses(values.shape[1])
    counts = np.bincount(targets, minlength=devices)
    share = (1 / counts)[targets] / devices  # every device as often as any other
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        found = IdentifierNetwork(values.shape[1], devices)
        judging = found.judging
        optimizer = torch.optim.AdamW(judging.parameters(), 3e-3, weight_decay=0.3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
        for _ in range(STEPS):
            rows = generator.choice(len(values), size=2 * BATCH, p=share)
            batch = values[rows].copy()
            # The statistics are log powers, the responses log amplitudes.
            batch[BATCH:] += 2 * scale * responses.draw(BATCH, generator)
            truth = np.concatenate([targets[rows[:BATCH]], np.full(BATCH, devices)])
            logits = judging(torch.from_numpy(batch).float())
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(truth))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    _discriminate(found.naming, values, targets)
    return found.eval().requires_grad_(False)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: for matrices this small, waiting for a second one takes longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _discriminate(naming: nn.Linear, values: Array, targets: NDArray[np.int64]) -> None:
    """Set the weights to those of linear discriminant analysis, every device as likely."""
    devices = range(naming.out_features)
    means = np.array([values[targets == device].mean(axis=0) for device in devices])
    directions = np.linalg.solve(_content_covariance(values - means[targets]), means.T).T
    with torch.no_grad():
        naming.weight.copy_(torch.from_numpy(directions))
        naming.bias.copy_(torch.from_numpy(-0.5 * (directions * means).sum(axis=1)))


def _content_covariance(residuals: Array) -> Array:
    """Return how content varies from clip to clip, (band, band), from few clips.

    The sample's correlations are drawn towards their means along each diagonal: how alike two
    bands are depends mostly on how far they are apart. Shrinking towards the identity instead, as
    is usual, would call fine structure common, and it is what tells devices apart.
    """
    deviation = residuals.std(axis=0) + 1e-9
    correlation = (residuals / deviation).T @ (residuals / deviation) / len(residuals)
    bands = len(correlation)
    means = np.array([np.diagonal(correlation, lag).mean() for lag in range(bands)])
    even = means[np.abs(np.subtract.outer(np.arange(bands), np.arange(bands)))]
    values, vectors = np.linalg.eigh(even)  # means of correlations need not be positive definite
    even = (vectors * np.maximum(values, 1e-3 * values.max() / bands)) @ vectors.T
    mixed = (1 - EVEN) * correlation + EVEN * even + RIDGE * np.eye(bands)
    covariance: Array = mixed * np.outer(deviation, deviation)
    return covariance


def unseen_scores(
    values: NDArray[np.float64],
    targets: NDArray[np.int64],
    groups: Sequence[str],
    *,
    devices: int,
    scale: float,
    seed: int,
) -> NDArray[np.float64]:
    """Return every clip's score by a network that was not trained on its recording (clip,)."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    part = np.random.default_rng(seed).permutation(len(names))[index] % FOLDS
    found = np.empty(len(values))
    for fold in range(FOLDS):
        heard = part == fold
        if not heard.any():
            continue
        with torch.enable_grad():
            trained = train(
                values[~heard], targets[~heard], devices=devices, scale=scale, seed=seed
            )
        found[heard] = trained(torch.from_numpy(values[heard]).float())[1].numpy()
    return found
