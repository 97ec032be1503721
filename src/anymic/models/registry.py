"""Networks by name, and the rule that a network must obey to be trained, saved and used."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from anymic._internal.process_state import default_torch
from anymic._internal.registry import Registry
from anymic.errors import ConfigError
from anymic.models.network import Network, Segment, evaluate_once

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

_RULE = "an nn.Module: features (batch, channel, band, frame) to logits (batch, label)"


@dataclass(frozen=True)
class NetworkSpec:
    """What callers need to know about a network before it is built.

    Attributes
    ----------
    name : str
    build : callable
        Takes `classes` by keyword, the number of labels, and the network's own options.
    embeds : bool
        Whether its `embed` describes a segment of sound, so that a head may classify sequences of
        embeddings. The network then has an attribute `embedding_size`.
    head : bool
        Whether it classifies sequences (batch, segment, feature) of embeddings, not features. It
        takes `inputs`, the number of features of a segment, and perhaps `hidden`.
    patch : (int, int) or None
        Bands and frames of its input, where these are fixed; longer clips are cut into consecutive
        patches. None where any size from the network's `smallest_input` on is accepted.
    patch_hop : int or None
        Frames between the starts of two patches; None: as many as a patch has.
    without_labels : bool
        Whether `classes=0` builds a network that ends at the embedding. The layers after the
        embedding are in the attribute `classifier`.
    """

    name: str
    build: Callable[..., nn.Module]
    embeds: bool = False
    head: bool = False
    patch: tuple[int, int] | None = None
    patch_hop: int | None = None
    without_labels: bool = False

    def of(self, network: nn.Module) -> NetworkSpec:
        """Return the description of one network, whose arguments may determine its patches."""
        patch = getattr(network, "patch", self.patch)
        return replace(self, patch=patch, patch_hop=getattr(network, "patch_hop", self.patch_hop))

    @property
    def patch_distance(self) -> int | None:
        """Frames between the starts of two patches; None without patches."""
        return self.patch_hop or (self.patch and self.patch[1])


NETWORKS: Registry[NetworkSpec] = Registry("network", package="anymic.models")


def register_network(
    name: str,
    *,
    embeds: bool | None = None,
    head: bool = False,
    patch: tuple[int, int] | None = None,
    patch_hop: int | None = None,
    without_labels: bool = False,
) -> Callable[[Builder], Builder]:
    """Return a decorator that registers a network: a class or function.

    Called with `classes=`, it makes an nn.Module whose forward takes features (batch, channel,
    band, frame) and returns logits (batch, label). The module may have `embed`, to (batch,
    feature), and then an attribute `embedding_size`, the number of these features. A subclass of
    `anymic.models.Network` states these and its segments itself.

    Parameters
    ----------
    name : str
        For `TrainingConfig(network=...)`, and for the bundles that the network is saved in.
    embeds : bool, optional
        By default, whether the decorated class has a method `embed`.
    head, patch, patch_hop, without_labels
        See `NetworkSpec`.

    Returns
    -------
    callable
        A decorator of the network: a class or function that takes `classes`. It returns what it is
        given.

    Raises
    ------
    ConfigError
        If it does not take `classes`, or the name is taken by another network.

    Examples
    --------
    >>> import anymic, torch
    >>> @anymic.register_network("one_layer")
    ... class OneLayer(torch.nn.Module):
    ...     def __init__(self, *, classes):
    ...         super().__init__()
    ...         self.convolution = torch.nn.Conv2d(1, 8, 3, padding=1)
    ...         self.classifier = torch.nn.Linear(8, classes)
    ...
    ...     def forward(self, features):
    ...         return self.classifier(self.convolution(features).relu().mean(dim=(2, 3)))
    """

    def decorate(build: Builder) -> Builder:
        try:
            inspect.signature(build).bind_partial(classes=0)
        except ValueError:
            pass  # written in C, without a signature: an error is seen when it is built
        except TypeError:
            raise ConfigError(
                f"network {name!r} does not take `classes`",
                expected="a class or function that takes the number of labels as `classes`",
                fix="add the keyword argument `classes`",
            ) from None
        can_embed = hasattr(build, "embed") and not head if embeds is None else embeds
        spec = NetworkSpec(name, build, can_embed, head, patch, patch_hop, without_labels)
        NETWORKS.add(name, spec, made_by=build)
        return build

    return decorate


@default_torch()
def build(name: str, *, classes: int, **arguments: Any) -> Network:
    """Build the network `name` for `classes` labels, with fresh weights.

    The built-in networks that take log-mel features take `channels`, of their input (1), and
    `width`, a factor on their own channels (1.0); the heads, which take embeddings, `inputs` and
    `width`.

    Raises
    ------
    ConfigError
        If there is no such network, it lacks an option, or it is no nn.Module.
    """
    spec = NETWORKS.get(name)
    try:
        inspect.signature(spec.build).bind(classes=classes, **arguments)
    except TypeError as error:
        raise ConfigError(
            f"network {name!r} cannot be built ({error})",
            expected=f"the options of {name}",
            fix="change the options",
        ) from None
    network = spec.build(classes=classes, **arguments)
    return as_network(network, channels=arguments.get("channels", 1))


def as_network(module: object, *, channels: int = 1) -> Network:
    """Return a module as a `Network`: itself if it is one, else wrapped; refuse anything else."""
    if isinstance(module, Network):
        return module
    if not isinstance(module, nn.Module):
        kind = f"a {type(module).__name__}"
        if isinstance(module, type):
            kind = f"the class {module.__name__}"
        raise ConfigError(
            f"the network is {kind}",
            expected=_RULE,
            fix="pass an instance, such as Net(); settings name a registered network",
        )
    return WrappedModule(module, channels=channels)


class WrappedModule(Network):
    """A user's nn.Module with what the package asks of a `Network`.

    `channels` is the number of channels of the features; `embedding_size` that of the module, None
    where it has none.
    """

    smallest_input = 1

    def __init__(self, module: nn.Module, *, channels: int = 1) -> None:
        super().__init__()
        self.module, self.channels = module, channels
        self.embedding_size = getattr(module, "embedding_size", None)

    def embed(self, features: Tensor) -> Tensor:
        """Return what the module's own `embed` returns; ConfigError if it has none."""
        embed = getattr(self.module, "embed", None)
        if embed is None:
            raise ConfigError(
                f"{type(self.module).__name__} has no method `embed`",
                expected="embed(features) to (batch, feature)",
                fix="add the method, or use another network for embeddings",
            )
        embedding: Tensor = embed(features)
        return embedding

    def segments(self) -> tuple[Segment, ...]:
        """Return the module's children, or the whole module where they are not all of it."""
        children = dict(self.module.named_children())
        own = [*self.module.parameters(recurse=False), *self.module.buffers(recurse=False)]
        if own or not children:
            return (Segment("network", (self.module,)),)
        return tuple(Segment(name, (child,)) for name, child in children.items())

    def forward(self, features: Tensor) -> Tensor:
        """Return logits: (batch, channel, band, frame) to (batch, classes)."""
        logits: Tensor = self.module(features)
        return logits


