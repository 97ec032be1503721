"""What the built-in scenes are made of: shaped noise, beds, events, voices and rooms."""
