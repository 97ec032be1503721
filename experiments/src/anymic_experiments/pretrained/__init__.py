"""Spectrum correction in front of a pretrained network, on simulated and on real microphones."""
