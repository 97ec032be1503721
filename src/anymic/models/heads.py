"""Classifiers of a sequence of embeddings: linear, dense layers, an LSTM, attention in levels.

They take sequences (batch, segment, feature), or the same laid out as features are, (batch, 1,
feature, segment), as every network here does. Source: Xu 2018, sections 3.4 and 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from anymic.errors import ConfigError
from anymic.models.network import Network, Segment, scaled
from anymic.models.registry import register_network

HIDDEN = 600
LEVELS = 3
DROPOUT = 0.4
Nonlinearity = Literal["sigmoid", "softmax"]  # of the classifier of each level


class DenseLayer(nn.Module):
    """A dense layer on each segment, batch normalization, ReLU and dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.normalization = nn.BatchNorm1d(outputs, eps=1e-3)  # as in Keras
        self.dropout = nn.Dropout(dropout)

    def forward(self, segments: Tensor) -> Tensor:
        """(batch, segment, input) to (batch, segment, output)."""
        values = self.linear(segments)
        normalized = self.normalization(values.flatten(0, 1)).view_as(values)
        result: Tensor = self.dropout(normalized.relu())
        return result


class Classification(nn.Linear):
    """A linear layer, and a sigmoid of each class or a softmax over the classes."""

    def __init__(self, inputs: int, classes: int, nonlinearity: Nonlinearity = "sigmoid") -> None:
        super().__init__(inputs, classes)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor) -> Tensor:
        """Return the outputs, from 0 to 1."""
        values = super().forward(input)
        return values.softmax(dim=-1) if self.nonlinearity == "softmax" else values.sigmoid()


class Attention(nn.Module):
    """For each class the mean of the segments' outputs, weighted by its attention to each.

    p_k = sum over n of v_k(x_n) f_k(x_n) / sum over n of v_k(x_n), with f = g(A x + a) and
    v = softmax over the classes of (B x + b): Q. Kong et al., "Audio Set classification with
    attention model", ICASSP 2018, equations 6 to 8; C. Yu et al., "Multi-level attention model for
    weakly supervised audio classification", 2018. There g is the sigmoid of each class; in
    Xu 2018, section 4.1, it is the softmax over the classes.
    """

    def __init__(self, inputs: int, classes: int, nonlinearity: Nonlinearity = "sigmoid") -> None:
        super().__init__()
        self.outputs = Classification(inputs, classes, nonlinearity)
        self.worth = nn.Linear(inputs, classes)

    def weights(self, segments: Tensor) -> Tensor:
        """Return v_k(x_n), which sum to 1 over the segments: (batch, segment, class)."""
        attention = self.worth(segments).softmax(dim=-1)
        # A softmax is never 0, but float32 may be; then all segments have the same weight.
        attention = attention.clamp_min(1e-7)
        weights: Tensor = attention / attention.sum(dim=1, keepdim=True)
        return weights

    def forward(self, segments: Tensor) -> Tensor:
        """Return p_k: (batch, segment, input) to (batch, class), each from 0 to 1."""
        pooled: Tensor = (self.weights(segments) * self.outputs(segments)).sum(dim=1)
        return pooled


