"""From files to predictions: windows, device gains, the engine, probabilities, embeddings."""
