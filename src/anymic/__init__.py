"""Sound classifiers that hear the same through any microphone and any codec."""
