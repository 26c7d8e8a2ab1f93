"""The thesis' recipe: crops, masks of each contrast, and what becomes of intensities."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equireg.config import PrepareConfig
from equireg.errors import UsageError
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawDataset
from equireg.preparation import bias_field
from equireg.preparation.case import CasePlan, recipe_steps, working_scan
from equireg.preparation.recipes.thesis import Thesis

PLAN = CasePlan(None, "z", {"name": "thesis", "n4_shrink": 2}, LabelTable((0, 1), ("background", "core")), 2)
CROPPING = replace(PLAN, keep_empty_slices=False)
BACKGROUNDS = (-7.0, 12.0)


def scan(shape: tuple[int, int, int] = (20, 18, 10)) -> tuple[np.ndarray, Geometry]:
    """Two contrasts whose tissue and whose backgrounds differ, some of it below 0; [2, X, Y, Z]."""
    rng = np.random.default_rng(0)
    image = np.empty((2, *shape), dtype=np.float32)
    for channel, (background, top) in enumerate(zip(BACKGROUNDS, (8, 6), strict=True)):
        image[channel] = background
        image[channel, 4:16, 3:15, 2:top] = np.rint(rng.normal(20, 40, (12, 12, top - 2))) + 0.5
    return image, Geometry.from_array(shape, np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_empty_slices_go_and_their_range_is_kept() -> None:
    image, geometry = scan()
    working = working_scan(image, geometry, CROPPING)
    assert working.image.shape == (2, 6, 18, 20)
    assert working.grid.crop == ((2, 8), (0, 18), (0, 20))
    assert working.grid.native == geometry


def test_a_scan_that_is_not_trained_on_keeps_all_slices() -> None:
    working = working_scan(*scan(), PLAN)
    assert working.image.shape == (2, 10, 18, 20)
    assert (working.image[:, :2] == 0).all()


def test_a_contrast_is_masked_by_its_own_background() -> None:
    image, geometry = scan()
    working = working_scan(image, geometry, PLAN)
    assert working.background == (0.0, 0.0)
    for channel, native, background in zip(working.image, image, BACKGROUNDS, strict=True):
        mask = working.grid.label_to_working(native != background)
        assert (channel[~mask] == 0).all()
        assert channel[mask].min() > 0
        assert channel[mask].max() == 1
        assert (channel.astype(np.float16)[mask] > 0).all(), "16 bits must tell tissue from background"


def test_equalised_tissue_is_spread_evenly() -> None:
    inside = working_scan(*scan(), CROPPING).image[0]
    assert np.quantile(inside[inside > 0], [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.02)


def test_a_wide_scan_is_cropped_about_its_centre_and_a_narrow_side_stays() -> None:
    image, geometry = np.zeros((2, 240, 100, 4), dtype=np.float32), Geometry.from_array((240, 100, 4), np.eye(4))
    image[:, 8:232, :, 1:3] = np.random.default_rng(0).normal(90, 9, (224, 100, 2))
    image[:, 2:6, 40:60, 1] = 50  # beyond the crop
    _, first = next(recipe_steps(image, geometry, replace(CROPPING)))
    assert first.grid.crop == ((1, 3), (0, 100), (8, 232))
    assert first.image.shape == (2, 2, 100, 224)
    assert (first.image != 0).all()


@pytest.mark.parametrize(("size", "start", "stop"), [(224, 0, 224), (225, 0, 224), (241, 8, 232), (30, 0, 30)])
def test_odd_and_small_sides(size: int, start: int, stop: int) -> None:
    image = np.zeros((2, size, 16, 3), dtype=np.float32)
    _, first = next(recipe_steps(image, Geometry.from_array((size, 16, 3), np.eye(4)), CROPPING))
    assert first.grid.crop[2] == (start, stop)


def test_the_steps_come_in_the_thesis_order() -> None:
    image, geometry = scan()
    steps = dict(recipe_steps(image, geometry, CROPPING))
    assert list(steps) == ["cropped", "bias corrected", "equalised"]
    cropped, corrected, equalised = (step.image for step in steps.values())
    np.testing.assert_array_equal(cropped, steps["cropped"].grid.image_to_working(image))
    assert steps["bias corrected"].background == BACKGROUNDS
    mask = cropped[0] != BACKGROUNDS[0]
    np.testing.assert_array_equal(
        corrected[0], bias_field.correct(cropped[0], mask, (1.0, 1.0, 1.0), 2), "the plan's factor counts"
    )
    # Equalisation keeps the order of intensities.
    order = np.argsort(corrected[0][mask])
    assert (np.diff(equalised[0][mask][order]) >= 0).all()


def test_the_shrink_factor_of_the_plan_counts() -> None:
    image, geometry = scan((40, 36, 20))
    coarse = replace(PLAN, normalisation={"name": "thesis", "n4_shrink": 2})
    fine = replace(PLAN, normalisation={"name": "thesis", "n4_shrink": 1})
    one, other = (working_scan(image, geometry, plan).image for plan in (coarse, fine))
    assert not np.array_equal(one, other)


def test_a_scan_without_a_constant_background_is_tissue_all_over() -> None:
    image = np.random.default_rng(0).normal(100, 20, (2, 12, 12, 8)).astype(np.float32)
    working = working_scan(image, Geometry.from_array((12, 12, 8), np.eye(4)), CROPPING)
    assert working.image.shape == (2, 8, 12, 12)
    assert (working.image > 0).all()


def test_an_empty_contrast_stays_empty() -> None:
    image, geometry = scan()
    image[1] = 12
    working = working_scan(image, geometry, CROPPING)
    assert (working.image[1] == 0).all()
    assert working.image[0].max() == 1


def test_the_callers_scan_is_left_alone() -> None:
    image, geometry = scan()
    before = image.copy()
    working_scan(image, geometry, PLAN)
    np.testing.assert_array_equal(image, before)


def test_tissue_that_has_the_backgrounds_value_is_no_hole() -> None:
    image, geometry = scan()
    image[:, 9, 8, 4] = BACKGROUNDS  # in the middle of the tissue of both
    equalised = working_scan(image, geometry, PLAN).image
    grid = working_scan(image, geometry, PLAN).grid
    place = np.zeros(geometry.shape, dtype=bool)
    place[9, 8, 4] = True
    assert (equalised[:, grid.label_to_working(place)] > 0).all()


def test_the_thesis_recipe_carries_its_factor() -> None:
    dataset = RawDataset(Path(), "brats", ("t1",), "mri", None, (), ())
    chosen = PrepareConfig(recipe="thesis", n4_shrink=3)
    assert Thesis().normalisation(chosen, dataset, [], PLAN.labels) == {"name": "thesis", "n4_shrink": 3}
    default = PrepareConfig(recipe="thesis", spacing="none", slice_axis="z")
    Thesis().check(default, "brats")
    assert Thesis().normalisation(default, dataset, [], PLAN.labels) == {"name": "thesis", "n4_shrink": 4}
    with pytest.raises(UsageError, match="--n4_shrink is 3; expected --recipe thesis"):
        PrepareConfig(n4_shrink=3)


@pytest.mark.parametrize(
    ("changes", "layout", "words"),
    [
        ({}, "plain", "--recipe thesis is for BraTS folders; this one has the layout plain"),
        ({"spacing": "1,1,1"}, "brats", "--spacing is 1,1,1; the thesis' recipe leaves no choice but auto or none"),
        ({"normalise": "zscore"}, "brats", "--normalise is zscore"),
        ({"slice_axis": "x"}, "brats", "--slice_axis is x"),
        ({"test_fraction": 0.1}, "brats", "--test_fraction is 0.1; the thesis' recipe leaves no choice but 0.0"),
    ],
)
def test_an_option_that_contradicts_the_thesis_recipe_is_refused(
    changes: dict[str, Any], layout: str, words: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        Thesis().check(PrepareConfig(**changes), layout)
