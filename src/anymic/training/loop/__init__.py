"""The training loop: batches, augmentation, losses, schedules, the module and its trainer."""
