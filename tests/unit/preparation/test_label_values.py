"""What mixed kinds of masks, and values in a voxel or two, are told as."""

import logging
from pathlib import Path

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.preparation.label_values import (
    check_kinds,
    edge_of,
    tell_background,
    tell_lossy,
    tell_no_background,
    tell_objects,
    tell_strays,
)

A, B, C, D = (Path(f"{name}.nii.gz") for name in "abcd")


def test_masks_of_one_and_of_255_are_two_kinds():
    with pytest.raises(EquiregError, match=r"a.nii.gz: holds 0 and 1, c.nii.gz 0 and 255, as 2 and 1 masks do"):
        check_kinds({A: [0, 1], B: [0, 1], C: [0, 255]})


@pytest.mark.parametrize("third", [[0, 1, 255], [0, 2], [0, 1, 2]])
def test_other_values_may_mean_something_else(third, caplog):
    check_kinds({A: [0, 1], B: [0, 255], C: third})
    assert not caplog.records  # the remark on 255 is of pictures


@pytest.mark.parametrize(("one", "other"), [(255, 65535), (254, 255), (1, 65535)])
def test_white_of_two_depths_is_two_kinds(one, other):
    with pytest.raises(EquiregError, match=f"b.nii.gz: holds 0 and {one}, a.nii.gz 0 and {other}, as 1 and 2 masks do"):
        check_kinds({A: [0, other], B: [0, one], C: [other], D: [0]})


@pytest.mark.parametrize(
    ("second", "told"),
    [([0, 128], "1 of 2 masks show 255 alone, and others show 128"), ([0, 128, 255], "the masks show 255 beside 128")],
)
def test_white_is_to_be_ignored_only_beside_a_label(second, told, caplog):
    check_kinds({Path("a.png"): [0, 255], Path("b.png"): second})
    (record,) = caplog.records
    assert told in record.getMessage()


def _eyes(*cups: int, white: int = 900) -> dict[Path, dict[int, int]]:
    return {Path(f"{i}.png"): {0: cup, 128: 50, 255: white} for i, cup in enumerate(cups)}


def test_another_background_than_0_is_told_with_the_rows_that_mend_it(caplog):
    masks = _eyes(10, 20, 30)
    assert tell_background(masks, dict.fromkeys(masks, 255), {}) == 255
    check_kinds(masks, 255)  # and 255 is not told as what nobody annotated
    (record,) = caplog.records
    assert "255 covers the border of 3 of 3 masks, as a background does" in record.getMessage()
    assert 'the rows "#ffffff,0", "#000000,1", "#808080,2"' in record.getMessage()
    caplog.clear()
    tell_background(masks, dict.fromkeys(masks, 255), {255: (1, 2, 3)})
    assert '"#010203,0", "#000000,1"' in caplog.text
    masks = {path: {0: 10, 65535: 900} for path in masks}
    assert tell_background(masks, dict.fromkeys(masks, 65535), {}) == 65535
    assert "save the masks with 0 there" in caplog.text


@pytest.mark.parametrize(
    ("masks", "edges"),
    [
        (_eyes(10, 20, 30), [255, 255, None]),  # a border of several values
        (_eyes(10, 20, 30), [0, 0, 0]),
        (_eyes(10, 20, 30, white=5), [255, 255, 255]),  # a frame
        ({Path("0.png"): {255: 900}}, [255]),  # one value tells nothing
        ({A: {0: 10, 255: 900}}, [255]),  # a volume
        ({}, []),
    ],
)
def test_a_background_of_0_is_not_told(masks, edges, caplog):
    assert tell_background(masks, dict(zip(masks, edges, strict=True)), {}) == 0
    assert not caplog.records


def test_the_value_that_covers_a_border():
    label = np.full((20, 30, 1), 255)
    label[5:9, 5:9] = 0
    label[0, :8] = 7
    assert edge_of(label) == 255
    label[:, 0] = 7
    assert edge_of(label) is None
    assert edge_of(np.zeros((1, 1, 1), dtype=int)) == 0


