"""Decisions for a whole data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from equireg.errors import UsageError
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase
from equireg.preparation import plan

LABELS = LabelTable((0, 1), ("background", "liver"), ignore=2)


def test_spacing_is_of_the_patients_axes() -> None:
    affine = np.array([[0, 0, 3.0, 0], [-1.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1.0]])  # file axes are y, z, x
    assert plan.canonical_spacing(Geometry.from_array((4, 5, 6), affine)) == pytest.approx((3, 1, 2))


def test_auto_is_the_median_also_where_all_are_alike() -> None:
    assert plan.choose_spacing("auto", [(1.0, 1.0, 2.0)] * 3) == (1.0, 1.0, 2.0)
    assert plan.choose_spacing("auto", [(1.0, 1.0, 2.0), (1.0, 1.0, 3.0), (1.5, 1.0, 4.0)]) == (1.0, 1.0, 3.0)
    assert plan.choose_spacing("none", [(1.0, 1.0, 2.0), (1.0, 1.0, 3.0)]) is None
    assert plan.choose_spacing("1,1.5,2", [(9.0, 9.0, 9.0)]) == (1.0, 1.5, 2.0)


@pytest.mark.parametrize("option", ["one", "1,2", "1,2,3,4", "1,2,0", "1,-2,3"])
def test_a_spacing_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match=f"--spacing is {option}; expected"):
        plan.choose_spacing(option, [(1.0, 1.0, 1.0)])


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((1.0, 1.0, 5.0), "z"),
        ((4.0, 1.0, 1.0), "x"),
        ((1.0, 3.0, 1.0), "y"),
        ((1.05, 1.0, 1.0), "z"),
        ((1.2, 1.2, 1.0), "y"),
    ],
)
def test_slices_lie_across_the_widest_spacing(spacing: tuple[float, float, float], axis: str) -> None:
    assert plan.choose_slice_axis("auto", spacing) == axis
    assert plan.choose_slice_axis("x", spacing) == "x"


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (("background", "tumour"), "xyz"),
        (("background", "Anterior", "Posterior"), "xz"),
        (("background", "left_kidney", "right_kidney"), "yz"),
        (("background", "upper lobe"), "xy"),
        (("background", "bright spot"), "xyz"),
    ],
)
def test_mirroring_spares_axes_whose_ends_are_named(names: tuple[str, ...], axes: str) -> None:
    assert plan.choose_flips("auto", LabelTable(tuple(range(len(names))), names)) == axes


def test_mirroring_can_be_chosen() -> None:
    labels = LabelTable((0, 1), ("background", "left"))
    assert plan.choose_flips("none", labels) == ""
    assert plan.choose_flips("z,x", labels) == "xz"
    for option in ("w", ","):
        with pytest.raises(UsageError, match="--flips is"):
            plan.choose_flips(option, labels)


def ct_case(folder: Path, name: str, image: np.ndarray, mask: np.ndarray) -> RawCase:
    paths = folder / f"{name}.nii.gz", folder / f"{name}_seg.nii.gz"
    for path, voxels in zip(paths, (image, mask), strict=True):
        nib.save(nib.Nifti1Image(voxels.astype(np.float32), np.eye(4)), path)
    return RawCase(name, (paths[0],), paths[1], name, held_out=False)


def test_ct_is_scaled_by_what_the_masks_show(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = np.full((20, 20, 20), -1000.0)
    mask = np.zeros_like(image)
    mask[5:15, 5:15, 5:15] = 1
    image[mask > 0] = rng.normal(60, 10, int(mask.sum()))
    scale = plan.choose_normalisation("auto", "ct", [ct_case(tmp_path, "a", image, mask)], LABELS)
    assert scale["name"] == "ct"
    assert scale["mean"][0] == pytest.approx(60, abs=1)
    assert scale["std"][0] == pytest.approx(10, abs=1)
    assert scale["low"][0] == pytest.approx(60 - 2.58 * 10, abs=4)
    assert scale["high"][0] == pytest.approx(60 + 2.58 * 10, abs=4)
    assert plan.choose_normalisation("auto", "ct", [ct_case(tmp_path, "a", image, mask)], LABELS) == scale


def test_beside_ct_other_channels_are_normalised_scan_by_scan(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first = ct_case(tmp_path, "a", rng.normal(60, 10, (8, 8, 8)), np.ones((8, 8, 8)))
    second = ct_case(tmp_path, "b", rng.normal(900, 50, (8, 8, 8)), np.ones((8, 8, 8)))
    case = RawCase("a", (*first.images, *second.images), first.label, "a", held_out=False)

    def scale(option: str, channels: tuple[str, ...]) -> Mapping[str, Any]:
        return plan.choose_normalisation(option, "ct", [case], LABELS, channels)

    mixed = scale("auto", ("CT", "T1"))
    assert (mixed["name"], mixed["schemes"]) == ("mixed", ["ct", "zscore"])
    assert mixed["mean"][0] == pytest.approx(60, abs=1)
    for alike in (scale("ct", ("CT", "T1")), scale("auto", ("CT", "CTA")), scale("auto", ("image", "other"))):
        assert {**alike, "name": "mixed", "schemes": ["ct", "zscore"]} == mixed
        assert (alike["name"], "schemes" in alike) == ("ct", False)


def test_channels_of_one_name_are_normalised_by_it(tmp_path: Path) -> None:
    image, mask = np.random.default_rng(0).normal(60, 10, (20, 20, 20)), np.ones((20, 20, 20))
    one = ct_case(tmp_path, "a", image, mask)
    case = RawCase("a", one.images * 3, one.label, "a", held_out=False)
    scale = plan.choose_normalisation("auto", "ct", [case], LABELS, ("CT_0", "PET", "CT_2"))
    assert (scale["name"], scale["schemes"]) == ("mixed", ["ct", "zscore", "ct"])


def test_ct_that_is_saturated_where_it_is_labelled_is_scaled_by_all_voxels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    image, mask = rng.normal(60, 10, (20, 20, 20)), np.zeros((20, 20, 20))
    mask[8:12, 8:12, 8:12], image[8:12, 8:12, 8:12] = 1, 3071
    first = ct_case(tmp_path, "a", image, mask)
    second = ct_case(tmp_path, "b", rng.normal(60, 10, (20, 20, 20)), mask)
    case = RawCase("a", (*first.images, *second.images), first.label, "a", held_out=False)
    alone = plan.choose_normalisation("ct", "ct", [second], LABELS, ["CT"])
    assert caplog.messages == []
    scale = plan.choose_normalisation("ct", "ct", [case], LABELS, ["CT", "CT2"])
    assert "same value in channel 1, so" in caplog.text
    assert len(caplog.messages) == 1
    assert (scale["low"][0], scale["high"][0]) == (pytest.approx(35, abs=5), 3071)
    for name in ("low", "high", "mean", "std"):
        assert scale[name][1] == pytest.approx(alone[name][0])


@pytest.mark.parametrize(
    ("modality", "channels", "expected"),
    [
        ("mri", ("MR", "noNorm"), {"name": "mixed", "schemes": ["zscore", "none"]}),
        ("mri", ("nonorm_0", "noNorm_1"), {"name": "none"}),
        ("mri", ("rescale_to_0_1", "noNormal"), {"name": "zscore"}),
    ],
)
def test_a_channel_called_nonorm_stays_as_it_is(
    modality: str, channels: tuple[str, ...], expected: Mapping[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert plan.choose_normalisation("auto", modality, [], LABELS, channels) == expected
    assert ("channels called rescale_to_0_1 are normalised as others are" in caplog.text) == (len(caplog.messages) == 1)
    assert len(caplog.messages) == ("rescale_to_0_1" in channels)


def test_beside_ct_a_channel_called_nonorm_stays_as_it_is(tmp_path: Path) -> None:
    case = ct_case(tmp_path, "a", np.random.default_rng(0).normal(60, 10, (8, 8, 8)), np.ones((8, 8, 8)))
    case = RawCase("a", (*case.images, *case.images), case.label, "a", held_out=False)
    scale = plan.choose_normalisation("auto", "ct", [case], LABELS, ("CT", "noNorm"))
    assert (scale["name"], scale["schemes"]) == ("mixed", ["ct", "none"])
    assert scale["mean"][0] == pytest.approx(60, abs=1)


def test_a_ct_case_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    bad = RawCase("b", (tmp_path / "no.nii.gz",), None, "b", held_out=False)
    assert plan.choose_normalisation("ct", "mri", [bad], LABELS) == {"name": "zscore"}


def test_mri_is_normalised_scan_by_scan() -> None:
    assert plan.choose_normalisation("auto", "mri", [], LABELS) == {"name": "zscore"}
    assert plan.choose_normalisation("none", "ct", [], LABELS) == {"name": "none"}


def test_voxels_with_the_ignore_label_do_not_set_the_ct_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(60, 10, (12, 12, 12))
    mask = np.ones_like(image)
    mask[:6], image[:6] = 2, 900
    scale = plan.choose_normalisation("auto", "ct", [ct_case(tmp_path, "a", image, mask)], LABELS)
    assert scale["high"][0] < 120


@pytest.mark.parametrize(("order", "axis"), [((0, 1, 2), "z"), ((2, 0, 1), "x"), ((0, 2, 1), "y")])
@pytest.mark.parametrize("thickness_mm", [1.0, 0.2, 9.0])
def test_a_picture_of_one_slice_is_the_same_picture_however_it_is_stored(
    order: tuple[int, ...], axis: str, thickness_mm: float
) -> None:
    spacing = np.array([0.5, 0.75, thickness_mm])
    picture = np.arange(40 * 36, dtype=np.float32).reshape(40, 36, 1)

    def working(order: tuple[int, ...]) -> tuple[np.ndarray, object]:
        stored = picture.transpose(order)
        geometry = Geometry.from_array(stored.shape, np.diag([*spacing[list(order)], 1.0]))
        spacings, flat = plan.common_spacings([geometry])
        assert flat is not None
        grid = plan.grid_of(geometry, (spacings[0][0], spacings[0][1], spacings[0][2]), flat)
        return grid.image_to_working(stored[None]), grid.spacing_mm

    found, expected = working(order), working((0, 1, 2))
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1]


def test_pictures_stored_in_two_ways_are_planned_as_one() -> None:
    flat = [
        Geometry.from_array((40, 36, 1), np.diag([0.5, 0.75, 3.0, 1.0])),
        Geometry.from_array((1, 40, 36), np.diag([3.0, 0.5, 0.75, 1.0])),
        Geometry.from_array((40, 36, 1), np.diag([0.5, 0.75, 3.0, 1.0])),
    ]
    spacings, axis = plan.common_spacings(flat)
    assert (set(spacings), axis) == ({(0.5, 0.75, 3.0)}, "z")
    for geometry in flat:
        grid = plan.grid_of(geometry, (0.5, 0.75, 3.0), "z")
        assert (grid.full_shape, grid.spacing_mm) == ((1, 36, 40), (3.0, 0.75, 0.5))
    volume = Geometry.from_array((40, 36, 8), np.diag([0.5, 0.75, 3.0, 1.0]))
    assert plan.common_spacings([*flat, volume])[1] is None
