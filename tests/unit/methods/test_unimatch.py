"""UniMatch: three views of one target, their weights, and features that are missing in one of them."""

from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg import networks
from equireg.config import IntensityConfig, SpatialConfig, TrainConfig, UNetConfig, ViewsConfig
from equireg.errors import UsageError
from equireg.losses import soft_dice_loss
from equireg.methods.base import Task
from equireg.methods.evaluation_mode import evaluating
from equireg.methods.unimatch import UniMatch, UniMatchConfig
from methods_made_up import some, some_batch

SHAPE = (16, 16)
VIEWS = ViewsConfig(SpatialConfig(probability=0.0), SpatialConfig(probability=0.0), IntensityConfig(probability=1.0))


def method(**options: Any) -> UniMatch:
    torch.manual_seed(0)
    config = TrainConfig(method=UniMatchConfig(**options), views=VIEWS, network=UNetConfig(features=8, stages=3))
    return UniMatch(
        config,
        lambda: networks.build(config.network, in_channels=1, out_channels=3, spatial_dims=2, patch_size=(16, 16)),
        100,
    )


def ask(made: UniMatch) -> Task:
    with torch.no_grad():
        return made.task(some(4, SHAPE), some_batch(SHAPE), 0)


def test_two_strong_views_and_the_weak_one_share_a_target():
    task = ask(method(cutmix=0.0, threshold=0.0))
    first, second, weak = task.image.chunk(3)
    assert torch.equal(weak, some(4, SHAPE).image)
    assert all((one - other).abs().mean() > 0.01 for one, other in ((first, second), (first, weak), (second, weak)))
    targets = task.target.chunk(3)
    assert torch.equal(targets[0], targets[2])
    assert torch.equal(targets[1], targets[2])


def test_each_strong_view_has_boxes_of_its_own_and_the_weak_one_none():
    first, second, weak = ask(method(cutmix=1.0, threshold=0.0)).target.chunk(3)
    assert all(not torch.equal(one, other) for one, other in ((first, second), (first, weak), (second, weak)))
    made = method(cutmix=1.0)
    with torch.no_grad(), evaluating(made.student) as student:
        assert torch.allclose(weak, student(some(4, SHAPE).image).softmax(dim=1), atol=1e-6)


def test_the_views_weigh_a_quarter_a_quarter_and_a_half():
    task = ask(method(threshold=0.5))
    logits = torch.randn((12, 3, 16, 16), generator=Generator().manual_seed(1))
    classes = task.target.argmax(dim=1, keepdim=True)

    def dice(rows: slice) -> float:
        return float(soft_dice_loss(logits[rows], classes[rows], task.mask[rows]))

    assert 0 < task.mask.mean() < 1
    expected = 0.25 * dice(slice(0, 4)) + 0.25 * dice(slice(4, 8)) + 0.5 * dice(slice(8, 12))
    assert float(method().unsupervised_loss(logits, task)) == pytest.approx(expected, rel=1e-5)


def test_maps_are_missing_in_the_weak_view_of_the_students_pass_alone():
    """Seen at the network's door: the same images with and without dropout."""
    answers: dict[float, list[Tensor]] = {}
    for dropout in (0.0, 0.5):
        made = method(dropout=dropout, cutmix=0.0)
        found: list[Tensor] = []
        made.student.register_forward_hook(lambda *call, found=found: found.append(call[-1].detach()))
        made.losses(some_batch(SHAPE), 0)
        assert [len(output) for output in found] == [4, 2 + 3 * 4]
        answers[dropout] = found
    (target, plain), (same_target, missing) = answers[0.0], answers[0.5]
    assert torch.equal(target, same_target)
    assert torch.allclose(plain[:10], missing[:10], atol=1e-5)
    assert all((plain[row] - missing[row]).abs().mean() > 0.01 for row in range(10, 14))


def test_a_dropout_of_everything_is_refused():
    with pytest.raises(UsageError, match=r"--method.dropout is 1.0; expected a number from 0 to below 1"):
        UniMatchConfig(dropout=1.0)


def test_a_network_whose_encoder_is_not_known_is_refused_before_training():
    with pytest.raises(UsageError, match="where that of Conv2d has its stages is not known"):
        UniMatch(TrainConfig(method=UniMatchConfig()), lambda: nn.Conv2d(1, 2, 1), 10)
