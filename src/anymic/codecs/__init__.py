"""Codecs: what MP3, AAC, Opus, SBC and others do to a clip, in memory and aligned."""

from anymic.codecs.codec import Codec, Coded
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.encode_cache import KeptFiles
from anymic.codecs.table import BANK, Entry, Offer

__all__ = ["BANK", "Codec", "CodecSet", "Coded", "Entry", "KeptFiles", "Offer"]
