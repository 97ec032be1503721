"""What a model is worth: reports by device, and robustness by microphone and codec."""