def check_network(
    network: nn.Module, *, classes: int, bands: int, frames: int, channels: int = 1
) -> None:
    """Check by one pass of two clips of zeros that a network takes features and returns logits.

    Parameters
    ----------
    network : nn.Module
        Its modes stay unchanged.
    classes, bands, frames, channels : int
        Numbers of labels, and of bands, frames and channels of the features.

    Raises
    ------
    ConfigError
        If the pass fails, the result is not (batch, label), the network has no parameters, or its
        state holds something that is not a tensor.
    """
    name = type(getattr(network, "module", network)).__name__
    features = torch.zeros(2, channels, bands, frames)
    try:
        with torch.random.fork_rng(devices=[]):
            logits = evaluate_once(network, features)
    except ConfigError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"network {name} fails on features {tuple(features.shape)} ({reason})",
            expected=_RULE,
            fix="correct its forward",
        ) from error
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, classes):
        raise ConfigError(
            f"network {name} returns {shape} for 2 clips and {classes} labels",
            expected=f"logits (2, {classes})",
            fix="return one logit for each clip and label",
        )
    state = network.state_dict()
    wrong = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong or not list(network.parameters()):
        what = f"state that is not a tensor ({', '.join(wrong[:3])})" if wrong else "no parameters"
        raise ConfigError(
            f"network {name} has {what}",
            expected="layers and nn.Parameters as attributes of the module",
            fix="assign them in __init__",
        )
