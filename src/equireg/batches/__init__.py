"""What a training step reads from a prepared folder."""
