"""BCP: the box, the components, the two phases, and what each part of a mix weighs."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg.config import TrainConfig
from equireg.errors import UsageError
from equireg.methods.bcp import BCPConfig, BidirectionalCopyPaste, draw_box, largest_components
from equireg.methods.evaluation_mode import evaluating
from methods_made_up import STILL, some, some_batch

SHAPE = (12, 15)


def method(**options: Any) -> BidirectionalCopyPaste:
    torch.manual_seed(0)
    config = TrainConfig(method=BCPConfig(**options), views=STILL)
    return BidirectionalCopyPaste(config, lambda: nn.Conv2d(1, 3, 3, padding=1), 100)


@pytest.mark.parametrize("shape", [(12, 15), (9, 12, 6)])
def test_the_box_has_two_thirds_of_each_side_at_every_place(shape):
    generator = Generator().manual_seed(0)
    boxes = [draw_box(torch.zeros(1, 1, *shape), generator) for _ in range(60)]
    assert all(box.shape == shape for box in boxes)
    for axis, side in enumerate(shape):
        lines = [box.movedim(axis, 0).flatten(1).any(dim=1) for box in boxes]
        assert {int(line.sum()) for line in lines} == {side * 2 // 3}
        assert {int(line.int().argmax()) for line in lines} == set(range(side - side * 2 // 3 + 1))
    volume = torch.tensor([side * 2 // 3 for side in shape]).prod()
    assert all(box.sum() == volume for box in boxes)


def test_each_sample_keeps_the_largest_component_of_each_class():
    classes = torch.tensor([[1, 1, 0, 2], [0, 0, 1, 0], [0, 0, 0, 2], [1, 0, 0, 2]])
    kept = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2], [0, 0, 0, 2]])  # the corner connects
    none = torch.zeros_like(classes)
    found = largest_components(torch.stack([classes, none])[:, None])
    assert torch.equal(found, torch.stack([kept, none])[:, None])
    volume = torch.zeros(1, 1, 4, 4, 4, dtype=torch.long)
    volume[0, 0, :2, 0, 0] = volume[0, 0, 3, 3, 3] = 1
    assert int(largest_components(volume).sum()) == 2


def mixes(made: BidirectionalCopyPaste) -> tuple[Any, Any]:
    given = some_batch(SHAPE)
    return made._mixes(made._annotated(given), some(4, SHAPE), given)


def test_both_directions_paste_the_same_box_of_images_targets_and_labels():
    inward, outward = mixes(method())
    box = inward.box
    assert torch.equal(box, outward.box)
    image, label = some(2, SHAPE).image, some(2, SHAPE).label
    assert label is not None
    guest = some(4, SHAPE).image
    assert torch.allclose(inward.whole.image[..., ~box], image[[0, 1, 0, 1]][..., ~box], atol=1e-5)
    assert torch.allclose(inward.whole.image[..., box], guest[..., box], atol=1e-5)
    assert torch.allclose(outward.whole.image[..., box], image[[1, 0, 1, 0]][..., box], atol=1e-5)
    assert torch.allclose(outward.whole.image[..., ~box], guest[..., ~box], atol=1e-5)
    assert torch.equal(inward.whole.target[..., ~box], label[[0, 1, 0, 1]][..., ~box])
    assert torch.equal(outward.whole.target[..., box], label[[1, 0, 1, 0]][..., box])


def test_the_unlabelled_target_is_the_teachers_largest_components():
    made = method()
    with torch.no_grad():
        for weight in made.student.parameters():
            weight.zero_()
    with evaluating(made.teacher) as teacher, torch.no_grad():
        classes = teacher(some(4, SHAPE).image).argmax(dim=1, keepdim=True)
    inward, _ = mixes(made)
    assert torch.equal(inward.pasted.target, largest_components(classes))
    assert not torch.equal(inward.pasted.target, classes)


def test_each_part_has_its_own_loss_and_the_unlabelled_ones_weigh_less():
    made = method(weight=0.3)
    inward, outward = mixes(made)
    losses = made.losses(some_batch(SHAPE), 90)
    one, other = made.student(inward.whole.image), made.student(outward.whole.image)

    def loss(logits: Tensor, part: tuple[Tensor, Tensor]) -> float:
        return float(made.segmentation_loss(logits, *part).detach())

    supervised = (loss(one, inward.outside) + loss(other, outward.inside)) / 2
    unsupervised = (loss(one, inward.inside) + loss(other, outward.outside)) / 2
    assert float(losses["supervised"]) == pytest.approx(supervised, rel=1e-5)
    assert float(losses["unsupervised"]) == pytest.approx(unsupervised, rel=1e-5)
    assert float(losses["total"].detach()) == pytest.approx(supervised + 0.3 * unsupervised, rel=1e-5)
    assert torch.equal(inward.inside[1] + inward.outside[1], torch.ones(4, 1, *SHAPE))


def test_the_first_phase_reads_no_unlabelled_scan():
    made = method(pretraining=0.25)
    assert "unsupervised" not in made.losses(some_batch(SHAPE), 24)
    assert "unsupervised" in made.losses(some_batch(SHAPE), 25)
    other = replace(some_batch(SHAPE), unlabelled=some(5, SHAPE))
    assert torch.equal(made.losses(some_batch(SHAPE), 24)["total"], made.losses(other, 24)["total"])


def test_the_teacher_is_a_copy_until_the_second_phase_and_then_an_average():
    made = method(pretraining=0.25, ema_decay=0.75)
    student, teacher = next(made.student.parameters()), next(made.teacher.parameters())
    with torch.no_grad():
        student.fill_(1.0)
    made.after_step(24)
    assert torch.equal(teacher, student)
    with torch.no_grad():
        student.fill_(2.0)
    made.after_step(25)
    assert torch.allclose(teacher, torch.tensor(1.25))
    assert made.predictor is made.student


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretraining": 1.5}, r"--method.pretraining is 1.5; expected a fraction from 0 to 1"),
        ({"weight": -1.0}, r"--method.weight is -1.0; expected 0 or more"),
        ({"ema_decay": 2.0}, r"--method.ema_decay is 2.0; expected a decay from 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        BCPConfig(**options)
