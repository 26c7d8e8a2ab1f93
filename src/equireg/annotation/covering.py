"""Choosing few scans that stand for many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Choice:
    """One chosen scan."""

    index: int
    gain: float
    """Part, from 0 to 1, by which it lessens the distance of all scans to the nearest chosen or annotated one."""
    stands_for: int
    """Scans that are nearest to it, itself among them, once all are chosen."""


def choose(
    points: np.ndarray,
    candidates: Sequence[int],
    count: int,
    *,
    known: Sequence[int] = (),
    weights: np.ndarray | None = None,
    patients: Sequence[str] | None = None,
) -> list[Choice]:
    """Choose scans such that every scan has a chosen or annotated one nearby (facility location, greedily).

    Each step takes the candidate that lessens most the sum over all scans of the distance to the nearest chosen one.
    That sum rewards scans that are typical of many, and a second scan like a chosen one gains little. The greedy
    choice reaches at least 1 - 1/e of the best gain (Nemhauser, Wolsey and Fisher 1978).

    Args:
        points: of all scans, [N, F].
        candidates: indices of those that may be chosen.
        count: how many to choose; at most all candidates.
        known: indices of scans that are annotated already.
        weights: how much each scan needs one nearby, [N], from 0; equal by default.
        patients: of each scan. Scans of one patient share one weight, and a second scan of a patient is chosen only
            where each patient among the candidates has one.

    Returns:
        The choices in their order.
    """
    patients = [str(index) for index in range(len(points))] if patients is None else list(patients)
    scans_of = {name: patients.count(name) for name in set(patients)}
    need = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    need = need / np.array([scans_of[name] for name in patients])
    distances = distances_between(points)
    nearest = np.full(len(points), max(float(distances.max()), 1e-12))
    if len(known):
        nearest = distances[:, list(known)].min(axis=1)
    whole = max(float(need @ nearest), 1e-12)
    left, taken = list(candidates), {patients[index] for index in known}
    chosen: list[tuple[int, float]] = []
    while left and len(chosen) < count:
        fresh = [index for index in left if patients[index] not in taken] or left
        gains = need @ np.maximum(nearest[:, None] - distances[:, fresh], 0)
        best = fresh[int(np.argmax(gains))]
        chosen.append((best, float(gains.max()) / whole))
        taken.add(patients[best])
        left.remove(best)
        nearest = np.minimum(nearest, distances[:, best])
    stand = [*known, *(index for index, _ in chosen)]
    closest = np.array(stand)[distances[:, stand].argmin(axis=1)] if stand else np.array([])
    return [Choice(index, gain, max(1, int(np.sum(closest == index)))) for index, gain in chosen]


def distances_between(points: np.ndarray) -> np.ndarray:
    """Return the distances between all points, [N, N]."""
    squares = (points**2).sum(axis=1)
    between = squares[:, None] + squares[None] - 2 * points @ points.T
    np.fill_diagonal(between, 0)
    return np.sqrt(np.maximum(between, 0))
