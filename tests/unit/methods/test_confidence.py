"""Where a teacher is sure enough: a threshold, and standing out from how often a class occurs."""

import pytest
import torch

from equireg.batches.batch import Samples
from equireg.imaging.labels import IGNORED
from equireg.methods.confidence import shares_of, sure


def probs_of(*voxels: tuple[float, ...]) -> torch.Tensor:
    """Return probabilities [1, K, voxels]."""
    return torch.tensor(voxels).T[None]


def samples(label: torch.Tensor | None, valid: torch.Tensor | None = None) -> Samples:
    image = torch.zeros(len(label) if label is not None else 1, 1, 2, 2)
    spacing = torch.ones(len(image), 2)
    valid = torch.ones_like(image) if valid is None else valid
    return Samples(image, valid, torch.zeros(len(image), 1), spacing, ("a",) * len(image), label)


def test_the_most_probable_class_reaches_the_threshold():
    found = sure(probs_of((0.95, 0.05), (0.6, 0.4), (0.08, 0.92)), 0.9)
    assert found.shape == (1, 1, 3)
    assert found.flatten().tolist() == [True, False, True]


def test_a_class_that_is_merely_common_is_not_sure():
    shares = torch.tensor([0.95, 0.05])
    probs = probs_of((0.95, 0.05), (0.99, 0.01), (0.996, 0.004), (0.08, 0.92))
    assert sure(probs, 0.9, shares, 0.6).flatten().tolist() == [False, True, True, True]
    # As if both were equally frequent, the background has 0.5, 0.84, 0.93; the rare class needs its own threshold too.
    assert sure(probs, 0.9, shares, 0.9).flatten().tolist() == [False, False, True, True]


def test_a_rare_class_still_needs_the_threshold():
    shares = torch.tensor([0.95, 0.05])
    assert not sure(probs_of((0.4, 0.6)), 0.9, shares, 0.9).any()


def test_equal_shares_change_nothing():
    probs = torch.randn(2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0)).mul(3).softmax(dim=1)
    assert torch.equal(sure(probs, 0.8, torch.full((3,), 1 / 3), 0.8), sure(probs, 0.8))


def test_without_a_threshold_every_voxel_counts():
    assert sure(probs_of((0.5, 0.5), (1.0, 0.0)), 0.0, torch.tensor([0.95, 0.05]), 0.0).all()


def test_shares_are_of_annotated_voxels_of_the_scan():
    label = torch.tensor([[[[0, 0], [1, IGNORED]]], [[[0, 2], [2, 2]]]])
    valid = torch.ones(2, 1, 2, 2)
    valid[1, 0, 1, 1] = 0
    assert torch.allclose(shares_of(samples(label, valid), 3), torch.tensor([3.0, 1.0, 2.0]) / 6)


def test_an_absent_class_has_a_share_too():
    shares = shares_of(samples(torch.zeros(1, 1, 2, 2, dtype=torch.long)), 2)
    assert torch.allclose(shares, torch.tensor([1.0, 0.01]) / 1.01)


def test_unlabelled_samples_have_none():
    with pytest.raises(ValueError, match="labelled"):
        shares_of(samples(None), 2)
