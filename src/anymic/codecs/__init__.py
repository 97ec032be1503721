"""Codecs: what MP3, AAC, Opus, SBC and others do to a clip, in memory and aligned."""

from anymic.codecs.backend import Backend, Bitrates, CodecSpec
from anymic.codecs.chain import every_spec
from anymic.codecs.codec import Codec, Coded
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.encode_cache import EncodeCache
from anymic.codecs.table import CODECS, register_codec

__all__ = [
    "CODECS",
    "Backend",
    "Bitrates",
    "Codec",
    "CodecSet",
    "CodecSpec",
    "Coded",
    "EncodeCache",
    "every_spec",
    "register_codec",
]
