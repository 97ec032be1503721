"""Spectrum correction: from aligned takes to gains, and gains applied to sound."""
