"""Codecs: what training through a few of them, or through any, recovers."""
