"""Lesions are found one by one, pasted where the body is, and blend into what lies there."""

import pytest
import torch
from torch import Tensor

from equireg.imaging.labels import IGNORED
from equireg.transforms.lesions import find_lesions, paste

SIDE = 16


def sample(n: int = 2) -> tuple[Tensor, Tensor]:
    """A sample with a lesion of two classes and a smaller one, both brighter than the rest, and one voxel of noise."""
    label = torch.zeros((1, 1, *[SIDE] * n), dtype=torch.long)
    middle = (slice(None),) * 2 + (slice(7, 10),) * (n - 2)
    label[(*middle, slice(2, 6), slice(2, 5))] = 1
    label[(*middle, slice(4, 6), slice(2, 5))] = 2
    label[(*middle, slice(10, 12), slice(11, 14))] = 1
    label[(*middle, slice(14, 15), slice(1, 2))] = 1 if n == 2 else 0
    return 10.0 * label + torch.arange(SIDE), label


@pytest.mark.parametrize("n", [2, 3])
def test_connected_parts_are_found_with_all_their_classes(n):
    image, label = sample(n)
    large, small = find_lesions(image, label, 2)
    assert large.classes.unique().tolist() == [1, 2, IGNORED]
    assert small.classes.unique().tolist() == [1, IGNORED]
    for lesion in (large, small):
        inside = lesion.classes != IGNORED
        assert (lesion.weight[inside] == 1).all()
        assert lesion.image.shape[1:] == lesion.classes.shape[1:] == lesion.weight.shape[1:]
    assert find_lesions(image, torch.zeros_like(label), 2) == []


def test_the_weight_falls_over_the_border():
    image, label = sample()
    lesion = find_lesions(image, label, 3)[1]  # it lies in rows 10 and 11
    assert lesion.weight[0, :, 4].tolist() == [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]
    hard = find_lesions(image, label, 0)[1]
    assert (hard.weight == 1).all()
    assert hard.classes.shape == (1, 2, 3)


def test_what_nobody_annotated_is_no_lesion_and_is_not_pasted():
    image, label = sample()
    label[0, 0, 12] = IGNORED
    lesion = find_lesions(image, label, 3)[1]
    assert (lesion.weight[0, 5] == 0).all()
    assert (lesion.weight[0, 2] > 0).any()


def test_a_lesion_comes_to_its_place_and_blends():
    image, label = sample()
    lesions = find_lesions(image, label, 2)[1:]
    target, classes = torch.full((3, 1, SIDE, SIDE), -5.0), torch.full((3, 1, SIDE, SIDE), IGNORED)
    body = torch.zeros(3, 1, SIDE, SIDE, dtype=torch.bool)
    body[:, :, 4:12, 4:12] = True
    draws = torch.tensor([[0.0, 0.0], [-1.0, -1.0], [0.99, 0.57]])
    before = target.clone(), classes.clone()
    moved, known = paste(target, classes, body, lesions, draws)
    assert torch.equal(target, before[0])
    assert torch.equal(classes, before[1])
    assert torch.equal(moved[1], target[1])
    assert torch.equal(known[1], classes[1])
    assert torch.equal(moved[~body], target[~body])
    assert torch.equal(known[~body], classes[~body])
    assert (known[2] == 1).sum() == 6
    assert torch.allclose(moved[2][known[2] == 1].sort().values, image[0][label[0] == 1][-7:-1].sort().values)
    ring = (moved[2] != -5) & (known[2] == IGNORED)
    assert ring.any()
    assert (moved[2][ring] < 15).all()  # between what was there and the donor's surroundings
    assert 0 < (known[0] == 1).sum() < 6  # centred on a corner of the body, which cuts it


def test_without_body_or_lesions_nothing_happens():
    image, label = sample()
    draws = torch.tensor([[0.5, 0.5]])
    body = torch.ones_like(label, dtype=torch.bool)
    for there, lesions in ((~body, find_lesions(image, label, 1)), (body, [])):
        moved, known = paste(image, label, there, lesions, draws)
        assert torch.equal(moved, image)
        assert torch.equal(known, label)


def test_it_replaces_the_class_that_was_there():
    image, label = sample()
    lesions = find_lesions(image, label, 0)
    body = torch.zeros_like(label, dtype=torch.bool)
    body[..., 3, 3] = True
    _, known = paste(image, torch.zeros_like(label), body, lesions[1:], torch.tensor([[0.5, 0.5]]))
    assert known[0, 0, 3, 3] == 1
    assert known.sum() == 1


@pytest.mark.parametrize("gap", [1, 2])
def test_a_neighbouring_lesion_does_not_come_along_as_background(gap):
    label = torch.zeros((1, 1, SIDE, SIDE), dtype=torch.long)
    label[..., 4:8, 2:6] = label[..., 4:8, 6 + gap : 12] = 1
    lesion = find_lesions(10.0 * label, label, 3)[0]
    assert (lesion.weight[0, 3:7, 6] > 0).all()  # the gap between both is part of the border
    target, nothing = torch.zeros((1, 1, SIDE, SIDE)), torch.zeros_like(label)
    moved, known = paste(target, nothing, nothing == 0, [lesion], torch.tensor([[0.0, 0.532]]))
    assert (known == 1).sum() == 16
    assert (moved[known == 0] == 0).all()
