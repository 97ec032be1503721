"""Which device recorded a clip, or that it is none of those known."""
