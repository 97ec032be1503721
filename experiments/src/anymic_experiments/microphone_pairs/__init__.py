"""Spectrum correction on pairs of strongly coloured microphones."""
