"""Xu, Smit and Kurimo 2018: audio tagging with fine-tuned VGGish features and attention."""
