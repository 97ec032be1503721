"""Peters 2022: what audio codecs cost a classifier, and how fine-tuning wins it back."""