class MultiLevelHead(Network):
    """Dense layers, an output layer on each, and a last layer on all outputs.

    Parameters
    ----------
    classes : int
    inputs : int
        Number of features of a segment: 128 for VGGish.
    width : float
        Factor on `hidden`.
    hidden, levels : int
        Width and number of the dense layers.
    dropout : float
        After each dense layer.
    nonlinearity : {"sigmoid", "softmax"}
        Of the classifier of each level: the sigmoid of each class, as for several labels a clip
        (Kong 2018), or the softmax over the classes, of which a clip has one (Xu 2018).
    """

    channels, smallest_input = 1, 1
    outputs_name: str
    output: type[Classification | Attention]

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 128,
        width: float = 1.0,
        hidden: int = HIDDEN,
        levels: int = LEVELS,
        dropout: float = DROPOUT,
        nonlinearity: Nonlinearity = "sigmoid",
    ) -> None:
        super().__init__()
        self.inputs, hidden = inputs, scaled(hidden, width)
        if min(inputs, hidden, levels) < 1 or not 0 <= dropout < 1:
            raise ConfigError(
                f"the head has {levels} layers of {hidden} on {inputs} inputs, with dropout "
                f"{dropout}",
                expected="at least one of each, and a dropout from 0 to below 1",
            )
        if nonlinearity not in get_args(Nonlinearity):
            raise ConfigError(
                f"the nonlinearity of the levels is {nonlinearity!r}",
                expected=" or ".join(get_args(Nonlinearity)),
            )
        sizes = pairwise([inputs, *[hidden] * levels])
        self.layers = nn.ModuleList(DenseLayer(*size, dropout) for size in sizes)
        outputs = nn.ModuleList(self.output(hidden, classes, nonlinearity) for _ in range(levels))
        self.add_module(self.outputs_name, outputs)
        self.classifier = nn.Linear(levels * classes, classes)

    def levels(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """Return each dense layer with its output layer."""
        outputs = cast("nn.ModuleList", self.get_submodule(self.outputs_name))
        return zip(self.layers, outputs, strict=True)

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs of all levels, side by side: (..., levels * classes)."""
        values = segments_of(features, self.inputs)
        found = []
        for layer, output in self.levels():
            values = layer(values)
            found.append(output(values))
        return torch.cat(found, dim=-1)

    def embed(self, features: Tensor) -> Tensor:
        """Return the input of the last layer: (batch, levels * classes)."""
        return self.outputs(features)

    def segments(self) -> tuple[Segment, ...]:
        """Return the levels, and the last layer."""
        levels = enumerate(self.levels(), start=1)
        found = [Segment(f"level {number}", parts) for number, parts in levels]
        return (*found, Segment("last layer", (self.classifier,)))


@register_network("linear_head", head=True)
class LinearHead(Network):
    """The mean and the maximum over the segments, and one linear layer.

    Logistic regression on them has this form (`anymic.training.logistic.fit_logistic`).

    Parameters
    ----------
    classes : int
    inputs : int
        Number of features of a segment.
    """

    channels, smallest_input = 1, 1

    def __init__(self, *, classes: int, inputs: int = 128) -> None:
        super().__init__()
        self.inputs = inputs
        self.classifier = nn.Linear(2 * inputs, classes)

    def embed(self, features: Tensor) -> Tensor:
        """Return the mean and the maximum over the segments, side by side: (batch, 2 * input)."""
        segments = segments_of(features, self.inputs)
        return torch.cat([segments.mean(dim=1), segments.amax(dim=1)], dim=1)

    def segments(self) -> tuple[Segment, ...]:
        """Return the only layer."""
        return (Segment("last layer", (self.classifier,)),)


@register_network("dense_head", head=True)
class DenseHead(MultiLevelHead):
    """Three dense layers, a classifier on each, and a last layer on all three classifiers.

    Each segment is classified by itself; the logits of a clip are the mean over its segments,
    which is the geometric mean of their probabilities (before they are made to sum to 1). For one
    segment, it equals an `AttentionHead`. Parameters as for `MultiLevelHead`.
    """

    outputs_name, output = "classifiers", Classification

    def embed(self, features: Tensor) -> Tensor:
        """Return the mean over segments of the classifiers' outputs: (batch, levels * classes)."""
        return self.outputs(features).mean(dim=1)


@register_network("attention_head", head=True)
class AttentionHead(MultiLevelHead):
    """Three dense layers, an attention on each, and a last layer on all three.

    Parameters as for `MultiLevelHead`.
    """

    outputs_name, output = "attentions", Attention


@register_network("lstm_head", head=True)
class LSTMHead(Network):
    """An LSTM over the segments, and one layer on its last state.

    Sequences of a batch may differ in length: segments of NaN at the end of a shorter one are
    padding, which changes nothing. A sequence has at least one segment.

    Parameters
    ----------
    classes, inputs, width, hidden, dropout
        As for `MultiLevelHead`; dropout is after the LSTM.
    """

    channels, smallest_input = 1, 1

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 128,
        width: float = 1.0,
        hidden: int = HIDDEN,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        self.inputs, hidden = inputs, scaled(hidden, width)
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, classes)

    def embed(self, features: Tensor) -> Tensor:
        """Return the state after the last segment that is no padding: (batch, hidden)."""
        segments = segments_of(features, self.inputs)
        lengths = segments[..., 0].isnan().logical_not().sum(dim=1)
        # In float32: rounding errors add up over the segments, and not every LSTM of PyTorch
        # supports bfloat16.
        with torch.autocast(segments.device.type, enabled=False):
            values: Tensor | PackedSequence = segments.float().contiguous()
            if bool((lengths < segments.shape[1]).any()):
                values = pack_padded_sequence(
                    segments.float(), lengths.cpu(), batch_first=True, enforce_sorted=False
                )
            _, (state, _) = self.lstm(values)
        last: Tensor = state[-1]
        return last

    def segments(self) -> tuple[Segment, ...]:
        """Return the LSTM and the last layer."""
        return Segment("lstm", (self.lstm,)), Segment("last layer", (self.classifier,))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        logits: Tensor = self.classifier(self.dropout(self.embed(features)))
        return logits


def segments_of(features: Tensor, inputs: int) -> Tensor:
    """Return (batch, segment, feature), also of features laid out (batch, 1, feature, segment).

    Raises ConfigError for another layout, or if a segment does not have `inputs` features.
    """
    fits = features.ndim == 4 and features.shape[1] == 1
    segments = features[:, 0].transpose(1, 2) if fits else features
    if segments.ndim != 3 or segments.shape[2] != inputs:
        raise ConfigError(
            f"the features have shape {tuple(features.shape)}",
            expected=f"(batch, segment, {inputs}) or (batch, 1, {inputs}, segment)",
            fix="build the head with `inputs` equal to the width of the embedding",
        )
    return segments
