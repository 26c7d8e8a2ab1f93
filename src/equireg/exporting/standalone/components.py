"""Removing small components from a prediction, as training found it to be right on its validation cases."""

import numpy as np


def components(mask):
    """Return for each voxel of a mask [X, Y, Z] the index of its component's first voxel; -1 outside.

    Voxels that share a face, an edge or a corner are connected.
    """
    padded = np.pad(mask, 1)
    outside = padded.size
    owner = np.where(padded, np.arange(outside).reshape(padded.shape), outside)
    while True:
        least = owner
        for axis in range(3):
            least = np.minimum(least, np.minimum(np.roll(least, 1, axis), np.roll(least, -1, axis)))
        least = np.where(padded, least, outside)
        least[padded] = least.ravel()[least[padded]]  # the owner's owner, so that long shapes take few rounds
        if np.array_equal(least, owner):
            return np.where(padded, owner, -1)[1:-1, 1:-1, 1:-1]
        owner = least


def keep(classes, steps, voxel_mm3):
    """Return class indices [X, Y, Z] after the steps: each keeps some components of one region."""
    classes = classes.copy()
    for step in steps:
        owner = components(np.isin(classes, step["classes"]))
        owners, counts = np.unique(owner[owner >= 0], return_counts=True)
        if len(owners) == 0:
            continue
        if step["smallest_mm3"] is None:
            gone = owners[np.arange(len(owners)) != counts.argmax()]
        else:
            gone = owners[counts * voxel_mm3 < step["smallest_mm3"]]
        classes[np.isin(owner, gone) & (owner >= 0)] = step["rest"]
    return classes
