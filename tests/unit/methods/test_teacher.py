"""The moving average of a network's weights, over all networks: each tensor is averaged once."""

from typing import Any

import pytest
import torch
from torch import nn

from equireg import networks
from equireg.config import UNetConfig
from equireg.methods.schedules import moving_average_decay
from equireg.methods.teacher import copy_as_teacher, update_ema
from equireg.networks import NETWORKS

LARGER = ("tiramisu", "fc-densenet67", "fc-densenet103")
"""The builder of fc-densenet56 with more layers."""
ONE_OF_EACH = [name for name in NETWORKS if name not in LARGER]


def moved(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator))


def test_every_builder_is_looked_at():
    assert {NETWORKS[name].build for name in LARGER} == {NETWORKS["fc-densenet56"].build}


@pytest.mark.parametrize("step", [0, 5000])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_tensor_is_averaged_once(name, step):
    """MONAI's U-Net lists its weights several times in ``state_dict``; averaged as often, they would drift."""
    kind = NETWORKS[name].Options
    small: dict[str, Any] = {"features": 4} if hasattr(kind, "features") else {}
    options = kind(name=name, **small)
    student = networks.build(options, in_channels=1, out_channels=2, spatial_dims=2)
    teacher = copy_as_teacher(student)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    moved(student)
    update_ema(teacher, student, step, 0.99)
    keep = moving_average_decay(step, 0.99)
    goal = student.state_dict()
    for key, value in teacher.state_dict().items():
        if not value.is_floating_point():
            continue
        assert torch.allclose(value, keep * before[key] + (1 - keep) * goal[key], atol=1e-6), key
        assert value.data_ptr() != goal[key].data_ptr(), key


def test_an_average_of_equal_networks_stays_equal():
    student = networks.build(UNetConfig(features=4), in_channels=1, out_channels=2, spatial_dims=2)
    teacher = copy_as_teacher(student)
    for step in range(20):
        update_ema(teacher, student, step, 0.99)
    for mine, other in zip(teacher.parameters(), student.parameters(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-5)


def test_counts_are_copied():
    student = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    teacher = copy_as_teacher(student)
    student(torch.randn(4, 1, 3, 3))
    update_ema(teacher, student, 1000, 0.9)
    assert int(teacher.state_dict()["1.num_batches_tracked"]) == 1
    assert torch.allclose(teacher.state_dict()["1.running_mean"], 0.1 * student.state_dict()["1.running_mean"])
