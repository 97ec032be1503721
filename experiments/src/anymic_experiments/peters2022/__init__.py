"""Peters 2022: the accuracy that a classifier loses to audio codecs, and fine-tuning for them."""
