"""VGGish: a convolutional network with an embedding of 128 numbers for 0.96 s (Hershey 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from anymic.errors import ConfigError
from anymic.models.network import PatchNetwork, Segment, initialize, numbered, scaled
from anymic.models.registry import register_network

BANDS, FRAMES = 64, 96  # of a patch: 0.96 s at a hop of 10 ms
EMBEDDING = 128
POOL, LAST = 0, 512
STACK = (64, POOL, 128, POOL, 256, 256, POOL, 512, LAST, POOL)  # channels of each convolution
POOLINGS = STACK.count(POOL)
DENSE = 4096


@register_network("vggish", embeds=True, patch=(BANDS, FRAMES), without_labels=True)
class VGGish(PatchNetwork):
    """Convolutions, two layers of 4096, an embedding of 128, and a head where there are labels.

    3x3 convolutions with zeros beyond the edges, 2x2 pooling, ReLU (S. Hershey et al., "CNN
    architectures for large-scale audio classification", ICASSP 2017; the table in Xu 2018). The
    weights of `features` and `embeddings` have the names, shapes and order of the public PyTorch
    state dict, in which the maps are flattened frame by frame, then band, then channel.

    Parameters
    ----------
    classes : int
        Number of labels; a network for 0 labels ends at the embedding (batch, embedding).
    channels : int
        Of the input.
    width : float
        Factor on the channels of every layer but the embedding: 0.125 gives about 1.2 million
        weights instead of 72 million.
    embedding : int
        Size of the embedding of a patch.
    embedding_relu : bool
        Whether the embedding is rectified: as in the table, in the public PyTorch code, and in the
        TensorFlow code of 2018. Later TensorFlow code leaves it linear, with the same weights.
    head : int
        Width of the layer between embedding and logits, which fine-tuning adds (100 in Xu 2018,
        section 2.2); 0 for none.
    """

    title = "VGGish"
    input_shape = (BANDS, FRAMES)
    smallest_input = min(BANDS, FRAMES)
    classifier: nn.Sequential

    def __init__(
        self,
        *,
        classes: int,
        channels: int = 1,
        width: float = 1.0,
        embedding: int = EMBEDDING,
        embedding_relu: bool = True,
        head: int = 100,
    ) -> None:
        super().__init__()
        if width <= 0 or min(classes, head) < 0 or min(embedding, channels) < 1:
            raise ConfigError(
                f"the VGGish has width {width}, embedding {embedding}, head {head} and "
                f"{classes} labels",
                expected="a positive width and embedding, 0 or more of the others",
            )
        self.channels = channels
        self.embedding_size = embedding
        self.features = nn.Sequential(*_convolutions(channels, width))
        shrunk = 2**POOLINGS
        inputs = scaled(LAST, width) * (BANDS // shrunk) * (FRAMES // shrunk)
        dense = scaled(DENSE, width)
        self.embeddings = nn.Sequential(
            nn.Linear(inputs, dense),
            nn.ReLU(),
            nn.Linear(dense, dense),
            nn.ReLU(),
            nn.Linear(dense, embedding),
            *([nn.ReLU()] if embedding_relu else []),
        )
        hidden = [nn.Linear(embedding, head), nn.ReLU()] if head and classes else []
        last = [nn.Linear(head or embedding, classes)] if classes else []
        self.classifier = nn.Sequential(*hidden, *last)
        initialize(self, nn.init.kaiming_normal_)  # He 2015, for layers with ReLU

    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding of patches: (batch, 1, 64, 96) to (batch, embedding).

        Raises
        ------
        ConfigError
            If the features are not patches of 64 bands and 96 frames.
        """
        self.require_size(features)
        # The public weights were trained on (frame, band).
        maps = self.features(features.transpose(2, 3))
        embedding: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return embedding

    def segments(self) -> tuple[Segment, ...]:
        """Return the convolutions, the dense layers, the embedding, and the head if it has one."""
        convolutions = [layer for layer in self.features if isinstance(layer, nn.Conv2d)]
        dense = [layer for layer in self.embeddings if isinstance(layer, nn.Linear)]
        found = numbered("convolution", convolutions) + numbered("dense", dense[:-1])
        found.append(Segment("embedding", (dense[-1],)))
        return (*found, *([Segment("head", (self.classifier,))] if len(self.classifier) else []))


def _convolutions(inputs: int, width: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for channels in STACK:
        if channels == POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            outputs = scaled(channels, width)
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
    return layers
