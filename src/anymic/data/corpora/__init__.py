"""Corpora: one file each, a function that returns a Manifest with its registration."""

from anymic.data.corpora.registry import CORPORA, Corpus, download, load, register_corpus

__all__ = ["CORPORA", "Corpus", "download", "load", "register_corpus"]
