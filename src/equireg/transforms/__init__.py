"""Transforms of batches of scans: chance (``sample``) apart from work (``apply``); tensors in, tensors out."""
