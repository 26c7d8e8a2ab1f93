"""How far mirrored views agree, against counts by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from equireg.inference import Agreement, InferencePlan, predict_slabs
from equireg.inference.agreement import contradicted


def labels(*values: int) -> Tensor:
    return torch.tensor([values], dtype=torch.uint8)


def test_the_mean_dice_of_all_pairs_over_the_classes_that_any_view_shows() -> None:
    made = Agreement(3, 4)
    made.add([labels(1, 1, 0, 0), labels(1, 0, 0, 0), labels(1, 1, 0, 2)])
    # Class 1: 2/3, 1, 2/3. Class 2: 1 (in neither), 0, 0. Class 3 is in no view.
    assert made.dice() == pytest.approx((2 / 3 + 1 + 2 / 3 + 1 + 0 + 0) / 6)


def test_half_of_the_measure_are_pairs_of_views_that_are_averaged() -> None:
    views = [labels(1, 1, 0, 0), labels(1, 0, 0, 0), labels(1, 1, 1, 0), labels(0, 0, 1, 1)]
    averaged, every = 2 / 3, (2 / 3 + 4 / 5 + 0 + 2 / 4 + 0 + 2 / 5) / 6
    for others, expected in ((0, every), (2, (averaged + every) / 2), (3, every)):
        made = Agreement(4, 2, others=others)
        made.add(views)
        assert made.dice() == pytest.approx(expected)


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
    made = Agreement(plan.compared_views, 2)
    list(predict_slabs(Sided(), torch.zeros(1, 4, 4, 4), [0.0], (1.0, 1.0, 1.0), plan, made))
    assert made.dice() == pytest.approx(expected)


def test_every_view_counts_and_those_that_only_doubt_enter_no_average() -> None:
    plan = InferencePlan(2, (4, 4), (1,), "equivariance", passes=3, quality_views=2)
    assert (plan.mirrored_views, plan.compared_views) == (2, 7)
    made, scan = Agreement(7, 2, others=2, mapped=True), (torch.zeros(1, 2, 4, 4), [0.0], (1.0, 1.0, 1.0))
    doubted = torch.cat(list(predict_slabs(Sided(), *scan, plan, made)), dim=1)
    alone = torch.cat(list(predict_slabs(Sided(), *scan, replace(plan, quality_views=0))), dim=1)
    assert torch.equal(doubted, alone)
    agreed = made.dice()
    assert agreed is not None
    assert 0 < agreed < 1
    assert made.map is not None
    contradictions = torch.cat(made.map)
    assert contradictions.shape == (2, 4, 4)
    assert 0 < float(contradictions.max()) < 1


def test_a_voxel_that_a_view_did_not_see_counts_for_neither() -> None:
    made = Agreement(2, 2)
    made.add([labels(1, 1, 0, 1), labels(1, 2, 0, 0)])
    assert made.dice() == pytest.approx(2 / 3)


def test_a_union_of_classes_and_the_spread_of_its_size() -> None:
    made = Agreement(2, 4)
    made.add([labels(1, 2, 0, 0), labels(2, 1, 1, 0)])
    assert made.dice_of([1]) == 0.0
    assert made.dice_of([1, 2]) == pytest.approx(4 / 5)
    assert made.spread_of([1, 2]) == pytest.approx(0.5 / 2.5)
    assert made.dice_of([3]) is None
    assert made.spread_of([3]) is None


def test_the_spread_is_of_the_voxels_that_all_views_saw() -> None:
    made = Agreement(3, 2)
    made.add([labels(1, 1, 0, 1), labels(1, 1, 0, 0), labels(2, 1, 0, 2)])
    assert made.spread_of([1]) == 0.0
    made.add([labels(1, 1), labels(1, 1), labels(1, 0)])
    assert made.spread_of([1]) == pytest.approx(0.4714045 / (8 / 3))
    unseen = Agreement(2, 2)
    unseen.add([labels(1, 1), labels(2, 2)])
    assert (unseen.spread_of([1]), unseen.dice_of([1])) == (None, 1.0)


def test_the_map_is_the_part_of_the_views_that_contradict() -> None:
    chosen = labels(1, 1, 0, 0)
    found = contradicted([labels(1, 0, 0, 2), labels(1, 1, 1, 2)], chosen, 2)
    assert found.flatten().tolist() == [0.0, 0.5, 0.5, 0.0]
