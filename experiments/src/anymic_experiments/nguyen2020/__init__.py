"""Nguyen, Pernkopf and Kosmider 2020: heated-up softmax and spectrum correction."""
