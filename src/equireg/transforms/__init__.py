"""Transforms of batches of scans: random numbers (``sample``) apart from work (``apply``); tensors in, tensors out."""
