"""Losses against their definitions, on valid voxels only, with gradients that reach the student alone."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from equireg.losses import (
    Averaging,
    annealed_cross_entropy,
    cross_entropy,
    equivariance_loss,
    masked_mean,
    negative_cross_entropy,
    soft_dice_loss,
    squared_error,
)

LOSSES = [equivariance_loss, cross_entropy, soft_dice_loss, squared_error, negative_cross_entropy]
SHAPES = [(2, 3, 4, 5), (1, 4, 3, 4, 2)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made_up(shape, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits and target probabilities [B, C, *S], and a mask [B, 1, *S] of about two thirds."""
    valid = (noise(shape[0], 1, *shape[2:], seed=seed + 2) > -0.4).float()
    return noise(*shape, seed=seed), noise(*shape, seed=seed + 1).mul(2).softmax(1), valid


def classes_of(probs: Tensor) -> Tensor:
    return probs.argmax(dim=1, keepdim=True)


def rows(values: Tensor, valid: Tensor) -> Tensor:
    """Return the valid voxels of [B, C, *S] as [N, C]."""
    return values.movedim(1, -1)[valid[:, 0] > 0]


@pytest.mark.parametrize("shape", SHAPES)
def test_equivariance_loss_is_torchs_divergence(shape):
    logits, target, valid = made_up(shape)
    expected = functional.kl_div(rows(logits, valid).log_softmax(1), rows(target, valid), reduction="batchmean")
    assert float(equivariance_loss(logits, target, valid)) == pytest.approx(float(expected), abs=1e-6)


def test_equivariance_loss_of_equal_distributions_is_zero():
    logits, _, valid = made_up((2, 3, 4, 5))
    assert float(equivariance_loss(logits, logits.softmax(1), valid)) == pytest.approx(0, abs=1e-6)
    assert float(equivariance_loss(logits + 7, logits.softmax(1), valid)) == pytest.approx(0, abs=1e-6)
    assert float(equivariance_loss(logits * 2, logits.softmax(1), valid)) > 0.01


