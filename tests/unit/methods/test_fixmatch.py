"""FixMatch: which voxels count, what they are divided by, and that views and targets stay together."""

from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from equireg.config import IntensityConfig, TrainConfig, ViewsConfig
from equireg.errors import UsageError
from equireg.methods.base import Task
from equireg.methods.fixmatch import FixMatch, FixMatchConfig
from methods_made_up import STILL, some, some_batch


def method(views: ViewsConfig = STILL, **options: Any) -> FixMatch:
    """Return FixMatch with a network that looks at one voxel at a time, so that views and targets compare exactly."""
    torch.manual_seed(0)
    config = TrainConfig(method=FixMatchConfig(**options), views=views)
    return FixMatch(config, lambda: nn.Conv2d(1, 3, 1), 100)


def ask(made: FixMatch, seed: int = 0) -> Task:
    with torch.no_grad():
        return made.task(some(4), some_batch(seed=seed), 0)


def test_sure_voxels_count_and_all_are_divided_by():
    made = method(threshold=0.6, cutmix=0.0)
    task = ask(made)
    assert torch.equal(task.mask, (task.target.amax(dim=1, keepdim=True) >= 0.6).float())
    assert 0.1 < task.mask.mean() < 0.9
    logits = torch.randn((4, 3, 12, 16), generator=Generator().manual_seed(1))
    surprise = functional.cross_entropy(logits, task.target.argmax(dim=1), reduction="none")
    expected = (surprise * task.mask[:, 0]).sum() / task.area.sum()
    assert float(made.unsupervised_loss(logits, task)) == pytest.approx(float(expected), rel=1e-5)
    unsure = Task(task.image, task.target, task.area, torch.zeros_like(task.area))
    assert float(made.unsupervised_loss(logits, unsure)) == 0


def test_mixed_images_have_the_targets_of_their_own_voxels():
    made = method(cutmix=1.0, threshold=0.0)
    task = ask(made)
    assert not torch.equal(task.image, some(4).image)
    with torch.no_grad():
        assert torch.allclose(task.target, made.student(task.image).softmax(dim=1), atol=1e-6)


def test_the_target_is_predicted_ahead_of_the_intensity_changes():
    loud = IntensityConfig(probability=1.0)
    made = method(ViewsConfig(STILL.weak, STILL.strong, loud), cutmix=0.0)
    task = ask(made)
    assert (task.image - some(4).image).abs().mean() > 0.01
    with torch.no_grad():
        assert torch.allclose(task.target, made.student(some(4).image).softmax(dim=1), atol=1e-6)


def test_the_student_predicts_the_target_and_its_average_the_answer():
    made = method(cutmix=0.0, ema_decay=0.75)
    assert made.predictor is not made.student
    before = ask(made).target
    with torch.no_grad():
        for weight in made.average.parameters():
            weight.zero_()
        assert torch.equal(ask(made).target, before)
        made.after_step(90)
    weights: list[tuple[Tensor, Tensor]] = list(zip(made.average.parameters(), made.student.parameters(), strict=True))
    assert all(torch.allclose(mine, 0.25 * theirs) for mine, theirs in weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, r"--method.weight is -1.0; expected 0 or more"),
        ({"threshold": 1.5}, r"--method.threshold is 1.5; expected a probability from 0 to 1"),
        ({"cutmix": -0.5}, r"--method.cutmix is -0.5; expected a probability from 0 to 1"),
        ({"ema_decay": 2.0}, r"--method.ema_decay is 2.0; expected a decay from 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        FixMatchConfig(**options)
