"""Share a trained model: its card, and copies in folders, at URLs and on the Hugging Face hub."""

from anymic.sharing.card import write_card
from anymic.sharing.transfer import pull, push

__all__ = ["pull", "push", "write_card"]
