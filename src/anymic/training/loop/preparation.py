"""What turns stored features into the input of a network."""

from __future__ import annotations

from torch import Tensor, nn

from anymic.features import Frontend
from anymic.models.tagger import Standardization


class EmbeddingMaps(nn.Module):
    """Lay sequences of embeddings out as a head takes them, standardized.

    Parameters
    ----------
    standardization : Standardization
        The head's own; it is fitted beforehand.
    """

    def __init__(self, standardization: Standardization) -> None:
        super().__init__()
        self.standardization = standardization

    def maps(self, sequences: Tensor) -> Tensor:
        """Return (batch, 1, feature, segment) of sequences (batch, feature, segment)."""
        standardized: Tensor = self.standardization(sequences.transpose(1, 2))
        return standardized.transpose(1, 2).unsqueeze(1)


Preparation = Frontend | EmbeddingMaps
