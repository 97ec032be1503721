"""Small generators of odd audio files; nothing here needs a program."""
