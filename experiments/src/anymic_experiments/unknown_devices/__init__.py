"""Devices that training does not know: what augmentation, correction and blind gains change."""
