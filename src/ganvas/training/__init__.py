"""The one training loop, its configuration, its run folder and its checkpoints."""
