"""What the built-in scenes are made of: shaped noise, beds, events, rooms and their mixtures."""
