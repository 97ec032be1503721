"""Weights that were trained elsewhere, as bundles of anymic."""
