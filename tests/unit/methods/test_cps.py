"""CPS: each network learns from the other's class, on labelled and unlabelled scans, mixed or not."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.config import TrainConfig
from equireg.errors import UsageError
from equireg.methods.cps import CPSConfig, CrossPseudoSupervision
from methods_made_up import STILL, some, some_batch


def method(**options: Any) -> CrossPseudoSupervision:
    """Return CPS with networks that look at one voxel at a time, so that mixing and predicting commute."""
    torch.manual_seed(0)
    return CrossPseudoSupervision(
        TrainConfig(method=CPSConfig(**options), views=STILL), lambda: nn.Conv2d(1, 3, 1), 100
    )


def crossed(made: CrossPseudoSupervision, image: Tensor) -> float:
    one, other = (student(image).detach() for student in made.students)
    loss = functional.cross_entropy(one, other.argmax(dim=1)) + functional.cross_entropy(other, one.argmax(dim=1))
    return float(loss)


def test_the_loss_is_the_cross_entropy_against_the_other_over_all_scans():
    made = method()
    losses = made.losses(some_batch(), 0)
    expected = crossed(made, torch.cat([some(2).image, some(4).image]))
    assert float(losses["unsupervised"]) == pytest.approx(expected, rel=1e-5)
    assert float(losses["total"].detach()) == pytest.approx(float(losses["supervised"]) + 1.5 * expected, rel=1e-5)


def test_it_counts_the_voxels_inside_the_scans_alone():
    made = method()
    outside = replace(some(4), valid=torch.zeros(4, 1, 12, 16))
    losses = made.losses(replace(some_batch(), unlabelled=outside), 0)
    assert float(losses["unsupervised"]) == pytest.approx(crossed(made, some(2).image), rel=1e-5)


def test_mixed_scans_have_the_classes_of_their_own_voxels():
    made = method(cutmix=1.0)
    task = made._task(some(4), some_batch())
    assert not torch.equal(task.image, some(4).image)
    assert task.probs is not None
    for student, probs in zip(made.students, task.probs, strict=True):
        assert torch.allclose(student(task.image).softmax(dim=1), probs, atol=1e-6)


def test_the_classes_of_mixed_scans_are_those_predicted_ahead_of_mixing():
    """With swapped predictions in the task, the loss is another: it is they that the networks learn."""
    made = method(cutmix=1.0)
    task = made._task(some(4), some_batch())
    assert task.probs is not None
    logits = [student(torch.cat([some(2).image, task.image])).detach() for student in made.students]
    area = torch.ones(6, 1, 12, 16)
    swapped = replace(task, probs=task.probs[::-1])
    assert float(made._crossed(logits, task, area)) == pytest.approx(
        crossed(made, torch.cat([some(2).image, task.image])), rel=1e-5
    )
    assert float(made._crossed(logits, swapped, area)) != pytest.approx(float(made._crossed(logits, task, area)))


def test_the_picture_shows_what_the_second_network_teaches_the_first():
    made = method()
    shown = made.pictures(some_batch())
    one, other = (student(some(4).image).argmax(dim=1, keepdim=True) for student in made.students)
    assert torch.equal(shown["student"], one)
    assert torch.equal(shown["target"], other)
    assert made.predictor is made.student


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, r"--method.weight is -1.0; expected 0 or more"),
        ({"cutmix": 1.5}, r"--method.cutmix is 1.5; expected a probability from 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        CPSConfig(**options)
