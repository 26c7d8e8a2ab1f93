"""Votes of registered scans: the best vote, what nobody reaches stays unknown, and likeness tells good from bad."""

import numpy as np
import pytest

from atlas_made_up import FLAT, anatomy, scattered
from equireg.atlas.fusing import MOST_VOTES, Labelled, fuse, likeness, mean_dice, neighbourhood
from equireg.atlas.registration import Scan, affine
from equireg.imaging.labels import IGNORED

MM = (1.0, 1.0, 1.0)


def labelled(*amounts: float) -> list[Labelled]:
    found = [anatomy(FLAT, shift=one, seed=index) for index, one in enumerate(amounts)]
    return [Labelled(Scan(image, MM), label) for image, label in found]


def test_the_mask_of_one_scan_comes_over():
    image, known = anatomy(FLAT, bend=0.1, seed=9)
    fused = fuse(Scan(image, MM), labelled(0.2), 3)
    assert fused is not None
    assert mean_dice(fused.classes, known) > 0.85
    assert fused.likeness > 0.8


def test_the_most_alike_vote(monkeypatch):
    """Bad masks of scans that are like the target win where they are more; those of unlike scans have no vote."""
    image, known = anatomy(FLAT)
    good, bad = labelled(0.1, 0.05, -0.1), []
    for seed in range(3):
        noise, _ = scattered(FLAT, seed)
        bad.append(Labelled(Scan(noise, MM), np.ones(FLAT, np.uint8)))
    fused = fuse(Scan(image, MM), [*bad, *good], 3)
    assert MOST_VOTES == 3
    assert fused is not None
    assert mean_dice(fused.classes, known) > 0.85
    wrong = [Labelled(each.scan, np.zeros(FLAT, np.uint8)) for each in good[:1]]
    outvoted = fuse(Scan(image, MM), [*wrong, *good[1:]], 3)
    assert outvoted is not None
    assert mean_dice(outvoted.classes, known) > 0.8


def test_what_no_scan_reaches_or_nobody_annotated_is_unknown():
    image, label = anatomy(FLAT)
    label = label.copy()
    label[:, :, 20:] = IGNORED
    half = Labelled(Scan(image[:, :, :30], MM), label[:, :30])
    fused = fuse(Scan(image, MM), [half], 3)
    assert fused is not None
    assert (fused.classes[:, -2:] == IGNORED).all()
    assert (fused.classes[:, 15:20, 28:] == IGNORED).all()
    assert (fused.classes[:, 15:20, 2:15] != IGNORED).all()


def test_likeness_tells_what_does_not_fit():
    noise = np.random.default_rng(1).normal(size=(2, *FLAT)).astype(np.float32)
    fused = fuse(Scan(noise, MM), labelled(0.0), 3)
    assert fused is None or fused.likeness < 0.5
    image, label = anatomy(FLAT)
    overlay = affine(Scan(image, MM), Scan(image, MM))
    assert overlay is not None
    assert likeness(overlay, label > 0) == pytest.approx(1, abs=0.02)
    assert likeness(overlay, np.zeros(FLAT, bool)) == -1


def test_the_neighbourhood_grows_with_the_mask():
    small, large = np.zeros((3, 41, 41), bool), np.zeros((3, 41, 41), bool)
    small[1, 20, 20] = True
    large[:, 10:31, 10:31] = True
    near = neighbourhood(small, (5.0, 1.0, 1.0))
    assert near[1].sum() == 5
    assert near.sum() == 5
    assert neighbourhood(large, (5.0, 1.0, 1.0))[1].sum() > 27**2
    assert not neighbourhood(np.zeros((1, 5, 5), bool), MM).any()


def test_dice_counts_what_the_known_mask_shows():
    known = np.array([[[0, 1, 1, 2, IGNORED]]], np.uint8)
    assert mean_dice(np.array([[[0, 1, 0, 2, 1]]]), known) == pytest.approx((2 / 3 + 1) / 2)
    assert mean_dice(known, np.zeros_like(known)) == 0