def test_equivariance_loss_takes_hard_targets():
    logits, target, valid = made_up((2, 3, 4, 5))
    hard = functional.one_hot(target.argmax(1), 3).movedim(-1, 1).float()
    expected = functional.cross_entropy(rows(logits, valid), rows(target, valid).argmax(1))
    assert float(equivariance_loss(logits, hard, valid)) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_is_torchs(shape):
    logits, target, valid = made_up(shape)
    soft = functional.cross_entropy(rows(logits, valid), rows(target, valid))
    hard = functional.cross_entropy(rows(logits, valid), rows(target, valid).argmax(1))
    assert float(cross_entropy(logits, target, valid)) == pytest.approx(float(soft), abs=1e-6)
    assert float(cross_entropy(logits, classes_of(target), valid)) == pytest.approx(float(hard), abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_negative_cross_entropy_is_the_sum_by_hand(shape):
    logits, target, valid = made_up(shape)
    unlikely = (target < 0.2).float()
    expected = -((1 - rows(logits, valid).softmax(1)).log() * rows(unlikely, valid)).sum(1).mean()
    assert float(negative_cross_entropy(logits, unlikely, valid)) == pytest.approx(float(expected), rel=1e-4)
    assert float(negative_cross_entropy(logits, torch.zeros_like(target), valid)) == 0
    halved = negative_cross_entropy(logits, unlikely, valid, Averaging(2 * valid))
    assert float(halved) == pytest.approx(float(expected) / 2, rel=1e-4)


@pytest.mark.parametrize("surest", [2.0, 20.0, 200.0])
def test_negative_cross_entropy_pushes_down_what_is_ruled_out_and_nothing_else(surest):
    logits = torch.tensor([surest, 0.0, -1.0]).view(1, 3, 1, 1).requires_grad_()
    unlikely = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    negative_cross_entropy(logits, unlikely, torch.ones(1, 1, 1, 1)).backward()
    assert logits.grad is not None
    slope, probs = logits.grad.flatten(), logits.detach().flatten().softmax(0)
    assert float(slope[0]) == pytest.approx(float(probs[0]), rel=1e-4)  # d/dz of -log(1 - p)
    assert (slope[1:] < 0).all()
    assert float(slope.sum()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_squared_error_is_torchs_on_probabilities(shape):
    logits, target, valid = made_up(shape)
    expected = functional.mse_loss(rows(logits, valid).softmax(1), rows(target, valid))
    assert float(squared_error(logits, target, valid)) == pytest.approx(float(expected), rel=1e-5)
    assert float(squared_error(logits + 7, logits.softmax(1), valid)) == pytest.approx(0, abs=1e-10)


def test_squared_error_of_opposite_certainties_is_its_greatest():
    logits = torch.tensor([60.0, -60.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    assert float(squared_error(logits, logits.flip(1).softmax(1), torch.ones(1, 1, 4, 4))) == pytest.approx(1)


@pytest.mark.parametrize("shape", SHAPES)
def test_soft_dice_by_its_definition(shape):
    logits, target, valid = made_up(shape)
    probs, wanted = rows(logits, valid).softmax(1), rows(target, valid)
    each = [2 * (probs[:, c] @ wanted[:, c]) / (probs[:, c] + wanted[:, c]).sum() for c in range(1, shape[1])]
    expected = 1 - sum(float(value) for value in each) / len(each)
    assert float(soft_dice_loss(logits, target, valid)) == pytest.approx(expected, abs=1e-4)


def test_soft_dice_of_a_perfect_and_of_a_wrong_answer():
    label = torch.arange(24).view(1, 1, 4, 6) % 3
    certain = functional.one_hot(label[:, 0], 3).movedim(-1, 1) * 50.0
    everywhere = torch.ones(1, 1, 4, 6)
    assert float(soft_dice_loss(certain, label, everywhere)) == pytest.approx(0, abs=1e-5)
    assert float(soft_dice_loss(certain, (label + 1) % 3, everywhere)) == pytest.approx(1, abs=1e-4)


def test_soft_dice_sums_over_the_batch():
    label = torch.zeros(2, 1, 4, 4, dtype=torch.long)
    label[0, 0, :2] = 1  # absent from the second sample
    logits = functional.one_hot(label[:, 0], 2).movedim(-1, 1) * 50.0
    logits[1, :, 0, 0] = torch.tensor([-50.0, 50.0])  # one false voxel there
    assert float(soft_dice_loss(logits, label, torch.ones(2, 1, 4, 4))) == pytest.approx(1 - 16 / 17, abs=1e-4)


def test_a_class_that_neither_side_shows_counts_as_right():
    label = torch.zeros(1, 1, 4, 4, dtype=torch.long)
    logits = torch.tensor([60.0, -60.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    assert float(soft_dice_loss(logits, label, torch.ones(1, 1, 4, 4))) == pytest.approx(0, abs=1e-5)


def loss_and_gradient(loss, logits: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = loss(logits, target, valid)
    value.backward()
    assert logits.grad is not None
    return value.detach(), logits.grad


@pytest.mark.parametrize("bad", [1e4, float("inf"), float("nan")])
@pytest.mark.parametrize("loss", LOSSES)
def test_voxels_that_are_not_valid_do_not_matter(loss, bad):
    logits, target, valid = made_up((2, 3, 4, 5))
    hidden = (valid == 0).expand_as(logits)
    value, gradient = loss_and_gradient(loss, logits, target, valid)
    spoilt = torch.where(hidden, bad, logits), torch.where(hidden, bad, target)
    other, other_gradient = loss_and_gradient(loss, *spoilt, valid)
    assert torch.equal(value, other)
    assert torch.equal(gradient, other_gradient)
    assert (gradient[hidden] == 0).all()
    assert (gradient[~hidden] != 0).all()


@pytest.mark.parametrize("loss", [cross_entropy, soft_dice_loss])
def test_the_index_of_ignored_voxels_may_be_no_class(loss):
    logits, target, valid = made_up((2, 3, 4, 5))
    label = classes_of(target)
    spoilt = torch.where(valid > 0, label, 255).to(torch.uint8)
    assert torch.equal(loss(logits, label, valid), loss(logits, spoilt, valid))


@pytest.mark.parametrize("loss", LOSSES)
def test_no_valid_voxel_gives_zero_and_no_gradient(loss):
    logits, target, valid = made_up((2, 3, 4, 5))
    value, gradient = loss_and_gradient(loss, logits, target, torch.zeros_like(valid))
    assert float(value) == pytest.approx(0, abs=1e-6)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_reaches_the_student_alone(loss):
    logits, target, valid = made_up((2, 3, 4, 5))
    teacher = target.requires_grad_()
    _, gradient = loss_and_gradient(loss, logits, teacher, valid)
    assert teacher.grad is None
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_the_slope(loss):
    logits, target, valid = made_up((1, 3, 2, 3), seed=5)
    _, gradient = loss_and_gradient(loss, logits, target, valid)
    for seed in range(3):
        direction = noise(*logits.shape, seed=seed + 50)
        slope = (loss(logits + 1e-2 * direction, target, valid) - loss(logits - 1e-2 * direction, target, valid)) / 2e-2
        assert float(slope) == pytest.approx(float((gradient * direction).sum()), rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_huge_logits_stay_finite(loss):
    logits, target, valid = made_up((2, 3, 4, 5))
    value, gradient = loss_and_gradient(loss, logits * 1e4, target.round(), valid)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_summed_in_full(loss):
    logits, target, valid = made_up((2, 3, 32, 32))
    full = loss(logits.bfloat16().float(), target, valid)
    half = loss(logits.bfloat16(), target, valid.bfloat16())
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(full), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_that_do_not_fit_are_refused(loss):
    logits, target, valid = made_up((2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"expected \(2, 3, 4, 5\)"):
        loss(logits, target[:, :2], valid)
    with pytest.raises(ValueError, match="valid"):
        loss(logits, target, valid.expand(2, 3, 4, 5))
    with pytest.raises(ValueError, match="valid"):
        loss(logits, target, valid[:, 0])


def test_an_index_target_has_one_channel():
    logits, target, valid = made_up((2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"expected \(2, 1, 4, 5\)"):
        cross_entropy(logits, classes_of(target)[:, 0], valid)


def test_masked_mean_weighs():
    values = torch.tensor([1.0, 3.0, float("inf")])
    assert float(masked_mean(values, torch.tensor([1.0, 3.0, 0.0]))) == pytest.approx(2.5)
    assert float(masked_mean(values, torch.zeros(3))) == 0


def test_averages_by_image_weigh_images_and_not_voxels():
    values = torch.tensor([1.0, 2.0, 3.0, 7.0]).view(2, 1, 2)
    weight = torch.tensor([1.0, 1.0, 0.0, 1.0]).view(2, 1, 2)
    assert float(masked_mean(values, weight)) == pytest.approx(10 / 3)
    assert float(masked_mean(values, weight, Averaging(by_image=True))) == pytest.approx((1.5 + 7) / 2)
    everywhere = torch.ones_like(weight)
    assert float(masked_mean(values, weight, Averaging(everywhere, by_image=True))) == pytest.approx((1.5 + 3.5) / 2)
    assert float(masked_mean(values, weight, Averaging(everywhere))) == pytest.approx(10 / 4)
    nothing = torch.zeros_like(weight)
    assert float(masked_mean(values, nothing, Averaging(by_image=True))) == 0


def annealed_by_hand(logits: Tensor, label: Tensor, threshold: float | None) -> float:
    images = []
    for scores, classes in zip(logits, label, strict=True):
        losses = []
        for voxel, index in zip(scores.flatten(1).T, classes.flatten(), strict=True):
            right = float(torch.softmax(voxel, dim=0)[index])
            if threshold is None:
                losses.append((1 - right) * -math.log(right))
            elif right <= threshold:
                losses.append(-math.log(right))
        images.append(sum(losses) / len(losses) if losses else 0.0)
    return sum(images) / len(images)


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.8, 1.0, None])
def test_annealing_is_the_sum_by_hand(threshold):
    logits, target, _ = made_up((2, 3, 4, 5))
    label, valid = classes_of(target), torch.ones(2, 1, 4, 5)
    found = annealed_cross_entropy(logits, label, valid, threshold)
    assert float(found) == pytest.approx(annealed_by_hand(logits, label, threshold), rel=1e-5)


def test_annealing_passes_no_gradient_to_voxels_that_are_right():
    logits = torch.tensor([[3.0, -3.0], [0.1, 0.0]]).T.reshape(1, 2, 1, 2).requires_grad_()
    annealed_cross_entropy(logits, torch.zeros(1, 1, 1, 2).long(), torch.ones(1, 1, 1, 2), 0.9).backward()
    assert logits.grad is not None
    assert (logits.grad[..., 0] == 0).all()
    assert (logits.grad[..., 1] != 0).all()
