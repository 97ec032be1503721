"""VGGish beside a plain transcription of its table."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from anymic import models
from anymic.errors import ConfigError

# The public state dict (torchvggish 0.1, vggish-10086976.pth): name and shape of every weight.
PUBLIC = {
    "features.0": (64, 1, 3, 3),
    "features.3": (128, 64, 3, 3),
    "features.6": (256, 128, 3, 3),
    "features.8": (256, 256, 3, 3),
    "features.11": (512, 256, 3, 3),
    "features.13": (512, 512, 3, 3),
    "embeddings.0": (4096, 12288),
    "embeddings.2": (4096, 4096),
    "embeddings.4": (128, 4096),
}


def transcription(patches: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """The table, line by line: patches (batch, 96 frames, 64 bands) to (batch, 128)."""

    def conv(maps: torch.Tensor, number: int) -> torch.Tensor:
        weight, bias = weights[f"features.{number}.weight"], weights[f"features.{number}.bias"]
        return functional.relu(functional.conv2d(maps, weight, bias, padding=1))

    def pool(maps: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(maps, 2, 2)

    def dense(values: torch.Tensor, number: int) -> torch.Tensor:
        weight, bias = weights[f"embeddings.{number}.weight"], weights[f"embeddings.{number}.bias"]
        return functional.relu(values @ weight.T + bias)

    maps = patches[:, None]
    maps = pool(conv(maps, 0))
    maps = pool(conv(maps, 3))
    maps = pool(conv(conv(maps, 6), 8))
    maps = pool(conv(conv(maps, 11), 13))
    assert maps.shape[2:] == (6, 4)
    # TensorFlow keeps channels last: frame, band, channel.
    values = torch.stack([clip.permute(1, 2, 0).reshape(-1) for clip in maps])
    return dense(dense(dense(values, 0), 2), 4)


def test_full_width_has_the_weights_of_the_public_state_dict() -> None:
    with torch.device("meta"):
        network = models.build("vggish", classes=0)
    found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    wanted = {f"{name}.weight": shape for name, shape in PUBLIC.items()}
    wanted |= {f"{name}.bias": shape[:1] for name, shape in PUBLIC.items()}
    assert found == wanted
    assert sum(value.numel() for value in network.parameters()) == 72_141_184


@pytest.mark.parametrize("width", [1 / 32, 1 / 8])
def test_equals_the_transcription(width: float) -> None:
    torch.manual_seed(1)
    network = models.build("vggish", classes=0, width=width).eval()
    for value in network.parameters():
        nn.init.normal_(value, 0.01, 0.1)
    patches = torch.randn(3, 64, 96)
    with torch.no_grad():
        found = network(patches[:, None])
        expected = transcription(patches.transpose(1, 2), network.state_dict())
    assert found.shape == (3, 128)
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_linear_embedding_rectified_is_the_other() -> None:
    torch.manual_seed(0)
    linear = models.build("vggish", classes=0, width=1 / 64, embedding_relu=False)
    rectified = models.build("vggish", classes=0, width=1 / 64)
    rectified.load_state_dict(linear.state_dict())
    patches = torch.randn(4, 1, 64, 96)
    assert (linear(patches) < 0).any()
    torch.testing.assert_close(linear(patches).relu(), rectified(patches))


def test_the_head_is_a_layer_of_100_and_one_of_the_classes() -> None:
    network = models.build("vggish", classes=41, width=1 / 64)
    shapes = {n: tuple(v.shape) for n, v in network.state_dict().items() if "classifier" in n}
    assert shapes["classifier.0.weight"] == (100, 128)
    assert shapes["classifier.2.weight"] == (41, 100)
    assert network(torch.zeros(2, 1, 64, 96)).shape == (2, 41)


def test_rejections() -> None:
    network = models.build("vggish", classes=3, width=1 / 64)
    with pytest.raises(ConfigError, match=r"64 bands x 101 frames\. Expected VGGish patches"):
        network(torch.zeros(1, 1, 64, 101))
    with pytest.raises(ConfigError, match="width 0"):
        models.build("vggish", classes=3, width=0)
