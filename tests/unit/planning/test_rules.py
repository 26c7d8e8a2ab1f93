"""What the fingerprint decides, and that what is given stays."""

from dataclasses import replace

import pytest

from equireg.planning import rules
from equireg.planning.fingerprint import ClassSize, Fingerprint

HEART = ClassSize("heart", 5, 1000, 1000, 0.5)
PRINT = Fingerprint(
    labelled_cases=20,
    labelled_patients=20,
    unlabelled_cases=100,
    masked_unlabelled_cases=20,
    unlabelled_patients=100,
    channels=("mri",),
    axes="zyx",
    median_shape=(40, 100, 100),
    large_shape=(44, 120, 128),
    spacing_mm=(1.0, 1.0, 1.0),
    anisotropy=1.0,
    labelled_box=(20, 40, 40),
    classes=(HEART,),
    intensities={},
)


@pytest.mark.parametrize(
    ("change", "dims", "why"),
    [
        ({}, 3, "spacings are alike"),
        ({"spacing_mm": (10.0, 1.5, 1.5), "anisotropy": 10 / 1.5}, 2, "spacing 10 mm across slices"),
        ({"median_shape": (1, 100, 100)}, 2, "each scan is one slice"),
        ({"median_shape": (12, 100, 100)}, 2, "12 slices a case"),
        ({"labelled_cases": 5}, 2, "5 labelled cases are 5 volumes, but about 200 slices"),
    ],
)
def test_volumes_need_cubes_slices_and_masks(change, dims, why):
    found = rules.may_be_volumes(replace(PRINT, **change))
    assert found.value == dims
    assert why in found.why


@pytest.mark.parametrize("dims", [2, 3])
def test_rungs_cost_less_and_less(dims):
    rungs = rules.ladder(PRINT, dims, {})
    costs = [rung.cost for rung in rungs]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == len(costs) > 2
    assert all(len(rung.patch_size) == dims for rung in rungs)


def test_what_is_given_stands_in_every_rung():
    given = {"features": 24, "batch_size": 6, "unsup_ratio": 2, "patch_size": (48, 48)}
    rungs = rules.ladder(PRINT, 2, given)
    assert len(rungs) == 1  # nothing is left to choose
    assert {name: getattr(rungs[0], name) for name in given} == given
    some = rules.ladder(PRINT, 2, {"batch_size": 2, "features": None})
    assert {rung.batch_size for rung in some} == {2}
    assert len({rung.features for rung in some}) > 1


def test_samples_are_no_larger_than_the_scans():
    small = replace(PRINT, large_shape=(20, 30, 40))
    assert {rung.patch_size for rung in rules.ladder(small, 2, {})} == {(32, 40)}


def test_short_runs_see_whole_slices_coarser_and_small_classes_forbid_it():
    wide = replace(PRINT, large_shape=(44, 256, 216), classes=(replace(HEART, voxels=8000),))  # 400 voxels a slice
    assert rules.coarsest_for(wide) == 5
    rungs = rules.ladder(wide, 2, {})
    assert [rung.downsample for rung in rungs][-4:] == [(2, 2), (2, 2), (4, 4), (4, 4)]
    assert {rung.patch_size for rung in rungs} == {(256, 224)}
    lesion = replace(HEART, name="lesion", voxels=160)
    small = rules.ladder(replace(wide, classes=(*wide.classes, lesion)), 2, {})
    assert {rung.downsample for rung in small} == {None}
    assert small[-1].patch_size == (64, 64)


@pytest.mark.parametrize("given", [{"downsample": (1, 1)}, {"patch_size": (128, 128)}])
def test_resolution_and_patch_that_are_given_stay(given):
    wide = replace(PRINT, large_shape=(44, 256, 216), classes=(replace(HEART, voxels=8000),))
    for rung in rules.ladder(wide, 2, given):
        assert rung.downsample in (None, (1, 1))


@pytest.mark.parametrize(("slices", "fraction"), [(0.5, 0.6), (0.05, 0.8)])
def test_a_class_that_is_seldom_seen_is_drawn_more_often(slices, fraction):
    rare = replace(HEART, name="valve", slices=slices)
    found = rules.foreground(replace(PRINT, classes=(HEART, rare)), (128, 128))
    assert found.value == fraction
    assert (found.value == 0.6) or "valve" in found.why


def test_a_small_patch_sees_a_class_less_often():
    assert rules.foreground(PRINT, (128, 128)).value == 0.6
    assert rules.foreground(PRINT, (32, 32)).value == 0.8


@pytest.mark.parametrize(
    ("box", "patch", "value", "why"),
    [
        ((10, 50, 32), (128, 128), 1, "takes 31 % of a sample's sides"),
        ((10, 60, 32), (64, 64), 0, "takes 68 %"),  # what the network sees at once counts
        ((10, 200, 6), (64, 64), 1, "takes 31 %"),  # at most the whole of it
        ((8, 60, 32), (64, 64, 64), 0, "in slices alone"),
        ((10, 64, 48), (128, 128), 0, "takes 43 %"),
        ((0, 0, 0), (64, 64), 0, "no mask shows a class"),
    ],
)
def test_boxes_are_exchanged_where_what_is_labelled_is_small(box, patch, value, why):
    found = rules.exchange(replace(PRINT, median_box=box), patch)
    assert (found.option, found.value) == ("method.exchange", value)
    assert why in found.why


def test_coarse_axes_get_a_topology_of_their_own():
    assert rules.topology(PRINT, (32, 64, 64)) == []
    found = {one.option: one.value for one in rules.topology(replace(PRINT, spacing_mm=(5.0, 1.0, 1.0)), (16, 64, 64))}
    assert found["network.strides"][:3] == ((1, 1, 1), (1, 2, 2), (1, 2, 2))
    assert found["network.kernels"][0] == (1, 3, 3)


def test_advice_names_the_spacing_at_which_a_sample_shows_all():
    (line,) = rules.advice(PRINT, 2, (64, 64))
    assert "--spacing 1.94,1.94,1` " in line
    assert rules.advice(PRINT, 2, (128, 128)) == []
    (line,) = rules.advice(replace(PRINT, spacing_mm=(5.0, 1.0, 1.0), anisotropy=5.0), 3, (44, 120, 128))
    assert "--spatial_dims 2" in line
