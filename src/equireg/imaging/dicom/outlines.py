"""Outlines of a mask as closed lines that have no holes, as contours of DICOM are."""

from collections.abc import Iterator

import numpy as np


def outlines(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the outlines of a mask, half-way between voxels inside and outside.

    A hole is joined with the outline around it by a line that runs there and back (the keyhole of DICOM PS3.3,
    C.8.8.6.3): programs that fill each contour by itself then leave it out too. The line runs between rows of voxels,
    so that it meets no centre.

    Args:
        mask: [X, Y] bool.

    Yields:
        Points in voxels [points, 2], closed, the last point left out.
    """
    from skimage.measure import find_contours

    rings = [_halved(points[:-1] - 1) for points in find_contours(np.pad(mask, 1).astype(np.float32), 0.5)]
    if not rings:
        return
    outward = np.sign(_area(max(rings, key=lambda ring: ring[:, 0].max())))  # nothing is around the farthest one
    joined = [ring for ring in rings if np.sign(_area(ring)) == outward]
    holes = [_from_its_end(ring) for ring in rings if np.sign(_area(ring)) != outward]
    # A line to the right meets a ring that reaches farther: one that is joined already.
    for hole in sorted(holes, key=lambda ring: -ring[0, 0]):
        _join(joined, hole)
    yield from joined


def _halved(ring: np.ndarray) -> np.ndarray:
    """Add the points half-way between rows, where a line along x meets an outline that runs along y."""
    following = np.roll(ring, -1, axis=0)
    places = np.flatnonzero(np.abs(following - ring)[:, 1] > 0.75)
    return np.insert(ring, places + 1, (ring[places] + following[places]) / 2, axis=0)


def _area(ring: np.ndarray) -> float:
    """Return the area of a ring, negative if it runs the other way round."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _from_its_end(ring: np.ndarray) -> np.ndarray:
    """Let a ring begin at the point between rows that is farthest along x."""
    between = np.where(ring[:, 1] % 1 == 0.5, ring[:, 0], -np.inf)
    return np.roll(ring, -int(between.argmax()), axis=0)


def _join(joined: list[np.ndarray], hole: np.ndarray) -> None:
    """Join a hole with the ring that a line along x meets first."""
    x, y = hole[0]
    ahead = [np.where((ring[:, 1] == y) & (ring[:, 0] > x), ring[:, 0], np.inf) for ring in joined]
    number = min(range(len(joined)), key=lambda index: ahead[index].min())
    ring, place = joined[number], int(ahead[number].argmin())
    joined[number] = np.concatenate([ring[: place + 1], hole, hole[:1], ring[place:]])
