"""The network that identifies a device, its training and the scores of held-out clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic._internal.torch_threads import in_threads
from anymic.devices.analysis import NEPER_DB
from anymic.devices.identification.descriptions import Analysis
from anymic.devices.simulation.random_responses import (
    ResponseStatistics,
    between_bands,
    cosine_transform,
    microphones,
)
from anymic.metrics.intervals import accuracy

Array = NDArray[np.float64]
Targets = NDArray[np.int64]

WIDTH, STEPS, BATCH = 64, 300, 32
RESPONSES = 4000  # random responses of a training, drawn at once
FOLDS = 4
# Smooth curves that responses may have in addition: their mean deviation, and correlation length.
CURVE_DB, CURVE_OCTAVES = 5.0, 0.7
SIMULATED = 4  # clips of simulated unknown devices for each held-out clip of the anchor


class Responses(Protocol):
    """Draws descriptions (count, number) of random device responses."""

    def __call__(self, count: int, generator: np.random.Generator) -> Array:  # noqa: D102
        ...


def described_responses(
    analysis: Analysis, statistics: ResponseStatistics | None = None
) -> Responses:
    """Return a function that draws descriptions of responses, by default those of microphones.

    Every second one has another smooth curve added, of any size up to about 20 dB: a device need
    not be like those that were measured. A description is of log powers, in nepers of power.
    """
    statistics, hz, most = statistics or microphones(), analysis.hz, analysis.coefficients
    octaves = np.log2(statistics.centres_hz)
    apart = (octaves[:, None] - octaves) / CURVE_OCTAVES
    root = np.linalg.cholesky(np.exp(-0.5 * apart**2) + 1e-6 * np.eye(len(octaves)))
    shapes = root.T @ cosine_transform(between_bands(statistics.centres_hz, hz))[:, 1 : most + 1]

    def draw(count: int, generator: np.random.Generator) -> Array:
        found = statistics.draw_cosines(count, hz, generator, most)
        other = found[::2]
        sizes_db = generator.gamma(2.0, CURVE_DB / 2, size=(len(other), 1))
        other += sizes_db * (generator.standard_normal((len(other), len(shapes))) @ shapes)
        return found * (2 / NEPER_DB)

    return draw


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


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A network with the standardization of its inputs, both (number,)."""

    network: IdentifierNetwork
    mean: Array
    scale: Array

    def log_probabilities(self, values: Array) -> Tensor:
        """Return the log probabilities (clip, device + 1) of descriptions (clip, number)."""
        standardized = torch.from_numpy((values - self.mean) / self.scale).float()
        found: Tensor = self.network(standardized).double()
        return found

    def scores(self, values: Array) -> Array:
        """Return the `score` of each description, (clip,)."""
        return np.asarray(score(self.log_probabilities(values)).numpy())


