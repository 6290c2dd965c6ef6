"""The loop: steps, losses, checkpoints of a run, records."""
