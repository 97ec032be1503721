"""Identify the device that recorded a clip, or reject it as unknown."""
