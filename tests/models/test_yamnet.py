"""YAMNet: its parts, its shapes, and its fused form."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from anymic import models
from anymic.errors import ConfigError
from anymic.models import fused_yamnet
from anymic.models.fused_yamnet import PIECE, FusedYAMNet
from anymic.models.fusion import fuse
from anymic.models.network import choose_segments
from anymic.models.yamnet import Normalization, YAMNet

pytestmark = pytest.mark.usefixtures("one_thread")


def network(*, classes: int = 5, **options: Any) -> YAMNet:
    """Return a narrow YAMNet whose normalizations have learned something."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        made = models.build("yamnet", classes=classes, width=0.125, **options).eval()
        for layer in made.modules():
            if isinstance(layer, Normalization):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0.2, 0.3)
                layer.running_var.uniform_(0.3, 2.0)
                torch.nn.init.normal_(layer.bias, 0.3, 0.4)
    assert isinstance(made, YAMNet)
    return made


def patches(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 64, 96, generator=torch.Generator().manual_seed(1))


def test_its_size_is_the_published_one() -> None:
    whole = models.build("yamnet", classes=521)
    state = whole.state_dict().items()
    assert sum(v.numel() for name, v in state if not name.endswith("tracked")) == 3_751_369
    assert [name for name, _ in whole.segments()] == [
        *(f"layer {number}" for number in range(1, 15)),
        "classifier",
    ]
    assert choose_segments(whole, "13-15") == (12, 13, 14)


def test_it_ends_at_the_embedding_without_labels() -> None:
    alone, whole = network(classes=0), network()
    alone.layers.load_state_dict(whole.layers.state_dict())
    features = patches(2)
    with torch.inference_mode():
        assert alone(features).shape == (2, alone.embedding_size)
        torch.testing.assert_close(alone(features), whole.embed(features))
    assert len(alone.segments()) == 14


@pytest.fixture(params=["onnxruntime", "oneDNN", "neither"])
def runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Leave the packages out that a fused network prefers to this one."""
    if request.param == "onnxruntime":
        for package in ("onnx", "onnxruntime"):
            pytest.importorskip(package)
    else:
        monkeypatch.setattr(fused_yamnet, "open_chain", lambda *_, **__: None)
    if request.param == "neither":
        monkeypatch.setattr(fused_yamnet, "_ONEDNN", None)
    return str(request.param)


@pytest.mark.parametrize("relu6", [False, True])
@pytest.mark.parametrize("count", [1, PIECE + 3])
def test_fused_it_computes_the_same(runner: str, relu6: bool, count: int) -> None:
    plain = network(relu6=relu6)
    features = 3 * patches(count)
    with torch.inference_mode():
        wanted, logits = plain.embed(features), plain(features)
        fused = fuse(plain, dtype=torch.bfloat16)
        assert isinstance(fused, FusedYAMNet)
        with torch.autocast("cpu", torch.bfloat16):  # of other networks
            found = fused.embed(features)
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.max()))
            torch.testing.assert_close(fused(features), logits, rtol=1e-4, atol=1e-4)
    if relu6:
        assert wanted.max() <= 6


def test_fused_it_takes_views_and_no_patches(runner: str) -> None:
    fused = FusedYAMNet(network())
    with torch.inference_mode():
        apart = torch.randn(2, 1, 64, 240).unfold(-1, 96, 48).permute(0, 3, 1, 2, 4)[0]
        torch.testing.assert_close(fused.embed(apart), fused.embed(apart.contiguous()))
        assert fused.embed(patches(0)).shape == (0, fused.embedding_size)


def test_fused_threads_share_the_patches_and_the_network() -> None:
    fused, features = FusedYAMNet(network()), patches(5)
    with torch.inference_mode():
        wanted = fused.embed(features)
    torch.set_num_threads(2)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(fused.embed, [features] * 6):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_fused_within_a_tagger_it_computes_the_same() -> None:
    options = {"embedder": {"name": "yamnet", "width": 0.125}, "head": {"name": "dense_head"}}
    tagger: Any = models.build(
        "tagger", classes=3, segment_frames=96, segment_hop_frames=48, **options
    ).eval()
    tagger.standardization.mean.fill_(0.1)
    features = torch.randn(2, 1, 64, 250, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        fused: Any = fuse(tagger)
        assert isinstance(fused.embedder, FusedYAMNet)
        assert fused.sequence(features).shape[1] == 4
        torch.testing.assert_close(fused(features), tagger(features), rtol=1e-4, atol=1e-5)


def test_other_features_are_refused() -> None:
    for shape in ((1, 1, 64, 95), (1, 1, 32, 96), (1, 2, 64, 96)):
        for one in (network(), FusedYAMNet(network())):
            with pytest.raises(ConfigError):
                one.embed(torch.zeros(shape))
    with pytest.raises(ConfigError, match="The YAMNet has width 0"):
        models.build("yamnet", classes=2, width=0.0)
