"""How far mirrored views agree, against counts by hand."""

import pytest
import torch
from torch import Tensor, nn

from equireg.inference import Agreement, InferencePlan, predict_slabs


def labels(*values: int) -> Tensor:
    return torch.tensor([values], dtype=torch.uint8)


def test_the_mean_dice_of_all_pairs_over_the_classes_that_any_view_shows() -> None:
    made = Agreement(3, 4)
    made.add([labels(1, 1, 0, 0), labels(1, 0, 0, 0), labels(1, 1, 0, 2)])
    # Class 1: 2/3, 1, 2/3. Class 2: 1 (in neither), 0, 0. Class 3 is in no view.
    assert made.dice() == pytest.approx((2 / 3 + 1 + 2 / 3 + 1 + 0 + 0) / 6)


def test_counts_of_several_windows_add_up() -> None:
    made = Agreement(2, 2)
    made.add([labels(1, 1), labels(1, 0)])
    made.add([labels(1, 0), labels(1, 0)])
    assert made.dice() == pytest.approx(2 * 2 / (3 + 2))


def test_nothing_in_any_view_is_full_agreement_and_one_view_is_none() -> None:
    made = Agreement(2, 2)
    made.add([labels(0, 0), labels(0, 0)])
    assert made.dice() == 1.0
    assert Agreement(1, 2).dice() is None


class Sided(nn.Module):
    """Says class 1 in the left part of whatever it sees, so that mirrored views disagree."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        left = (torch.arange(x.shape[-1]) < 3).float().expand_as(x[:, 0])
        return torch.stack([1 - left, left], dim=1) + self.weight


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("axis", "expected"), [(-1, 2 * 2 / 6), (0, 1.0)])
def test_views_that_contradict_each_other(dims: int, axis: int, expected: float) -> None:
    """Of 4 columns each view calls 3 class 1, of which 2 are the same; along other axes all agree."""
    plan = InferencePlan(dims, (4,) * dims, (axis % dims,), "flips")
    made = Agreement(plan.mirrored_views, 2)
    list(predict_slabs(Sided(), torch.zeros(1, 4, 4, 4), [0.0], (1.0, 1.0, 1.0), plan, made))
    assert made.dice() == pytest.approx(expected)


def test_random_transforms_are_no_mirrored_views() -> None:
    plan = InferencePlan(2, (4, 4), (1,), "equivariance", passes=3)
    assert plan.mirrored_views == 2
    made = Agreement(plan.mirrored_views, 2)
    list(predict_slabs(Sided(), torch.zeros(1, 2, 4, 4), [0.0], (1.0, 1.0, 1.0), plan, made))
    assert made.dice() == pytest.approx(2 * 2 / 6)
