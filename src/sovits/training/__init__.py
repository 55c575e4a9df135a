"""Training of voices: checkpoints of a run and their upkeep."""
