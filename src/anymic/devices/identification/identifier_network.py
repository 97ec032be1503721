"""The small network that names a device, and how it learns what is none of its devices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic.devices.identification.imitation import RandomResponses

Array = NDArray[np.float64]
WIDTH, STEPS, BATCH = 64, 500, 64
FOLDS = 4


class IdentifierNetwork(nn.Module):
    """Names the device of a clip, and says how likely it is one of the known ones at all.

    Parameters
    ----------
    inputs : int
        Numbers that describe a clip.
    devices : int
    """

    def __init__(self, inputs: int, devices: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, WIDTH),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(WIDTH, devices + 1),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Return the log probabilities (clip, device + 1); the last is that of "none of them"."""
        found: Tensor = self.layers(values).log_softmax(dim=1)
        return found


def score(logs: Tensor) -> Tensor:
    """Return the log odds of "some known device" against "none of them", (clip,)."""
    return logs[:, :-1].logsumexp(dim=1) - logs[:, -1]


def train(
    values: Array, targets: NDArray[np.int64], *, devices: int, scale: float, seed: int
) -> IdentifierNetwork:
    """Train on clips of known devices and, as many, of none of them.

    Parameters
    ----------
    values : (clip, number)
        Log powers of bands, standardized.
    targets : (clip,)
        Device numbers: below `devices` those to name, from there on those that show what a
        stranger is.
    devices : int
    scale : float
        What a log power was multiplied by.
    seed : int
    """
    generator = np.random.default_rng(seed)
    known = np.flatnonzero(targets < devices)
    share = _even_shares(targets[known])
    others = _Others(values, targets, devices=devices, scale=scale)
    with torch.random.fork_rng(devices=[]), _one_thread(), torch.enable_grad():
        torch.manual_seed(seed)
        found = IdentifierNetwork(values.shape[1], devices)
        optimizer = torch.optim.AdamW(found.parameters(), 3e-3, weight_decay=0.3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
        for _ in range(STEPS):
            rows = generator.choice(known, size=BATCH, p=share)
            batch = np.concatenate([values[rows], others.draw(BATCH, generator)])
            truth = np.concatenate([targets[rows], np.full(BATCH, devices)])
            optimizer.zero_grad()
            logs = found(torch.from_numpy(batch).float())
            loss = nn.functional.nll_loss(logs, torch.from_numpy(truth))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return found.eval().requires_grad_(False)


class _Others:
    """Draws clips of no known device: real strangers' where there are some, and imitations.

    Half of them are strangers' clips as they are, half with a random smooth response added. Where
    there are none, all are imitations: clips of known devices, moved onto the mean of those
    devices, with such a response added. A stranger is expected to be somewhere about that mean:
    about the device that recorded the clip, it would be like no other device most of the time.
    """

    def __init__(
        self, values: Array, targets: NDArray[np.int64], *, devices: int, scale: float
    ) -> None:
        strange = targets >= devices
        self.real = bool(strange.any())
        if self.real:
            self.clips, kinds = values[strange], targets[strange]
        else:
            present, index = np.unique(targets, return_inverse=True)
            means = np.array([values[targets == device].mean(axis=0) for device in present])
            self.clips, kinds = values - means[index] + means.mean(axis=0), targets
        self.share = _even_shares(kinds)
        self.scale = scale
        self.responses = RandomResponses(values.shape[1])

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Return clips (count, number)."""
        clips: Array = self.clips[generator.choice(len(self.clips), size=count, p=self.share)]
        left = count // 2 if self.real else 0
        # The statistics are log powers, the responses log amplitudes.
        clips[left:] += 2 * self.scale * self.responses.draw(count - left, generator)
        return clips


def _even_shares(kinds: NDArray[np.int64]) -> Array:
    """Return how often to draw each clip so that every device comes as often as any other."""
    _, index, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    shares: Array = (1 / counts)[index] / len(counts)
    return shares


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: for matrices this small, waiting for a second one takes longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True, eq=False)
class Unheard:
    """Scores by networks that knew neither the recording nor, of a stranger, the device.

    Attributes
    ----------
    known, strangers : (clip,)
        Every clip of a known device; about every second one of a stranger (0 without strangers).
    """

    known: Array
    strangers: Array

    def threshold(self, true_accepts: float) -> float:
        """Return the score from which on a clip is taken for a known device's.

        With strangers: where as large a share of known clips fails as of strangers' passes.
        Without: where the share `true_accepts` of known clips passes.
        """
        if not len(self.strangers):
            return float(np.quantile(self.known, 1 - true_accepts))
        places = np.sort(np.concatenate([self.known, self.strangers]))
        fail = np.searchsorted(np.sort(self.known), places) / len(self.known)
        passes = 1 - np.searchsorted(np.sort(self.strangers), places) / len(self.strangers)
        return float(places[np.abs(fail - passes).argmin()])

    def shares(self, threshold: float) -> dict[str, float]:
        """Return how many clips pass, and how well scores tell strangers."""
        found = {"true_accepts": float((self.known >= threshold).mean())}
        if not len(self.strangers):
            return found
        from sklearn.metrics import roc_auc_score

        truth = np.repeat([1, 0], [len(self.known), len(self.strangers)])
        at_95 = np.quantile(self.known, 0.05)
        return {
            **found,
            "false_accepts": float((self.strangers >= threshold).mean()),
            "false_accepts_at_95": float((self.strangers >= at_95).mean()),
            "auroc": float(roc_auc_score(truth, np.concatenate([self.known, self.strangers]))),
        }


def unheard_scores(
    values: Array,
    targets: NDArray[np.int64],
    groups: Sequence[str],
    *,
    devices: int,
    scale: float,
    seed: int,
) -> Unheard:
    """Train four networks, each without a quarter of the recordings and half of the strangers.

    Each scores what it was trained without: clips of known devices in its quarter, and the clips
    in its quarter of the strangers that it had not met.

    Parameters
    ----------
    values, targets, devices, scale, seed
        As for `train`.
    groups : sequence of str
        The recording of each clip.
    """
    generator = np.random.default_rng(seed)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    part = generator.permutation(len(names))[index] % FOLDS
    strange = targets >= devices
    half = np.full(len(targets), -1)
    if strange.any():
        kinds, index = np.unique(targets[strange], return_inverse=True)
        half[strange] = generator.permutation(len(kinds))[index] % 2
    known: list[Array] = []
    strangers: list[Array] = []
    for fold in range(FOLDS):
        quarter, unmet = part == fold, half == fold % 2
        if not quarter.any():
            continue
        learned = ~quarter & ~unmet
        trained = train(values[learned], targets[learned], devices=devices, scale=scale, seed=seed)
        for rows, scores in ((quarter & ~strange, known), (quarter & unmet, strangers)):
            scores.append(score(trained(torch.from_numpy(values[rows]).float())).double().numpy())
    return Unheard(np.concatenate(known), np.concatenate(strangers))
