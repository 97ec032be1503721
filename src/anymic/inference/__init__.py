"""Predict files: windows, device gains, the engine, probabilities, embeddings."""
