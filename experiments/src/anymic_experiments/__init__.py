"""Experiments of the papers and of the documentation: settings and prose, never a training loop."""
