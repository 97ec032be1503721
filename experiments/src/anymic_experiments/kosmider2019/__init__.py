"""Kosmider 2019, "Calibrating neural networks for secondary recording devices", reproduced."""
