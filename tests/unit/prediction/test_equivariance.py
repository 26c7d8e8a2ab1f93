"""f(T x) against T f(x): when both are the same, what is outside, and what a seed decides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from equireg.config import SpatialConfig
from equireg.config.parsing import from_plain
from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.inference import InferencePlan
from equireg.prediction import equivariance
from equireg.prediction.equivariance import Files, Transformed, transform_scan
from equireg.preparation.case import WorkingScan

AFFINE = np.array([[-1.0, 0, 0, 20], [0, -1.5, 0, 9], [0, 0, 2.0, -3], [0, 0, 0, 1]])  # LPS
BACKGROUND = -1.0


def plan(dims: int, flip_axes: tuple[int, ...] = ()) -> InferencePlan:
    return InferencePlan(dims, (16,) * dims, flip_axes)


def scan_of(image: np.ndarray, crop=None, background: float = BACKGROUND) -> WorkingScan:
    """A scan whose working frame is the native one, turned and cropped."""
    full = image.shape[1:] if crop is None else (image.shape[1] + 2, *image.shape[2:])
    grid = WorkingGrid.plan(Geometry.from_array(full[::-1], AFFINE), None, "z", crop)
    return WorkingScan(image.astype(np.float32), (background,) * len(image), grid)


def random_probs(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Smooth probabilities of class 1, [1, D, H, W]."""
    d, h, w = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    a, b = np.random.default_rng(seed).uniform(2, 4, size=2)
    return (0.5 + 0.5 * np.sin(a * h + d) * np.cos(b * w - d))[None]


def pointwise(image: Tensor) -> Tensor:
    """A network that is equivariant: its probabilities are what the image holds."""
    return torch.cat([1 - image[:1], image[:1]])


def always_one(image: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(image[0]), torch.ones_like(image[0])])


