"""Heads on embeddings that are brought along: an .npz of vectors in, a head and its answers out."""

from anymic.training.vectors.head import VectorHead, fit_vectors, is_head, load_head
from anymic.training.vectors.reading import Vectors, read_vectors

__all__ = ["VectorHead", "Vectors", "fit_vectors", "is_head", "load_head", "read_vectors"]
