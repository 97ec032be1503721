"""The network that identifies a device, its training and the scores of held-out clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
WIDTH, STEPS, BATCH = 64, 500, 64
FOLDS = 4
# Correlation lengths as a share of the bands (on the mel scale), and the typical deviation in
# nepers: a tilt, wide peaks of a capsule, and narrow resonances.
SCALES = ((0.4, 0.6), (0.15, 0.5), (0.05, 0.3))


class IdentifierNetwork(nn.Module):
    """Classify the device of a clip, which `inputs` numbers describe, as a known one or unknown."""

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
        """Return the log probabilities (clip, device + 1); the last is for unknown devices."""
        found: Tensor = self.layers(values).log_softmax(dim=1)
        return found


def score(logs: Tensor) -> Tensor:
    """Return the log odds of any known device against an unknown one, (clip,)."""
    return logs[:, :-1].logsumexp(dim=1) - logs[:, -1]


def train(
    values: Array, targets: NDArray[np.int64], *, devices: int, scale: float, seed: int
) -> IdentifierNetwork:
    """Train on clips of known devices and on as many of unknown devices.

    Parameters
    ----------
    values : (clip, number)
        Log powers of bands, standardized by the factor `scale`.
    targets : (clip,)
        Device numbers. Known devices are below `devices`; the others are held-out devices, which
        stand for unknown ones.
    """
    generator = np.random.default_rng(seed)
    known = np.flatnonzero(targets < devices)
    share = _balanced_shares(targets[known])
    unknown = _UnknownClips(values, targets, devices=devices, scale=scale)
    with torch.random.fork_rng(devices=[]), _one_thread(), torch.enable_grad():
        torch.manual_seed(seed)
        found = IdentifierNetwork(values.shape[1], devices)
        optimizer = torch.optim.AdamW(found.parameters(), 3e-3, weight_decay=0.3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
        for _ in range(STEPS):
            rows = generator.choice(known, size=BATCH, p=share)
            batch = np.concatenate([values[rows], unknown.draw(BATCH, generator)])
            truth = np.concatenate([targets[rows], np.full(BATCH, devices)])
            optimizer.zero_grad()
            logs = found(torch.from_numpy(batch).float())
            loss = nn.functional.nll_loss(logs, torch.from_numpy(truth))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return found.eval().requires_grad_(False)


class RandomResponses:
    """Draws smooth log responses over mel bands.

    Each is a sum of Gaussian processes of three lengths, each scaled by a random amount of mean 1.
    So some drawn devices differ from the known ones by little and some by much.
    """

    def __init__(self, bands: int) -> None:
        place = np.linspace(0.0, 1.0, bands)
        apart = np.abs(place[:, None] - place)
        self._roots = []
        for length, deviation in SCALES:
            smooth = length < 0.1
            covariance = np.exp(-0.5 * (apart / length) ** 2) if smooth else np.exp(-apart / length)
            root = np.linalg.cholesky(covariance + 1e-6 * np.eye(bands))
            self._roots.append(deviation * root)

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """Return (count, band) log amplitudes whose mean over bands is 0."""
        curves = np.zeros((count, len(self._roots[0])))
        for root in self._roots:
            amount = generator.gamma(2.0, 0.5, size=(count, 1))
            curves += amount * (generator.standard_normal(curves.shape) @ root.T)
        centred: NDArray[np.float64] = curves - curves.mean(axis=1, keepdims=True)
        return centred


class _UnknownClips:
    """Draws clips of unknown devices: of the held-out devices, or simulated.

    Half are clips of held-out devices, half are such clips with a random smooth response added.
    Without held-out devices all are simulated: clips of known devices, shifted to the mean of
    those devices (unknown devices are expected to resemble it), with such a response added.
    """

    def __init__(
        self, values: Array, targets: NDArray[np.int64], *, devices: int, scale: float
    ) -> None:
        held_out = targets >= devices
        self.real = bool(held_out.any())
        if self.real:
            self.clips, kinds = values[held_out], targets[held_out]
        else:
            present, index = np.unique(targets, return_inverse=True)
            means = np.array([values[targets == device].mean(axis=0) for device in present])
            self.clips, kinds = values - means[index] + means.mean(axis=0), targets
        self.share = _balanced_shares(kinds)
        self.scale = scale
        self.responses = RandomResponses(values.shape[1])

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Return clips (count, number)."""
        clips: Array = self.clips[generator.choice(len(self.clips), size=count, p=self.share)]
        left = count // 2 if self.real else 0
        # The statistics are log powers, the responses log amplitudes.
        clips[left:] += 2 * self.scale * self.responses.draw(count - left, generator)
        return clips


