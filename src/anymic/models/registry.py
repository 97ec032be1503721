"""Networks by name, and the rule that a network must obey to be trained, saved and used."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from anymic._internal.registry import Registry
from anymic.errors import ConfigError
from anymic.models.network import Network, Segment

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
        such descriptions. The network then has an attribute `embedding_size`.
    head : bool
        Whether it classifies sequences (batch, segment, feature) of embeddings, not features. It
        takes `inputs`, the number of features of a segment, and `hidden`.
    patch : (int, int) or None
        Bands and frames of its input, where these are fixed; a longer clip is then cut into
        patches, one behind the other. None where the input may have any size from the network's
        `smallest_input` on.
    without_labels : bool
        Whether `classes=0` builds a network that ends at the embedding. Its layers behind the
        embedding are then in the attribute `classifier`.
    """

    name: str
    build: Callable[..., nn.Module]
    embeds: bool = False
    head: bool = False
    patch: tuple[int, int] | None = None
    without_labels: bool = False


NETWORKS: Registry[NetworkSpec] = Registry("network", package="anymic.models")


def register_network(
    name: str,
    *,
    embeds: bool | None = None,
    head: bool = False,
    patch: tuple[int, int] | None = None,
    without_labels: bool = False,
) -> Callable[[Builder], Builder]:
    """Return a decorator that makes a network known by name.

    Parameters
    ----------
    name : str
        For `TrainingConfig(network=...)`, and for the bundles that the network is saved in.
    embeds : bool, optional
        By default, whether the decorated class has a method `embed`.
    head, patch, without_labels
        See `NetworkSpec`.

    Returns
    -------
    callable
        Takes a class or function and returns it unchanged. Called with `classes=`, it makes an
        nn.Module whose forward takes features (batch, channel, band, frame) and returns logits
        (batch, label). The module may have `embed`, to (batch, feature), and where it does, an
        attribute `embedding_size`, the number of these features. A subclass of
        `anymic.models.Network` states these and its segments itself.

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
        if not _takes_classes(build):
            raise ConfigError(
                f"network {name!r} does not take `classes`",
                expected="a class or function that takes the number of labels as `classes`",
                fix="add the keyword argument `classes`",
            )
        can_embed = hasattr(build, "embed") and not head if embeds is None else embeds
        spec = NetworkSpec(name, build, can_embed, head, patch, without_labels)
        NETWORKS.add(name, spec, made_by=build)
        return build

    return decorate


def names() -> list[str]:
    """Return the names of all registered networks, sorted."""
    return sorted(NETWORKS.names())


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
    return as_network(spec.build(classes=classes, **arguments), **_channels(arguments))


def as_network(module: nn.Module, *, channels: int = 1) -> Network:
    """Return a module as a `Network`: itself if it is one, else wrapped.

    Raises
    ------
    ConfigError
        If it is no nn.Module.
    """
    if isinstance(module, Network):
        return module
    if not isinstance(module, nn.Module):
        raise ConfigError(f"the network is a {type(module).__name__}", expected=_RULE)
    return WrappedModule(module, channels=channels)


class WrappedModule(Network):
    """A user's nn.Module with what the package asks of a `Network`.

    Parameters
    ----------
    module : nn.Module
    channels : int
        Of the features.

    Attributes
    ----------
    module : nn.Module
    embedding_size : int or None
        That of the module, where it has one.
    """

    smallest_input = 1

    def __init__(self, module: nn.Module, *, channels: int = 1) -> None:
        super().__init__()
        self.module, self.channels = module, channels
        self.embedding_size = getattr(module, "embedding_size", None)

    def embed(self, features: Tensor) -> Tensor:
        """Return what the module's own `embed` returns: (batch, feature).

        Raises
        ------
        ConfigError
            If the module has no `embed`.
        """
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
    """Refuse a network that breaks the rule, by one pass of two clips of zeros.

    Parameters
    ----------
    network : nn.Module
        Left in the mode it was in.
    classes : int
        Number of labels.
    bands, frames, channels : int
        Of the features that it will get.

    Raises
    ------
    ConfigError
        If the pass fails, the result is not (batch, label), the network has no parameters, or its
        state holds something that is not a tensor.
    """
    name = type(getattr(network, "module", network)).__name__
    features = torch.zeros(2, channels, bands, frames)
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            logits = network.eval()(features)
    except ConfigError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"network {name} fails on features {tuple(features.shape)} ({reason})",
            expected=_RULE,
            fix="correct its forward",
        ) from error
    finally:
        for module, mode in modes.items():
            module.training = mode
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


def _takes_classes(build: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(build).parameters
    except (TypeError, ValueError):
        return True  # written in C: it will be seen when it is built
    named = parameters.get("classes")
    if named is None:
        return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    return named.kind is not inspect.Parameter.POSITIONAL_ONLY


def _channels(arguments: dict[str, Any]) -> dict[str, int]:
    return {"channels": arguments["channels"]} if "channels" in arguments else {}
