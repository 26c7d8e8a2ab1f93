"""The size of a training sample and the axes of mirroring."""

from typing import Any, Literal

import pytest

from equireg.batches.loading import PatchPlan
from equireg.batches.patches import mixed_sides, plan_patches
from equireg.config import TrainConfig, UNetConfig
from equireg.errors import UsageError
from equireg.imaging.labels import LabelTable
from prepared_sets import manifest, record


def plan(shape: list[int], dims: Literal[2, 3] = 2, **options: Any) -> PatchPlan:
    made = manifest([record("a")], fingerprint={"large_shape": shape})
    return plan_patches(made, TrainConfig(spatial_dims=dims, **options))


@pytest.mark.parametrize(
    ("shape", "dims", "expected"),
    [
        ([10, 61, 64], 2, (64, 64)),
        ([10, 61.2, 64.1], 2, (64, 80)),
        ([10, 3, 300], 2, (8, 320)),
        ([10, 512, 400], 2, (256, 256)),
        ([36, 50, 35], 3, (40, 56, 40)),
        ([155, 240, 240], 3, (80, 80, 80)),
        ([16, 300, 300], 3, (16, 160, 192)),
    ],
)
def test_a_patch_covers_the_scans_up_to_a_limit(
    shape: list[int], dims: Literal[2, 3], expected: tuple[int, ...]
) -> None:
    assert plan(shape, dims).patch_size == expected


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ([10, 61, 65], [[1, 1], [2, 2], [2, 1]], (64, 66)),
        ([10, 3, 300], [[1, 1], [1, 2]], (8, 300)),
        ([10, 512, 400], [[1, 1], [2, 2], [2, 2]], (256, 256)),
        ([155, 240, 240], [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2]], (64, 64, 64)),
    ],
)
def test_sides_divide_by_the_strides_that_are_given(
    shape: list[int], strides: list[list[int]], expected: tuple[int, ...]
) -> None:
    network = UNetConfig(strides=tuple(tuple(stride) for stride in strides))
    assert plan(shape, 3 if len(expected) == 3 else 2, network=network).patch_size == expected


def test_a_given_patch_is_taken() -> None:
    assert plan([10, 64, 64], patch_size=(16, 24)).patch_size == (16, 24)
    assert plan([10, 64, 64]).window == (1, 64, 64)
    assert plan([16, 64, 64], 3).window == (16, 64, 64)


@pytest.mark.parametrize(
    ("dims", "axes", "flips", "option", "expected"),
    [
        (2, "zyx", "xz", "data", (1,)),
        (3, "zyx", "xz", "data", (0, 2)),
        (2, "xzy", "xz", "data", (0,)),
        (3, "zyx", "xz", "none", ()),
        (3, "zyx", "", "data", ()),
        (3, "zyx", "xz", "x,y", (1, 2)),
        (2, "zyx", "", "z", ()),
    ],
)
def test_anatomical_axes_become_axes_of_a_sample(
    dims: Literal[2, 3], axes: str, flips: str, option: str, expected: tuple[int, ...]
) -> None:
    made = manifest([record("a")], fingerprint={"large_shape": [16, 16, 16]}, axes=axes, flips=flips)
    assert plan_patches(made, TrainConfig(spatial_dims=dims, flips=option)).flip_axes == expected


def test_an_unknown_axis_is_refused() -> None:
    with pytest.raises(UsageError, match="--flips is w; expected data, none or some of x,y,z"):
        plan_patches(manifest([record("a")]), TrainConfig(flips="w"))


KIDNEYS = LabelTable((0, 1, 2, 3), ("background", "liver", "kidney_left", "kidney_right"))


@pytest.mark.parametrize(
    ("labels", "prepared", "options", "expected"),
    [
        (KIDNEYS, "yz", {"flips": "x,y"}, "along x (kidney_left and kidney_right), where"),
        (KIDNEYS, "yz", {"flips": "none", "turns": "xy"}, "along x (kidney_left and kidney_right), where"),
        (LabelTable((0, 1), ("background", "anterior")), "xz", {"flips": "y"}, "along y (anterior), where"),
        (KIDNEYS, "yz", {}, None),
        (KIDNEYS, "yz", {"flips": "y", "turns": "data"}, None),
        (KIDNEYS, "xyz", {"flips": "x,y"}, None),  # as asked of `prepare`
        (LabelTable((0, 1), ("background", "liver")), "", {"flips": "x,y"}, None),
    ],
)
def test_samples_that_lose_the_sides_of_their_labels_are_told(
    labels: LabelTable, prepared: str, options: dict[str, Any], expected: str | None
) -> None:
    cubes = record("a", spacing_mm=(1.0, 1.0, 1.0))
    made = manifest([cubes], fingerprint={"large_shape": [16, 16, 16]}, flips=prepared, labels=labels)
    told = mixed_sides(made, plan_patches(made, TrainConfig(**options)))
    assert told is None if expected is None else expected in str(told)
