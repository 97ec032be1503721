"""Run the front-ends and networks of a bundle: samples to features to probabilities."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anymic._internal import machine
from anymic._internal.precision import lightning_precision
from anymic._internal.process_state import default_torch
from anymic._internal.torch_threads import spread
from anymic.bundle import Bundle, Ensemble
from anymic.errors import BundleError
from anymic.features import Features, Frontend, Gains, SharedFrontends
from anymic.inference import answers
from anymic.models import NETWORKS
from anymic.models.batched import Batched
from anymic.models.fusion import can_fuse

# If the log-mel values of one front-end are below this, those of the others cannot overflow.
LOUD = 40.0

Precision = Literal["auto", "float32", "bfloat16"]
Module = TypeVar("Module", bound=nn.Module)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Group:
    """The members of one architecture, by number, and their combined networks."""

    members: tuple[int, ...]
    networks: Batched
    fused: bool


class Engine:
    """Computes features and probabilities of samples, as `Predictor` does for files.

    Members of an ensemble with equal front-ends share the work (`SharedFrontends`), and members of
    one architecture run as one call (`anymic.models.batched`).

    Parameters
    ----------
    bundle, precision, accelerator
        As for `Predictor`.
    classifies : bool
        Whether it computes probabilities; otherwise the networks are not prepared.

    Attributes
    ----------
    dtype : torch.dtype
        Of the networks' convolutions; features are float32.
    members : tuple of Bundle
        The models of an ensemble, or the single model.
    frontends : tuple of Frontend
        Those that differ in settings or device gains.
    spectra : tuple of (MeanSpectrum or None)
        For each front-end, the mean spectrum of its first member.

    Examples
    --------
    >>> import torch
    >>> from anymic.bundle import load
    >>> engine = Engine(load("run"), precision="float32")  # doctest: +SKIP
    >>> engine.classify(engine.features(torch.zeros(1, 441000)))  # doctest: +SKIP
    """

    @default_torch()
    def __init__(
        self,
        bundle: Bundle | Ensemble,
        *,
        precision: Precision = "auto",
        accelerator: str = "auto",
        classifies: bool = True,
    ) -> None:
        machine.keep_memory()
        self.place = _place(accelerator)
        kind = lightning_precision(precision, self.place.type, "prediction")
        self.dtype = torch.bfloat16 if kind == "bf16-mixed" else torch.float32
        self.labels, self.devices = bundle.labels, bundle.devices
        self.members = bundle.members
        for member in self.members:
            _check_size(member)
        keys = [_key(member.frontend) for member in self.members]
        distinct: dict[object, Frontend] = {}
        for key, member in zip(keys, self.members, strict=True):
            distinct.setdefault(key, at(self.place, member.frontend))
        self.frontends: tuple[Frontend, ...] = tuple(distinct.values())
        self.frontend_of = [list(distinct).index(key) for key in keys]
        firsts = [self.frontend_of.index(number) for number in range(len(self.frontends))]
        self.spectra = tuple(self.members[one].spectrum for one in firsts)
        self._shared = SharedFrontends(self.frontends)
        self._gains: dict[str, Gains] = {}
        self.targets = bundle.targets
        self.voting = bundle.voting if isinstance(bundle, Ensemble) else "soft"
        self.calibrators = bundle.calibrators if isinstance(bundle, Ensemble) else ()
        self._groups = self._by_architecture() if classifies else []

    def profile_gains(self, device: str | None) -> Gains:
        """Return the gains of a device for each front-end; None if some member has none."""
        if device is None or device not in self.devices:
            return (None,) * len(self.frontends)
        if device not in self._gains:
            self._gains[device] = tuple(
                frontend.gains[1 + frontend.device_names.index(device)]
                if device in frontend.device_names
                else None
                for frontend in self.frontends
            )
        return self._gains[device]

    @default_torch()
    @torch.inference_mode()
    def features(self, samples: torch.Tensor, gains: Sequence[Gains] | None = None) -> Features:
        """Return log-mel features (batch, band, frame) for each front-end.

        They are of samples (batch, sample), float32, with the gains of each clip.
        """
        return self._shared.log_mel(samples.to(self.place), gains)

    @torch.inference_mode()
    def finite(self, features: Features) -> list[bool]:
        """Return for each clip whether its features are finite.

        Probabilities do not show it: ReLU turns NaN into 0 in some of oneDNN's kernels.
        """
        if bool((features[0].amax(dim=(1, 2)) < LOUD).all()):
            return [True] * len(features[0])
        distinct = {id(one): one for one in features}.values()
        total = torch.stack([one.sum(dim=(1, 2)) for one in distinct]).sum(dim=0)
        found: list[bool] = total.isfinite().tolist()
        return found

    def autocast(self, *, fused: bool) -> torch.autocast:
        """Return the context for a network; fused networks choose their precision themselves."""
        enabled = self.dtype == torch.bfloat16 and not fused
        return torch.autocast(self.place.type, torch.bfloat16, enabled=enabled)

    def spread(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, alike: bool = False
    ) -> Iterator[Result]:
        """Compute batches in order, on a processor in several threads (`torch_threads.spread`)."""
        if self.place.type != "cpu":
            return map(function, items)
        return spread(function, items, alike=alike)

    def classify(self, features: Features) -> NDArray[np.float64]:
        """Return the probabilities (batch, label) of windows, after the vote of the members.

        The argument is the result of `features`. The mean over windows and the calibrator of the
        bundle are applied by `Predictor`.
        """
        return answers.vote(self.member_probabilities(features), self.voting, self.calibrators)

    @torch.inference_mode()
    def member_probabilities(self, features: Features) -> NDArray[np.float64]:
        """Return each member's own probabilities (member, batch, label), before calibration."""
        features = tuple(one.to(self.place) for one in features)
        found = np.empty((len(self.members), len(features[0]), len(self.labels)))
        for group in self._groups:
            with self.autocast(fused=group.fused):
                logits = group.networks([features[self.frontend_of[one]] for one in group.members])
            temperatures = [self.members[one].temperature for one in group.members]
            found[list(group.members)] = answers.probabilities(logits, temperatures, self.targets)
        return found

    def classify_stored(
        self, features: Sequence[NDArray[np.floating]], *, batch_size: int
    ) -> NDArray[np.float64]:
        """Return the probabilities (clip, label) of clips of one window each.

        The log-mel features (clip, band, frame) for each front-end may be memory-mapped.
        """
        batches = (
            [each[first : first + batch_size] for each in features]
            for first in range(0, len(features[0]), batch_size)
        )

        def classify(batch: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
            return self.classify(tuple(torch.from_numpy(each.astype(np.float32)) for each in batch))

        parts = list(self.spread(classify, batches))
        return np.concatenate(parts) if parts else np.empty((0, len(self.labels)))

    def _by_architecture(self) -> list[_Group]:
        groups: dict[str, list[int]] = {}
        for number, member in enumerate(self.members):
            arguments = json.dumps(member.network_arguments, sort_keys=True)
            groups.setdefault(f"{member.network_name} {arguments}", []).append(number)
        found = []
        for numbers in groups.values():
            networks = [at(self.place, self.members[one].network) for one in numbers]
            frontends = [at(self.place, self.members[one].frontend) for one in numbers]
            together = Batched(
                networks,
                [
                    None if one.config.relaxed_normalization is not None else (one.mean, one.scale)
                    for one in frontends
                ],
                dtype=self.dtype,
                stacked=self.place.type != "cpu" and len(numbers) > 1,
                maps=[frontend.maps for frontend in frontends],
            )
            fused = all(map(can_fuse, networks))
            found.append(_Group(tuple(numbers), together, fused))
        return found


def at(place: torch.device, module: Module) -> Module:
    """Return a module on a torch device; the bundle's own module is not moved."""
    return module if place.type == "cpu" else copy.deepcopy(module).to(place)


def _key(frontend: Frontend) -> object:
    """Return a key that is equal for front-ends with the same log-mel features."""
    gains = frontend.gains.cpu().numpy().tobytes()
    filters = frontend.filters.cpu().numpy().tobytes()
    return frontend.config, frontend.device_names, gains, filters


def _check_size(bundle: Bundle) -> None:
    contract, name = bundle.contract, bundle.network_name
    channels, *size = bundle.frontend.config.input_shape(contract.clip_samples)
    wanted = getattr(bundle.network, "channels", channels)
    if wanted != channels:
        raise BundleError(
            f"audio of one microphone gives features of {channels} channels",
            expected=f"{wanted} channels, as of {wanted / channels:g} microphones, for {name}",
            fix="compute the features of all microphones, and pass them to `bundle.network`",
        )
    patch = NETWORKS.get(name).of(bundle.network).patch if name in NETWORKS else None
    smallest = getattr(bundle.network, "smallest_input", 1)
    expected = fix = ""
    if patch is not None and tuple(size) != patch:
        expected = f"exactly {patch[1]} x {patch[0]} for {name}"
        fix = "use the network's own front-end, and clips of one patch"
    elif min(size) < smallest:
        expected = f"at least {smallest} of each for {name}"
        fix = "train with longer clips, a shorter hop, or more bands"
    if expected:
        problem = f"the clips have {size[1]} frames x {size[0]} bands"
        raise BundleError(problem, expected=expected, fix=fix)


def _place(accelerator: str) -> torch.device:
    if accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(accelerator)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise BundleError(
            f"this machine has no accelerator {accelerator!r}",
            expected="auto, cpu or cuda",
            fix="use auto",
        ) from error
    return place
