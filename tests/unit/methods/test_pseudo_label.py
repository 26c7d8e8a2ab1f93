"""Pseudo-label's own arithmetic: the student's class as its target, and a weight that starts late."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from equireg.config import TrainConfig
from equireg.errors import UsageError
from equireg.losses import soft_dice_loss
from equireg.methods.pseudo_label import PseudoLabel, PseudoLabelConfig

LATE = 99


def test_the_weight_is_zero_at_first_then_rises_evenly(made):
    method = made("pseudo_label")
    weights = [method.weight_at(step) for step in (0, 9, 10, 35, 60, 99)]
    assert weights == pytest.approx([0, 0, 0, 1.5, 3, 3])
    assert [made("pseudo_label", start=0.2, ramp_up=0.0).weight_at(step) for step in (19, 20)] == [0, 3]
    assert made("pseudo_label", start=0.0, ramp_up=1.0, weight=1.0).weight_at(25) == pytest.approx(0.25)


def test_before_the_start_the_unlabelled_scans_change_nothing(made, batch):
    method, baseline = made("pseudo_label"), made("supervised")
    losses = method.losses(batch(7), 5)
    losses["total"].backward()
    baseline.losses(batch(7), 5)["total"].backward()
    assert losses["unsupervised"] > 0.1
    for ours, theirs in zip(method.student.parameters(), baseline.student.parameters(), strict=True):
        assert ours.grad is not None
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_the_loss_is_that_of_an_annotation_with_the_own_class(made, batch, still, unlabelled):
    method = made("pseudo_label", still)
    with torch.no_grad():
        logits = method.student(unlabelled.image)
        classes = logits.argmax(1)
        entropy = functional.cross_entropy(logits, classes)
        overlap = soft_dice_loss(logits, classes[:, None], unlabelled.valid)
    losses = method.losses(batch(), LATE)
    assert float(losses["unsupervised"]) == pytest.approx(float(entropy + overlap), rel=1e-4)
    assert float(losses["total"].detach()) == pytest.approx(
        float(losses["supervised"] + 3 * losses["unsupervised"]), rel=1e-5
    )


def test_without_dice_where_the_run_says_so(network, batch, still, unlabelled):
    config = TrainConfig(method=PseudoLabelConfig(), views=still, supervised_loss="ce")
    method = PseudoLabel(config, network, 100)
    with torch.no_grad():
        logits = method.student(unlabelled.image)
    expected = float(functional.cross_entropy(logits, logits.argmax(1)))
    assert float(method.losses(batch(), LATE)["unsupervised"]) == pytest.approx(expected, rel=1e-4)


def test_the_student_grows_surer_of_its_own_class(made, batch, still, unlabelled):
    """The gradient goes through the answer alone: a step along it raises the confidence."""
    method = made("pseudo_label", still)

    def confidence() -> float:
        with torch.no_grad():
            return float(method.student(unlabelled.image).softmax(1).amax(1).mean())

    before = confidence()
    losses = method.losses(batch(), LATE)
    (losses["total"] - method.losses(batch(unlabelled=None), LATE)["total"]).backward()
    with torch.no_grad():
        for weight in method.student.parameters():
            assert weight.grad is not None
            weight.sub_(0.05 * weight.grad)
    assert confidence() > before + 1e-3


def test_target_and_answer_are_of_one_image(made, batch, unlabelled):
    """No other view comes between them: the default views turn and change the image, once."""
    method = made("pseudo_label")
    with torch.no_grad():
        task = method.task(unlabelled, batch(), 0)
        assert not torch.equal(task.image, unlabelled.image)
        assert torch.allclose(task.target, method.student(task.image).softmax(1), atol=1e-6)
    assert torch.equal(task.mask, task.area)


def test_the_target_is_predicted_in_evaluation_mode(made, batch, unlabelled):
    def with_dropout() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 8, 1), nn.Dropout(0.5), nn.Conv2d(8, 3, 1))

    method = made("pseudo_label", student_of=with_dropout).train()
    with torch.no_grad():
        task = method.task(unlabelled, batch(), 0)
        noisy = method.student(task.image).softmax(1)
        assert torch.allclose(task.target, method.student.eval()(task.image).softmax(1), atol=1e-6)
    assert not torch.allclose(task.target, noisy, atol=1e-3)


def test_the_student_predicts(made):
    method = made("pseudo_label")
    assert method.predictor is method.student
    assert all(weight.requires_grad for weight in method.parameters())


@pytest.mark.parametrize(("option", "value"), [("weight", -1.0), ("start", 1.5), ("ramp_up", -0.5)])
def test_values_out_of_range_are_refused(option, value):
    with pytest.raises(UsageError, match=rf"--method.{option} is {value}; expected"):
        PseudoLabelConfig(**{option: value})