def _balanced_shares(kinds: NDArray[np.int64]) -> Array:
    """Return the probability of drawing each clip, so that all devices are equally frequent."""
    _, index, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    shares: Array = (1 / counts)[index] / len(counts)
    return shares


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, which is faster for such small matrices."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True, eq=False)
class HeldOutScores:
    """Scores (clip,) of clips by networks that were trained without them.

    They are of every clip of a known device, and about every second clip of each held-out device.
    """

    known: Array
    unknown: Array

    def threshold(self, true_accepts: float) -> float:
        """Return the lowest score at which a clip is attributed to a known device.

        With held-out devices, the share of known clips rejected equals the share of unknown clips
        accepted. Without, the share `true_accepts` of known clips is accepted.
        """
        if not len(self.unknown):
            return float(np.quantile(self.known, 1 - true_accepts))
        places = np.sort(np.concatenate([self.known, self.unknown]))
        fail = np.searchsorted(np.sort(self.known), places) / len(self.known)
        passes = 1 - np.searchsorted(np.sort(self.unknown), places) / len(self.unknown)
        return float(places[np.abs(fail - passes).argmin()])

    def shares(self, threshold: float) -> dict[str, float]:
        """Return the shares of clips accepted, and how well scores separate known and unknown."""
        found = {"true_accepts": float((self.known >= threshold).mean())}
        if not len(self.unknown):
            return found
        from sklearn.metrics import roc_auc_score

        truth = np.repeat([1, 0], [len(self.known), len(self.unknown)])
        at_95 = np.quantile(self.known, 0.05)
        return {
            **found,
            "false_accepts": float((self.unknown >= threshold).mean()),
            "false_accepts_at_95": float((self.unknown >= at_95).mean()),
            "auroc": float(roc_auc_score(truth, np.concatenate([self.known, self.unknown]))),
        }


def held_out_scores(
    values: Array,
    targets: NDArray[np.int64],
    groups: Sequence[str],
    *,
    devices: int,
    scale: float,
    seed: int,
) -> HeldOutScores:
    """Train four networks, each without a quarter of the recordings and half the held-out devices.

    Each scores the clips in its quarter, of known devices and of the held-out devices left out.
    `groups` is the recording of each clip; other parameters as for `train`.
    """
    generator = np.random.default_rng(seed)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    part = generator.permutation(len(names))[index] % FOLDS
    held_out = targets >= devices
    half = np.full(len(targets), -1)
    if held_out.any():
        kinds, index = np.unique(targets[held_out], return_inverse=True)
        half[held_out] = generator.permutation(len(kinds))[index] % 2
    known: list[Array] = []
    unknown: list[Array] = []
    for fold in range(FOLDS):
        quarter, left_out = part == fold, half == fold % 2
        if not quarter.any():
            continue
        learned = ~quarter & ~left_out
        trained = train(values[learned], targets[learned], devices=devices, scale=scale, seed=seed)
        for rows, scores in ((quarter & ~held_out, known), (quarter & left_out, unknown)):
            scores.append(score(trained(torch.from_numpy(values[rows]).float())).double().numpy())
    return HeldOutScores(np.concatenate(known), np.concatenate(unknown))
