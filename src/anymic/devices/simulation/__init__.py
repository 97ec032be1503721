"""Virtual devices: responses, noise and limits that clips are passed through."""
