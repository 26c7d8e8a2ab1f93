"""Two networks that teach each other: each learns from the other's average, for the same views."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from equireg.batches.batch import Samples
from equireg.config import IntensityConfig, SpatialConfig, TrainConfig, UNetConfig, ViewsConfig
from equireg.config.methods import EquiRegConfig
from equireg.methods.equireg import EquiReg
from equireg.networks import build
from methods_made_up import STILL, some_batch

FLIPS = ViewsConfig(SpatialConfig(probability=0.0), SpatialConfig(probability=1.0), IntensityConfig(probability=0.0))


def method(views: ViewsConfig = STILL, teacher: str = "cross", **options: Any) -> EquiReg:
    """Return EquiReg with networks that look at one voxel at a time, the same first ones every time."""
    torch.manual_seed(0)
    options = {"threshold": 0.0, "passes": 1, "cutmix": 0.0, **options}
    config = TrainConfig(method=EquiRegConfig(teacher=teacher, **options), views=views)  # pyright: ignore[reportArgumentType]
    return EquiReg(config, lambda: nn.Sequential(nn.Conv2d(1, 8, 1), nn.Tanh(), nn.Conv2d(8, 3, 1)), 100)


def unlabelled() -> Samples:
    found = some_batch().unlabelled
    assert found is not None
    return found


def tasks(made: EquiReg) -> Iterator[Any]:
    batch = some_batch()
    return iter(made.tasks(unlabelled(), made.augmented(batch), batch, 0))


def test_they_begin_apart_and_the_first_is_that_of_a_single_network():
    made, single = method(), method(teacher="ema")
    assert made.second is not None
    first, second = (nn.utils.parameters_to_vector(student.parameters()) for student in made.students)
    assert (first - second).abs().max() > 0.1
    assert torch.equal(first, nn.utils.parameters_to_vector(single.student.parameters()))
    assert single.students == (single.student,)
    assert not [key for key in single.state_dict() if key.startswith("second")]


def test_each_ones_target_is_the_others_average():
    made = method()
    assert made.teacher is not None
    assert made.second_teacher is not None
    with torch.no_grad():
        expected = [teacher(unlabelled().image).softmax(1) for teacher in (made.second_teacher, made.teacher)]
    for task, target in zip(tasks(made), expected, strict=True):
        assert torch.allclose(task.target, target, atol=1e-5)
        assert torch.equal(task.image, unlabelled().image)
    assert (expected[0] - expected[1]).abs().max() > 0.05


def test_both_see_the_same_views_and_boxes_under_the_transform():
    """Of networks that look at one voxel the moved prediction is the prediction of what was moved."""
    made = method(FLIPS, cutmix=1.0, labelled_boxes=0.0)
    assert made.teacher is not None
    assert made.second_teacher is not None
    one, other = tasks(made)
    assert torch.equal(one.image, other.image)
    assert not torch.equal(one.image, unlabelled().image)
    with torch.no_grad():
        assert torch.allclose(one.target, made.second_teacher(one.image).softmax(1), atol=1e-5)
        assert torch.allclose(other.target, made.teacher(other.image).softmax(1), atol=1e-5)


def test_the_losses_are_sums_and_both_learn_from_both():
    made = method()
    assert made.second is not None
    losses = made.losses(some_batch(), 90)
    image, label, valid = made.augmented(some_batch())
    supervised = sum(float(made.supervised_loss(one(image), label, valid, 90).detach()) for one in made.students)
    asked = [
        float(made.unsupervised_loss(student(task.image), task).detach())
        for student, task in zip(made.students, tasks(made), strict=True)
    ]
    assert float(losses["supervised"]) == pytest.approx(supervised, rel=1e-4)
    assert float(losses["unsupervised"]) == pytest.approx(sum(asked), rel=1e-4)
    grads = []
    for weight in (0.0, 10.0):
        made = method(weight=weight)
        made.losses(some_batch(), 90)["total"].backward()
        grads.append([student[0].weight.grad for student in made.students])  # pyright: ignore[reportIndexIssue]
    for light, heavy in zip(*grads, strict=True):
        assert light.abs().max() > 1e-4
        assert (heavy - light).abs().max() > 1e-4
    for teacher in (made.teacher, made.second_teacher):
        assert teacher is not None
        assert not any(weight.requires_grad for weight in teacher.parameters())


def test_each_average_is_of_its_own_network():
    made = method(ema_decay=0.5)
    assert made.second is not None
    with torch.no_grad():
        for weight in made.second.parameters():
            weight.add_(1.0)
    before = {key: value.clone() for key, value in made.state_dict().items()}
    made.after_step(50)
    moved = {key.split(".")[0] for key, value in made.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"second_teacher"}
    assert made.predictor is made.teacher


def test_every_head_of_both_is_trained_and_no_average_sees_a_statistic():
    config = UNetConfig(features=2, stages=4, norm="batch", deep_supervision=True)
    options = EquiRegConfig(teacher="cross", threshold=0.0)
    views = TrainConfig(method=options, views=STILL, network=config)
    made = EquiReg(views, lambda: build(config, in_channels=1, out_channels=3, spatial_dims=2), 100).train()
    made.losses(some_batch((32, 32)), 90)["total"].backward()
    trained = {key: weight for key, weight in made.named_parameters() if weight.requires_grad}
    heads = {key.split(".")[0] for key in trained if ".lower_heads." in key}
    assert heads == {"student", "second"}
    assert all(weight.grad is not None for weight in trained.values())
    passes = {key: int(value) for key, value in made.state_dict().items() if key.endswith("num_batches_tracked")}
    assert {(key.split(".")[0], value) for key, value in passes.items()} == {
        ("student", 1),
        ("second", 1),
        ("teacher", 0),
        ("second_teacher", 0),
    }
