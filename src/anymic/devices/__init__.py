"""What devices do to recordings: measure it, undo it, and imitate it."""
