"""How far views bear out a prediction, against counts by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.inference import Agreement, InferencePlan, agreement, predict_slabs
from equireg.inference.agreement import contradicted


def labels(*values: int) -> Tensor:
    return torch.tensor([values], dtype=torch.uint8)


def counted(chosen: Tensor, *views: Tensor, classes: int) -> Agreement:
    """Return the counts over views that are sure of their classes."""
    made = Agreement(len(views), classes)
    add(made, chosen, *views)
    return made


def add(made: Agreement, chosen: Tensor, *views: Tensor) -> None:
    """Count views that are sure of their classes; a voxel of a class beyond the last was not seen."""
    for view in views:
        seen = (view < made.classes)[:, None].float()
        probs = functional.one_hot(view.long(), made.classes + 1)[..., : made.classes].movedim(-1, 1)
        made.expect(probs.float(), seen, chosen)
    made.add(views)


def test_the_soft_dice_of_the_prediction_and_all_views() -> None:
    made = Agreement(2, 3)
    probs = torch.tensor([[[0.2, 0.6, 0.9, 0.98], [0.7, 0.3, 0.1, 0.01], [0.1, 0.1, 0.0, 0.01]]])  # [B, K, S]
    other = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
    chosen = labels(1, 0, 0, 0)
    made.add([labels(1, 0, 0, 0), labels(1, 1, 0, 0)])
    for view in (probs, other):
        made.expect(view, torch.ones(1, 1, 4), chosen)
    # Of class 1 the views expect 1.7 in its voxel, and 2 + 0.7 + 0.3 in all: the last voxels are background enough.
    assert made.dice_of([1]) == pytest.approx(2 * 1.7 / (2 + 0.7 + 0.3 + 2))
    assert made.dice_of([2]) is None
    assert made.dice() == made.dice_of([1])
    assert made.dice_of([1, 2]) == pytest.approx(2 * 1.8 / (2 + 0.8 + 0.4 + 2))


def test_counts_of_several_windows_and_of_summed_views_add_up() -> None:
    made = counted(labels(1, 1), labels(1, 1), labels(1, 0), classes=2)
    add(made, labels(1, 0), labels(1, 0), labels(1, 0))
    assert made.dice() == pytest.approx(2 * 5 / (5 + 6))
    summed = Agreement(2, 2)
    summed.add([labels(1, 1, 1, 0), labels(1, 0, 1, 0)])
    sums = torch.tensor([[[0.0, 1.0, 0.0, 2.0], [2.0, 1.0, 2.0, 0.0]]])
    summed.expect(sums, torch.full((1, 1, 4), 2.0), labels(1, 1, 1, 0))
    assert summed.dice() == made.dice()


def test_nothing_in_any_view_is_full_agreement_and_one_view_is_none() -> None:
    assert counted(labels(0, 0), labels(0, 0), labels(0, 0), classes=2).dice() == 1.0
    assert counted(labels(1, 1), labels(1, 1), classes=2).dice() is None


def test_of_a_class_that_is_not_predicted_the_views_count_that_do_not_show_it() -> None:
    views = labels(1, 0, 0), labels(1, 2, 0), labels(1, 0, 0)
    made = counted(labels(1, 0, 0), *views, classes=3)
    assert (made.dice_of([1]), made.dice_of([2])) == (1.0, pytest.approx(2 / 3))


def test_many_voxels_are_counted_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    probs = torch.softmax(2 * torch.randn(2, 3, 5, 7, generator=generator), dim=1)
    found = []
    for at_once in (1 << 16, 4):
        monkeypatch.setattr(agreement, "_AT_ONCE", at_once)
        made = Agreement(2, 3)
        made.add([probs.argmax(dim=1)] * 2)
        made.expect(probs, torch.ones(2, 1, 5, 7), probs.argmax(dim=1))
        found.append([made.dice_of([1]), made.dice_of([2]), made.dice_of([1, 2])])
    assert found[0] == pytest.approx(found[1])
    chosen = probs.argmax(dim=1) == 1
    counted_voxels = (probs.argmax(dim=1) != 0) | (probs[:, 0] < 0.75)
    expected = 2 * probs[:, 1][chosen].sum() / (probs[:, 1][counted_voxels].sum() + chosen.sum())
    assert found[0][0] == pytest.approx(float(expected))


class Sided(nn.Module):
    """Says class 1 in the left part of whatever it sees, so that mirrored views disagree."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        left = (torch.arange(x.shape[-1]) < 3).float().expand_as(x[:, 0])
        return torch.stack([1 - left, left], dim=1) + self.weight


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("axis", "columns"), [(-1, [0.5, 1, 1, 0.5]), (0, [1, 1, 1, 0])])
def test_views_that_contradict_each_other(dims: int, axis: int, columns: list[float]) -> None:
    """Of 4 columns each view calls 3 class 1, of which 2 are the same; along other axes all agree."""
    plan = InferencePlan(dims, (4,) * dims, (axis % dims,), "flips")
    made = Agreement(plan.compared_views, 2)
    list(predict_slabs(Sided(), torch.zeros(1, 4, 4, 4), [0.0], (1.0, 1.0, 1.0), plan, made))
    sure = torch.tensor(1.0).sigmoid()
    probs = torch.tensor(columns) * sure + (1 - torch.tensor(columns)) * (1 - sure)
    chosen = probs > 0.5
    assert made.dice() == pytest.approx(float(2 * probs[chosen].sum() / (probs.sum() + chosen.sum())))


