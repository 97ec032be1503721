"""Measure models: reports by device, and robustness by microphone and codec."""
