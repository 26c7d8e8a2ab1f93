"""The mean teacher's own arithmetic: whose images, which loss, which weight, and a teacher that follows."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from equireg.config import IntensityConfig, SpatialConfig, ViewsConfig
from equireg.errors import UsageError
from equireg.methods.mean_teacher import MeanTeacherConfig
from equireg.methods.schedules import ramp_up

LATE = 100


def move(network: nn.Module) -> None:
    """Change a network's weights, so that it answers differently."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator))


def test_a_teacher_that_is_the_student_has_nothing_to_teach(made, batch, still):
    losses = made("mean_teacher", still).losses(batch(), LATE)
    assert float(losses["unsupervised"]) == pytest.approx(0, abs=1e-12)
    assert float(losses["total"].detach()) == pytest.approx(float(losses["supervised"]))
    assert float(made("mean_teacher").losses(batch(), LATE)["unsupervised"]) > 1e-4


def test_the_loss_is_the_squared_error_of_probabilities(made, batch, still, unlabelled):
    method = made("mean_teacher", still, weight=2.0)
    move(method.student)
    losses = method.losses(batch(), LATE)
    with torch.no_grad():
        ours, theirs = (net(unlabelled.image).softmax(1) for net in (method.student, method.teacher))
    expected = float(((ours - theirs) ** 2).mean())
    assert expected > 1e-3
    assert float(losses["unsupervised"]) == pytest.approx(expected, rel=1e-4)
    assert float(losses["total"].detach() - losses["supervised"]) == pytest.approx(2 * expected, rel=1e-3)
    assert float(losses["counted"]) == 1


def test_both_see_one_view_under_changes_of_their_own(made, batch, unlabelled):
    flips = SpatialConfig(probability=1.0)
    views = ViewsConfig(flips, flips, IntensityConfig(probability=1.0))
    ours, theirs, valid = made("mean_teacher", views).two_images(unlabelled, batch())
    assert not torch.equal(ours, theirs)
    assert valid.all()
    for one, other in zip(ours.flatten(1), theirs.flatten(1), strict=True):  # the same places are bright
        assert float(torch.corrcoef(torch.stack([one, other]))[0, 1]) > 0.4
    unchanged = ViewsConfig(flips, flips, IntensityConfig(probability=0.0))
    ours, theirs, _ = made("mean_teacher", unchanged).two_images(unlabelled, batch())
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, unlabelled.image)


def test_what_lies_outside_does_not_count(made, batch, still, unlabelled):
    method = made("mean_teacher", still)
    move(method.student)
    valid = torch.zeros_like(unlabelled.valid)
    empty = method.losses(batch(unlabelled=replace(unlabelled, valid=valid)), LATE)
    assert float(empty["unsupervised"]) == float(empty["counted"]) == 0
    valid[0] = 1
    losses = method.losses(batch(unlabelled=replace(unlabelled, valid=valid)), LATE)
    with torch.no_grad():
        ours, theirs = (net(unlabelled.image[:1]).softmax(1) for net in (method.student, method.teacher))
    assert float(losses["unsupervised"]) == pytest.approx(float(((ours - theirs) ** 2).mean()), rel=1e-4)


def test_the_weight_rises_over_the_whole_run_to_a_tenth(made, batch):
    method = made("mean_teacher")
    weights = [float(method.losses(batch(), step)["weight"]) for step in (0, 50, 100)]
    assert weights == pytest.approx([0.1 * ramp_up(step, 100) for step in (0, 50, 100)])
    assert weights[0] < 1e-3
    assert weights[2] == pytest.approx(0.1)
    assert made("mean_teacher", ramp_up=0.5).weight_at(50) == pytest.approx(0.1)


def test_at_weight_zero_it_is_the_baseline(made, batch):
    method, baseline = made("mean_teacher", weight=0.0), made("supervised")
    losses, expected = method.losses(batch(7), LATE), baseline.losses(batch(7), LATE)
    losses["total"].backward()
    expected["total"].backward()
    for ours, theirs in zip(method.student.parameters(), baseline.student.parameters(), strict=True):
        assert ours.grad is not None
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
    alone = method.losses(batch(7, unlabelled=None), LATE)
    assert torch.equal(alone["total"], expected["total"])


def test_the_teacher_predicts_and_follows(made):
    method = made("mean_teacher", ema_decay=0.9)
    assert method.predictor is method.teacher
    assert method.students == (method.student,)
    before = [weight.clone() for weight in method.teacher.parameters()]
    move(method.student)
    method.after_step(1000)
    for new, old, goal in zip(method.teacher.parameters(), before, method.student.parameters(), strict=True):
        assert torch.allclose(new, 0.9 * old + 0.1 * goal, atol=1e-6)


def test_the_teacher_predicts_in_evaluation_mode(made, unlabelled):
    def with_dropout() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 8, 1), nn.Dropout(0.5), nn.Conv2d(8, 3, 1))

    method = made("mean_teacher", student_of=with_dropout).train()
    first, again = method.predicted(unlabelled.image), method.predicted(unlabelled.image)
    assert torch.equal(first, again)
    assert all(module.training for module in method.teacher.modules())
    assert torch.allclose(first.sum(1), torch.ones(4, 12, 16))


def test_pictures_show_the_teachers_task(made, batch, still, unlabelled):
    method = made("mean_teacher", still)
    move(method.student)
    shown = method.pictures(batch())
    with torch.no_grad():
        confidence, classes = method.teacher(unlabelled.image).softmax(1).max(1, keepdim=True)
        answer = method.student(unlabelled.image).argmax(1, keepdim=True)
    assert torch.equal(shown["target"], classes)
    assert torch.allclose(shown["teacher"], confidence, atol=1e-5)
    assert torch.equal(shown["student"], answer)
    assert torch.allclose(shown["scan"], unlabelled.image, atol=1e-5)
    assert shown["valid"].all()
    assert "teacher" not in method.pictures(batch(unlabelled=None))


@pytest.mark.parametrize(("option", "value"), [("ema_decay", 1.5), ("weight", -1.0), ("ramp_up", 2.0)])
def test_values_out_of_range_are_refused(option, value):
    with pytest.raises(UsageError, match=rf"--method.{option} is {value}; expected"):
        MeanTeacherConfig(**{option: value})