def test_every_view_counts_and_those_that_only_doubt_enter_no_average() -> None:
    plan = InferencePlan(2, (4, 4), (1,), "equivariance", passes=3, quality_views=2)
    assert (plan.mirrored_views, plan.compared_views) == (2, 7)
    made, scan = Agreement(7, 2, mapped=True), (torch.zeros(1, 2, 4, 4), [0.0], (1.0, 1.0, 1.0))
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


def test_a_voxel_that_a_view_did_not_see_does_not_count_for_it() -> None:
    made = counted(labels(1, 1, 0, 0), labels(1, 1, 0, 1), labels(1, 2, 0, 0), classes=2)
    assert made.dice() == pytest.approx(2 * 3 / (4 + 3))


def test_a_union_of_classes_and_the_spread_of_its_size() -> None:
    made = counted(labels(1, 2, 0, 0), labels(1, 2, 0, 0), labels(2, 1, 1, 0), classes=4)
    assert made.dice_of([1]) == pytest.approx(2 * 1 / (3 + 2))
    assert made.dice_of([1, 2]) == pytest.approx(2 * 4 / (5 + 4))
    assert made.spread_of([1, 2]) == pytest.approx(0.5 / 2.5)
    assert made.dice_of([3]) is None
    assert made.spread_of([3]) is None


def test_the_spread_is_of_the_voxels_that_all_views_saw() -> None:
    chosen = labels(1, 1, 0, 0)
    made = counted(chosen, labels(1, 1, 0, 1), labels(1, 1, 0, 0), labels(2, 1, 0, 2), classes=2)
    assert made.spread_of([1]) == 0.0
    add(made, labels(1, 1), labels(1, 1), labels(1, 1), labels(1, 0))
    assert made.spread_of([1]) == pytest.approx(0.4714045 / (8 / 3))
    unseen = counted(labels(1, 1), labels(1, 1), labels(2, 2), classes=2)
    assert (unseen.spread_of([1]), unseen.dice_of([1])) == (None, 1.0)


def test_the_map_is_the_part_of_the_views_that_contradict() -> None:
    chosen = labels(1, 1, 0, 0)
    found = contradicted([labels(1, 0, 0, 2), labels(1, 1, 1, 2)], chosen, 2)
    assert found.flatten().tolist() == [0.0, 0.5, 0.5, 0.0]