def fixed_in_place(image: Tensor) -> Tensor:
    """A network that looks at nothing: class 1 in the left half of the array."""
    ones = torch.zeros_like(image[0])
    ones[..., : ones.shape[-1] // 2] = 1
    return torch.stack([1 - ones, ones])


def run(predict, image: np.ndarray, dims: int, seeds: Sequence[int], **options) -> Transformed:
    scan = scan_of(image)
    return transform_scan(scan, predict(torch.from_numpy(scan.image)), seeds, plan(dims, **options), predict)


@pytest.mark.parametrize("dims", [2, 3])
def test_an_equivariant_network_gives_the_same_twice(dims: int) -> None:
    image = random_probs((6, 20, 24))
    got = run(pointwise, image, dims, list(range(6)), flip_axes=(dims - 1,))
    assert got.predicted_transform.any()
    assert not np.array_equal(got.predicted_transform, (image[0] > 0.5)), "the transform changes nothing"
    assert np.mean(got.predicted_transform != got.transformed_prediction) < 0.002  # ties of rounded numbers


@pytest.mark.parametrize("dims", [2, 3])
def test_a_network_that_ignores_the_scan_differs(dims: int) -> None:
    got = run(fixed_in_place, random_probs((6, 20, 24)), dims, list(range(6)))
    assert np.mean(got.predicted_transform != got.transformed_prediction) > 0.01


@pytest.mark.parametrize("dims", [2, 3])
def test_what_comes_from_outside_is_background_in_both(dims: int) -> None:
    image = np.ones((1, 6, 20, 24))
    got = run(always_one, image, dims, list(range(6)))
    outside = got.scan[0] == got.outside[0]  # the scan itself is 1 everywhere, its background -1
    assert 0 < outside.mean() < 0.9
    np.testing.assert_array_equal(got.predicted_transform, ~outside)
    np.testing.assert_array_equal(got.transformed_prediction, ~outside)


def test_each_slice_follows_its_own_seed_alone() -> None:
    image = np.repeat(random_probs((1, 20, 24)), 40, axis=1)  # beyond one chunk of slices
    seeds = [7] * 40
    alike = run(pointwise, image, 2, seeds)
    np.testing.assert_array_equal(alike.scan, np.repeat(alike.scan[:, :1], 40, axis=1))
    seeds[35] = 2**64 - 1
    changed = run(pointwise, image, 2, seeds)
    differs = (changed.scan != alike.scan).any(axis=(0, 2, 3))
    assert np.flatnonzero(differs).tolist() == [35]
    assert (changed.transformed_prediction[35] != alike.transformed_prediction[35]).any()


def test_a_volume_follows_its_first_seed_alone() -> None:
    image = random_probs((6, 20, 24))
    seeds = ([1, 2, 2, 2, 2, 2], [1, 3, 3, 3, 3, 3], [4, 2, 2, 2, 2, 2])
    one, two, three = (run(pointwise, image, 3, some) for some in seeds)
    np.testing.assert_array_equal(one.scan, two.scan)
    assert (one.scan != three.scan).any()


@pytest.mark.parametrize(("flip_axes", "mirrors"), [((), False), ((1,), True)])
def test_mirrors_only_along_the_axes_of_the_run(flip_axes: tuple[int, ...], mirrors: bool) -> None:
    rows, columns = np.meshgrid(np.arange(32.0), np.arange(32.0), indexing="ij")
    image = np.broadcast_to(np.stack([rows, columns])[:, None], (2, 30, 32, 32))
    got = run(pointwise, image, 2, list(range(30)), flip_axes=flip_axes)
    middle = got.scan[..., 8:24, 8:24].astype(float)
    slopes = [np.median(np.diff(middle, axis=axis), axis=(2, 3)) for axis in (2, 3)]  # each [2, slices]
    determinant = slopes[0][0] * slopes[1][1] - slopes[0][1] * slopes[1][0]
    assert (determinant < 0).any() == mirrors
    assert (determinant > 0).any()


def test_another_number_of_seeds_is_refused() -> None:
    with pytest.raises(EquiregError, match="5 equivariance seeds for 6 slices"):
        run(pointwise, random_probs((6, 8, 8)), 2, [0] * 5)


def test_files_have_the_scans_geometry_and_label_values(tmp_path: Path) -> None:
    scan = scan_of(random_probs((4, 10, 12)), crop=((1, 5), (0, 10), (0, 12)))
    classes = np.zeros((4, 10, 12), dtype=np.uint8)
    classes[1, 2, 3], classes[2, 2, 3] = 1, 3
    got = Transformed(np.full((1, 4, 10, 12), 200, dtype=np.uint8), (17,), classes, classes[::-1])
    files = Files.of(tmp_path, "case")
    labels = LabelTable((0, 1, 2, 4), ("background", "a", "b", "c"))
    equivariance.write(got, scan.grid, labels, files)
    images: list[Any] = [nib.Nifti1Image.from_filename(path) for path in vars(files).values()]
    assert {path.name for path in (tmp_path / "equivariance").iterdir()} == {
        "case_transformed_scan.nii.gz",
        "case_predicted_transform.nii.gz",
        "case_transformed_prediction.nii.gz",
    }
    moved, first, second = (np.asarray(image.dataobj) for image in images)
    for image in images:
        np.testing.assert_allclose(image.affine, AFFINE)
        assert image.shape[:3] == (12, 10, 6)
    # The file's axes run left, back and up, the working ones up, forwards and right; one slice is cropped below.
    assert [tuple(place) for place in np.argwhere(first)] == [(8, 7, 2), (8, 7, 3)]
    assert (first[8, 7, 2], first[8, 7, 3]) == (1, 4)
    assert (second[8, 7, 3], second[8, 7, 2]) == (1, 4)
    assert moved.shape == (12, 10, 6, 1)
    assert moved.dtype == np.uint8
    assert [np.unique(moved[:, :, index]).tolist() for index in range(6)] == [[17], [200], [200], [200], [200], [17]]


def test_the_transforms_are_those_of_the_thesis() -> None:
    config = read_yaml(Path(__file__).parents[3] / "configs" / "brats2019" / "equireg-thesis.yaml")
    assert from_plain(SpatialConfig, config["views"]["strong"]) == equivariance.TRANSFORM
