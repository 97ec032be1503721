"""Heads on sequences of embeddings: attention by hand, laws of order, and the tagger."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from anymic import models
from anymic.errors import ConfigError
from anymic.models.heads import Attention

pytestmark = pytest.mark.usefixtures("one_thread")
HEADS = ("dense_head", "lstm_head", "attention_head")


def built(name: str, **arguments: Any) -> Any:
    torch.manual_seed(3)
    return models.build(name, classes=5, inputs=7, hidden=11, **arguments).eval()


def test_attention_by_hand() -> None:
    """Two segments of one feature, x = 0 and x = 1; two classes.

    f = sigmoid((0, ln 3) + (2 ln 3, 0) x): 1/2 and 3/4 at x = 0, 9/10 and 3/4 at x = 1.
    v = softmax((0, 0) + (ln 3, 0) x): 1/2, 1/2 at x = 0 and 3/4, 1/4 at x = 1; over the segments
    (2/5, 3/5) for the first class and (2/3, 1/3) for the second.
    """
    attention = Attention(1, 2)
    with torch.no_grad():
        attention.outputs.weight.copy_(torch.tensor([[2 * math.log(3)], [0.0]]))
        attention.outputs.bias.copy_(torch.tensor([0.0, math.log(3)]))
        attention.worth.weight.copy_(torch.tensor([[math.log(3)], [0.0]]))
        attention.worth.bias.zero_()
    segments = torch.tensor([[[0.0], [1.0]]])
    weights = attention.weights(segments)
    torch.testing.assert_close(weights, torch.tensor([[[2 / 5, 2 / 3], [3 / 5, 1 / 3]]]))
    pooled = attention(segments)
    torch.testing.assert_close(pooled, torch.tensor([[2 / 5 / 2 + 3 / 5 * 9 / 10, 3 / 4]]))


def test_weights_sum_to_one_for_extreme_inputs() -> None:
    attention = Attention(7, 5)
    segments = 1e3 * torch.randn(4, 6, 7)
    weights = attention.weights(segments)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4, 5))
    assert attention(segments).isfinite().all()


@pytest.mark.parametrize("name", HEADS)
def test_order_of_segments_matters_to_the_lstm_alone(name: str) -> None:
    head = built(name)
    segments = torch.randn(3, 6, 7)
    turned = segments[:, [5, 2, 0, 1, 4, 3]]
    same = torch.allclose(head(segments), head(turned), atol=1e-6)
    assert same == (name != "lstm_head")


@pytest.mark.parametrize("name", HEADS)
def test_a_layout_as_features_gives_the_same_logits(name: str) -> None:
    head = built(name)
    segments = torch.randn(3, 6, 7)
    torch.testing.assert_close(head(segments), head(segments.transpose(1, 2)[:, None]))
    torch.testing.assert_close(head(segments)[1:2], head(segments[1:2]))


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_the_last_layer_of_the_embedding(name: str) -> None:
    head = built(name)
    segments = torch.randn(2, 4, 7)
    torch.testing.assert_close(head(segments), head.classifier(head.embed(segments)))


def test_one_segment_is_pooled_into_itself() -> None:
    attention = Attention(7, 5)
    segment = torch.randn(2, 1, 7)
    torch.testing.assert_close(attention(segment), attention.outputs(segment[:, 0]))


def test_on_one_segment_the_dense_head_is_an_attention_head() -> None:
    dense, attention = built("dense_head"), built("attention_head")
    weights = dense.state_dict()
    for name, value in attention.state_dict().items():
        where = name.replace("attentions", "classifiers").replace("outputs.", "")
        if ".worth." not in name:
            value.copy_(weights[where])
    segment = torch.randn(3, 1, 7)
    torch.testing.assert_close(attention(segment), dense(segment))


@pytest.mark.parametrize("name", ["dense_head", "attention_head"])
def test_with_softmax_the_outputs_of_each_level_sum_to_one(name: str) -> None:
    """Xu 2018, section 4.1; of one segment also behind an attention."""
    head = built(name, nonlinearity="softmax")
    shares = head.outputs(torch.randn(3, 1, 7)).reshape(3, 3, 5)  # (clip, level, class)
    torch.testing.assert_close(shares.sum(dim=2), torch.ones(3, 3))
    weights = head.state_dict()
    other = built(name)
    other.load_state_dict(weights)  # the setting has no weights of its own
    assert not torch.allclose(other(torch.randn(3, 1, 7)), head(torch.randn(3, 1, 7)))


def test_segments_of_nan_are_padding_to_the_lstm() -> None:
    head = built("lstm_head")
    segments = torch.randn(4, 6, 7)
    lengths = (6, 1, 4, 2)
    padded = segments.clone()
    for place, length in enumerate(lengths):
        padded[place, length:] = torch.nan
    each = [head(segments[place : place + 1, :length]) for place, length in enumerate(lengths)]
    torch.testing.assert_close(head(padded), torch.cat(each))
    more = torch.cat([padded, torch.full((4, 3, 7), torch.nan)], dim=1)
    torch.testing.assert_close(head(more), head(padded))
    head(padded).sum().backward()
    assert all(value.grad.isfinite().all() for value in head.parameters())


def test_sizes_are_those_of_the_paper() -> None:
    dense: Any = models.build("dense_head", classes=41)
    lstm: Any = models.build("lstm_head", classes=41)
    assert [layer.linear.out_features for layer in dense.layers] == [600, 600, 600]
    assert {layer.dropout.p for layer in dense.layers} == {0.4}
    assert dense.classifier.in_features == 3 * 41
    assert lstm.lstm.hidden_size == 600


@pytest.mark.parametrize("name", HEADS)
def test_a_head_learns(name: str) -> None:
    """Which of three features is highest in one segment of four: no mean of raw inputs knows."""
    torch.manual_seed(0)
    segments = 0.1 * torch.randn(120, 4, 3)
    truth = torch.arange(120) % 3
    segments[torch.arange(120), torch.randint(4, (120,)), truth] += 2
    head = models.build(name, classes=3, inputs=3, hidden=16, dropout=0.0)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(segments), truth).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert (head.eval()(segments).argmax(1) == truth).float().mean() > 0.9


def test_a_tagger_embeds_each_segment_by_itself() -> None:
    torch.manual_seed(2)
    tagger: Any = models.build(
        "tagger",
        classes=4,
        embedder={"name": "vggish", "width": 1 / 64, "embedding": 6},
        head={"name": "attention_head", "hidden": 8},
        segment_frames=96,
    ).eval()
    tagger.standardization.mean.fill_(0.5)
    tagger.standardization.scale.fill_(2.0)
    features = torch.randn(2, 1, 64, 3 * 96 + 50)  # the rest is not used
    each = [tagger.embedder.embed(features[..., n * 96 : (n + 1) * 96]) for n in range(3)]
    expected = tagger.head((torch.stack(each, dim=1) - 0.5) / 2)
    torch.testing.assert_close(tagger(features), expected)


def test_any_network_with_pooled_features_feeds_a_head() -> None:
    tagger = models.build(
        "tagger",
        classes=4,
        embedder={"name": "basic1"},
        head={"name": "lstm_head", "hidden": 8},
        segment_frames=40,
    ).eval()
    assert tagger(torch.randn(2, 1, 40, 90)).shape == (2, 4)


@pytest.mark.parametrize("name", [*HEADS, "vggish", "tagger"])
def test_segments_are_the_whole_network_and_share_nothing(name: str) -> None:
    arguments: dict[str, Any] = {"width": 1 / 32}
    if name == "tagger":
        arguments = {"embedder": {"name": "basic1"}, "head": {"name": HEADS[0]}}
        arguments["segment_frames"] = 40
    network = models.build(name, classes=4, **arguments)
    values = [
        id(value)
        for segment in network.segments()
        for module in segment.modules
        for value in (*module.parameters(), *module.buffers())
    ]
    assert len(values) == len(set(values))
    assert set(values) == {id(value) for value in (*network.parameters(), *network.buffers())}


def test_rejections() -> None:
    with pytest.raises(ConfigError, match=r"Expected \(batch, segment, 7\)"):
        built("dense_head")(torch.zeros(2, 6, 8))
    with pytest.raises(ConfigError, match="Expected sigmoid or softmax"):
        built("attention_head", nonlinearity="relu")
    with pytest.raises(ConfigError, match=r"dropout 1\.0"):
        built("attention_head", dropout=1.0)
    with pytest.raises(ConfigError, match="one of"):
        models.build("tagger", classes=2, embedder={"name": "vgg"}, head={}, segment_frames=9)
    tagger = models.build(
        "tagger",
        classes=2,
        embedder={"name": "basic1"},
        head={"name": "dense_head", "hidden": 4},
        segment_frames=40,
    )
    with pytest.raises(ConfigError, match="at least one segment of 40"):
        tagger(torch.zeros(1, 1, 40, 39))