def test_a_value_of_a_voxel_in_one_mask_is_told(caplog):
    tell_strays({A: {0: 900, 1: 100}, B: {0: 900, 1: 99, 7: 1}, C: {0: 900, 1: 100}})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "one mask alone shows the value 7 (b.nii.gz, voxels: 1)" in record.getMessage()


def test_many_strays_are_one_line(caplog):
    tell_strays({A: {1: 10**6, **dict.fromkeys(range(2, 9), 500)}, B: {1: 100}, C: {1: 100}})
    (record,) = caplog.records
    assert "shows the values 2 (a.nii.gz, voxels: 500), 3 (" in record.getMessage()
    assert "..." in record.getMessage()


@pytest.mark.parametrize(
    "voxels",
    [
        {A: {0: 900, 1: 100}, B: {0: 900, 1: 60, 7: 40}, C: {1: 100}},  # a structure that few patients have
        {A: {0: 900, 1: 100, 7: 1}, B: {1: 100, 7: 1}, C: {1: 100}},  # a small one
        {A: {0: 900, 1: 100}, B: {0: 999, 7: 1}, C: {1: 100}},  # all that a mask shows
        {A: {0: 900, 1: 100}, B: {0: 900, 1: 99, 7: 1}},  # of two masks none is the odd one
    ],
)
def test_what_may_be_meant_is_not_told(voxels, caplog):
    tell_strays(voxels)
    assert not caplog.records


def _around(*levels: int) -> dict[int, int]:
    """Return counts of levels, and of the values beside them that compression leaves."""
    return {0: 9000} | {
        level + by: 900 if by == 0 else 4 for level in levels for by in range(-6, 7) if level + by < 256
    }


def test_values_that_crowd_about_a_few_are_told(caplog):
    tell_lossy({Path("a.png"): _around(80, 160), Path("b.png"): _around(160, 240)})
    assert "the masks show 40 values, all close to 0, 80, 160, 240" in caplog.text


@pytest.mark.parametrize(
    "voxels",
    [
        {Path("a.nii.gz"): _around(80, 160)},
        {Path("a.png"): {0: 9000, **dict.fromkeys(range(1, 90), 5)}},  # objects, numbered
        {Path("a.png"): {0: 9000, **{value: 900 // value for value in range(1, 90)}}},  # classes, few of them frequent
        {Path("a.png"): {0: 9000, 80: 900, 160: 900, 240: 900}},
    ],
)
def test_values_that_are_meant_are_not_told(voxels, caplog):
    tell_lossy(voxels)
    assert not caplog.records


def test_masks_without_a_background_are_told(caplog):
    tell_no_background({A: {1: 90, 2: 10}, B: {1: 70, 3: 30}})
    assert "no mask shows 0" in caplog.text
    assert "the value 1 covers 80%" in caplog.text


@pytest.mark.parametrize("voxels", [{}, {A: {1: 90, 2: 10}, B: {0: 70, 3: 30}}, {A: {1: 90}, B: {2: 70, 3: 30}}])
def test_masks_with_a_background_are_not_told(voxels, caplog):
    tell_no_background(voxels)
    assert not caplog.records


def _up_to(*numbers: int) -> dict[Path, range]:
    return {Path(f"{place}.png"): range(number + 1) for place, number in enumerate(numbers)}


def test_objects_that_are_numbered_are_told(caplog):
    tell_objects(_up_to(9, 0, 4, 6, 4))
    assert "1 to a number that differs from mask to mask (up to 9)" in caplog.text


@pytest.mark.parametrize(
    "values",
    [_up_to(1, 2, 3), _up_to(9, 9, 9, 8), {**_up_to(9, 4, 6), Path("x.png"): {0, 2, 7}}],
)
def test_classes_are_not_taken_for_objects(values, caplog):
    tell_objects(values)
    assert not caplog.records