class DeviceExamples:
    """Draws examples of known and of unknown devices.

    The known device with the most clips is the *anchor*. The effect of every other known device is
    the difference of its mean description from the anchor's, shrunk towards none by how uncertain
    it is: by the variance among clips, against that among random responses (the posterior mean of
    a normal distribution; Murphy 2007, section 4). So every clip of one device can become one of
    another device: its description without the effect of its own device, plus another effect.

    Half of the examples of a known device are its clips. The others are clips of all known devices
    with its effect, which varies as its uncertainty allows. Examples of unknown devices are clips
    of all known devices with the effect of a random response, and clips of held-out devices: half
    of each where there are some.
    """

    def __init__(
        self,
        values: Array,
        targets: Targets,
        *,
        devices: int,
        draw: Responses,
        generator: np.random.Generator,
    ) -> None:
        self.clips: list[Array] = [values[targets == device] for device in range(devices)]
        held_out = targets >= devices
        self.held_out, kinds = values[held_out], targets[held_out]
        self.share = _balanced_shares(kinds) if len(kinds) else None
        present = [device for device in range(devices) if len(self.clips[device])]
        self.anchor = max(present, key=lambda device: len(self.clips[device]))
        means = [clips.mean(axis=0) if len(clips) else None for clips in self.clips]
        self.centre = np.mean([mean for mean in means if mean is not None], axis=0)
        own = [self.clips[device] for device in present]
        without = [clips - clips.mean(axis=0) for clips in own]
        among_clips = np.concatenate(without).var(axis=0)
        self.scale = np.sqrt(among_clips) + 1e-6
        self.responses = draw(RESPONSES, generator)
        among_devices = self.responses.var(axis=0)
        anchor_mean, anchor_clips = means[self.anchor], len(self.clips[self.anchor])
        assert anchor_mean is not None  # the anchor has clips
        self.effects, self.uncertain = [], []
        for mean, clips in zip(means, self.clips, strict=True):
            if mean is None or mean is anchor_mean:
                self.effects.append(np.zeros_like(anchor_mean))
                self.uncertain.append(np.zeros_like(anchor_mean))
                continue
            variance = among_clips * (1 / len(clips) + 1 / anchor_clips)
            certain = among_devices / (among_devices + variance)
            self.effects.append(certain * (mean - anchor_mean))
            self.uncertain.append(0.5 * np.sqrt(certain * variance))
        pairs = zip(self.clips, self.effects, strict=True)
        self.sounds = np.concatenate([clips - effect for clips, effect in pairs])

    def known(self, device: int, count: int, generator: np.random.Generator) -> Array:
        """Return examples (count, number) of a known device; none if it has no clip."""
        own = self.clips[device]
        if not len(own):
            return own
        real = own[generator.integers(len(own), size=count // 2)]
        sounds = self._sounds(count - len(real), generator)
        noise = generator.standard_normal(sounds.shape) * self.uncertain[device]
        return np.concatenate([real, sounds + self.effects[device] + noise])

    def unknown(self, count: int, generator: np.random.Generator) -> Array:
        """Return examples (count, number) of unknown devices."""
        real = self.held_out[:0]
        if self.share is not None:
            chosen = generator.choice(len(self.held_out), size=count // 2, p=self.share)
            real = self.held_out[chosen]
        left = count - len(real)
        effects = self.responses[generator.integers(len(self.responses), size=left)]
        return np.concatenate([real, self._sounds(left, generator) + effects])

    def _sounds(self, count: int, generator: np.random.Generator) -> Array:
        chosen: Array = self.sounds[generator.integers(len(self.sounds), size=count)]
        return chosen


def train(
    values: Array, targets: Targets, *, devices: int, draw: Responses, seed: int
) -> FittedNetwork:
    """Train on as many examples of unknown devices as of known ones.

    Parameters
    ----------
    values : (clip, number)
        Descriptions.
    targets : (clip,)
        Device numbers. Known devices are below `devices`; the others are held-out devices, which
        stand for unknown ones.
    draw : callable
        Draws the effects of unknown devices.
    """
    generator = np.random.default_rng(seed)
    examples = DeviceExamples(values, targets, devices=devices, draw=draw, generator=generator)
    counts = [BATCH * bool(len(clips)) for clips in examples.clips]
    counts.append(sum(counts))
    truth = torch.arange(devices + 1).repeat_interleave(torch.tensor(counts))
    # One thread is faster for such small matrices.
    with torch.random.fork_rng(devices=[]), in_threads(1), torch.enable_grad():
        torch.manual_seed(seed)
        network = IdentifierNetwork(values.shape[1], devices)
        optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
        for _ in range(STEPS):
            known = [examples.known(device, BATCH, generator) for device in range(devices)]
            batch = np.concatenate([*known, examples.unknown(counts[-1], generator)])
            inputs = torch.from_numpy((batch - examples.centre) / examples.scale).float()
            optimizer.zero_grad()
            loss = nn.functional.nll_loss(network(inputs), truth)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    trained = network.eval().requires_grad_(False)
    mean, scale = (one.astype(np.float32) for one in (examples.centre, examples.scale))  # as saved
    return FittedNetwork(trained, mean.astype(np.float64), scale.astype(np.float64))


def _balanced_shares(kinds: Targets) -> Array:
    """Return the probability of drawing each clip, so that all devices are equally frequent."""
    _, index, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    shares: Array = (1 / counts)[index] / len(counts)
    return shares


@dataclass(frozen=True, eq=False)
class HeldOutScores:
    """Scores of clips by networks that were trained without their recordings.

    Attributes
    ----------
    known : tuple of (clip,)
        Of the clips of each known device, without those of recordings that all of its clips are of.
    unknown : (clip,)
        Of about every second clip of the held-out devices, by networks trained without its device.
    simulated : (clip,)
        Of clips with the effect of a random response.
    """

    known: tuple[Array, ...]
    unknown: Array
    simulated: Array

    def threshold(self, true_accepts: float) -> float:
        """Return the lowest score at which a clip is attributed to a known device.

        Of the clips of each known device at least the share `true_accepts` is accepted: the
        threshold is the lowest of the devices' own quantiles.
        """
        known = [scores for scores in self.known if len(scores)]
        return min(float(np.quantile(scores, 1 - true_accepts)) for scores in known)

    def record(self, threshold: float, devices: Sequence[str]) -> dict[str, object]:
        """Return the shares of clips accepted, and how well scores separate known and unknown.

        `auroc` is the area under the ROC curve, the mean over known devices. The intervals of
        unknown devices' shares are 95 %, over the clips that responses were applied to.
        """
        accepted = {
            name: {"accepted": int((scores >= threshold).sum()), "clips": len(scores)}
            for name, scores in zip(devices, self.known, strict=True)
        }
        found: dict[str, object] = {"accepts": accepted}
        kinds = {"simulated": (self.simulated, SIMULATED), "unknown": (self.unknown, 1)}
        for kind, (scores, together) in kinds.items():
            if len(scores):
                share = accuracy(scores >= threshold, np.arange(len(scores)) // together)
                found[f"{kind}_accepts"] = share.value
                found[f"{kind}_interval"] = [share.low, share.high]
                found[f"{kind}_clips"] = len(scores)
                found[f"{kind}_auroc"] = _mean_area(self.known, scores)
        return found


def _mean_area(known: Sequence[Array], unknown: Array) -> float:
    return float(np.mean([area(scores, unknown) for scores in known if len(scores)]))


def area(known: Array, unknown: Array) -> float:
    """Return the probability that a known device's clip has the higher score (ties count half)."""
    places = np.sort(unknown)
    below = np.searchsorted(places, known, side="left")
    up_to = np.searchsorted(places, known, side="right")
    return float((below + up_to).mean() / (2 * len(unknown)))


def held_out_scores(
    values: Array,
    targets: Targets,
    groups: Sequence[str],
    *,
    devices: int,
    draw: Responses,
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
    anchor = int(np.bincount(targets[~held_out]).argmax())
    known: list[list[Array]] = [[] for _ in range(devices)]
    unknown: list[Array] = []
    simulated: list[Array] = []
    for fold in range(FOLDS):
        quarter, left_out = part == fold, half == fold % 2
        learned = ~quarter & ~left_out
        if not quarter.any() or not (learned & ~held_out).any():
            continue
        fitted = train(values[learned], targets[learned], devices=devices, draw=draw, seed=seed)
        for device, scores in enumerate(known):
            mine = targets == device
            scores.append(fitted.scores(values[quarter & mine & (learned & mine).any()]))
        unknown.append(fitted.scores(values[quarter & left_out]))
        sounds = np.repeat(values[quarter & (targets == anchor)], SIMULATED, axis=0)
        simulated.append(fitted.scores(sounds + draw(len(sounds), generator)))
    return HeldOutScores(
        tuple(np.concatenate(scores) for scores in known),
        np.concatenate(unknown),
        np.concatenate(simulated),
    )
