"""From files to answers: windows, device gains, the engine, predictions and embeddings."""
