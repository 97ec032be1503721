"""How much of the gap between microphones spectrum correction closes, on real recordings."""
