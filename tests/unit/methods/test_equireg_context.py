"""A second window of the same scan: its prediction enters the target where both windows overlap, in its place."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg.batches.batch import Batch, Samples
from equireg.config import IntensityConfig, SpatialConfig, TrainConfig, ViewsConfig
from equireg.config.methods import EquiRegConfig
from equireg.errors import UsageError
from equireg.methods.equireg import EquiReg
from methods_made_up import STILL, some_batch

MOVES = ViewsConfig(SpatialConfig(probability=1.0), SpatialConfig(probability=1.0), IntensityConfig(probability=0.0))
SHIFTS = torch.tensor([[3, 0], [-2, 4], [0, 0], [5, -6]])
SIDES = (12, 16)


def scans() -> Tensor:
    return torch.randn((4, 1, 24, 32), generator=Generator().manual_seed(0))


def window(at: Tensor) -> Tensor:
    """Cut the window that begins at a place of each scan."""
    return torch.stack([scan[:, y : y + 12, x : x + 16] for scan, (y, x) in zip(scans(), at.tolist(), strict=True)])


def samples() -> Samples:
    start = torch.full((4, 2), 6)
    known = some_batch().unlabelled
    assert known is not None
    spacing = torch.tensor([2.0, 1.0]).expand(4, 2)
    return replace(
        known, image=window(start), spacing_mm=spacing, second=window(start + SHIFTS), second_shift_vox=SHIFTS
    )


def method(network: nn.Module, views: ViewsConfig = STILL, **options: Any) -> EquiReg:
    options = {"threshold": 0.0, "passes": 1, "cutmix": 0.0, "context": 0.4, **options}
    return EquiReg(TrainConfig(method=EquiRegConfig(**options), views=views), lambda: network, 100)


def target(made: EquiReg, given: Samples) -> Tensor:
    batch = Batch(some_batch().labelled, given, Generator().manual_seed(0), (0, 1))
    return made.task(given, batch, 0).target


@pytest.mark.parametrize("views", [STILL, MOVES])
def test_where_a_voxel_decides_alone_both_windows_agree(views):
    """The second prediction lands on the voxels that it is of, also under flips in both views."""
    torch.manual_seed(0)
    made = method(nn.Conv2d(1, 3, 1), views)
    alone = target(made, replace(samples(), second=None, second_shift_vox=None))
    assert torch.allclose(target(made, samples()), alone, atol=1e-4)
    elsewhere = replace(samples(), second_shift_vox=SHIFTS + 1)
    assert not torch.allclose(target(made, elsewhere), alone, atol=1e-2)


def test_the_target_is_the_mean_where_both_see():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 3, 5, padding=2)
    found = target(method(network), samples())
    given = samples()
    assert given.second is not None
    with torch.no_grad():
        own, other = network(given.image).softmax(1), network(given.second).softmax(1)
    differ = 0.0
    for row, (dy, dx) in enumerate(SHIFTS.tolist()):
        expected = own[row].clone()
        for y in range(12):
            for x in range(16):
                if 0 <= y - dy < 12 and 0 <= x - dx < 16:
                    expected[:, y, x] = (own[row, :, y, x] + other[row, :, y - dy, x - dx]) / 2
        assert torch.allclose(found[row], expected, atol=1e-4)
        differ = max(differ, float((expected - own[row]).abs().max()))
    assert differ > 0.05


def test_two_networks_each_get_both_windows():
    torch.manual_seed(0)
    made = method(nn.Conv2d(1, 3, 5, padding=2))
    crossed = EquiReg(
        replace(made.config, method=replace(made.options, teacher="cross")), lambda: nn.Conv2d(1, 3, 5, padding=2), 100
    )
    batch = Batch(some_batch().labelled, samples(), Generator().manual_seed(0), ())
    tasks = crossed.tasks(samples(), crossed.augmented(batch), batch, 0)
    alone = replace(samples(), second=None, second_shift_vox=None)
    others = crossed.tasks(alone, crossed.augmented(batch), batch, 0)
    assert len(tasks) == 2
    for task, other in zip(tasks, others, strict=True):
        assert not torch.allclose(task.target, other.target, atol=1e-2)
        assert torch.equal(task.area, other.area)


def test_it_is_off_without_the_option():
    assert EquiRegConfig().second_window == 0
    assert EquiRegConfig(context=0.25).second_window == 0.25
    with pytest.raises(UsageError, match=r"--method\.context is 0\.6; expected 0 to 0\.5"):
        EquiRegConfig(context=0.6)
