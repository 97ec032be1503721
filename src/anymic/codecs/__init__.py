"""Codecs: what MP3, AAC, Opus, SBC and others do to a clip, in memory and aligned."""

from anymic.codecs.bank import BANK, Entry, Offer
from anymic.codecs.codec import Codec, Coded

__all__ = ["BANK", "Codec", "Coded", "Entry", "Offer"]
