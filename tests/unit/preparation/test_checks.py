"""Warnings about a scan that looks wrong."""

import numpy as np
import pytest

from equireg.folders.prepared import IMAGE, Split
from equireg.imaging.geometry import Geometry
from equireg.preparation import checks
from prepared_sets import LABELS, record

TWINS: list[tuple[str, Split, str]] = [("a", "train", "1"), ("b", "train", "2"), ("c", "val", "1")]


def scan(**changes: float) -> np.ndarray:
    image = np.zeros((1, 20, 20, 20), dtype=np.float32)
    image[0, 4:16, 4:16, 4:16] = np.random.default_rng(0).normal(100, 10, (12, 12, 12))
    return image * changes.get("factor", 1)


def test_a_healthy_scan_is_reported_nothing_of() -> None:
    assert checks.of_scan(scan(), [0.0]) == ()
    assert checks.of_scan(scan(), [None]) == ()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ((scan() > 0).astype(np.float32), "holds 2 different values alone, as a mask does"),
        (scan(factor=1e12) + np.float32(1e13), "which no scanner makes"),
    ],
)
def test_a_scan_that_looks_wrong_is_reported(image: np.ndarray, words: str) -> None:
    assert words in checks.of_scan(image, [float(image[0, 0, 0, 0])])[0]


def test_intensities_that_were_cut_off_are_reported() -> None:
    """As 16 bits do to a scan of wider numbers; not where the background is white, or few values are all there is."""
    (note,) = checks.of_scan(np.minimum(scan(), 105), [0.0])
    assert note.startswith("channel 1: has its highest value 105 in 3")
    assert checks.of_scan(np.where(scan() == 0, 255, np.minimum(scan(), 200)), [255.0]) == ()
    assert checks.of_scan(np.minimum(scan() // 10, 10), [0.0]) == ()


def test_hardly_any_tissue_is_reported() -> None:
    image = np.zeros((1, 60, 60, 60), dtype=np.float32)
    image[0, 5, 5, 5] = 7
    assert "has 1 voxels alone that differ" in checks.of_scan(image, [0.0])[-1]


def test_one_scan_under_several_names_is_reported() -> None:
    cases = [record(name, split, digests={IMAGE: scan}) for name, split, scan in TWINS]
    (note,) = checks.of_twins(cases)
    assert note.startswith("a, c hold the same scan and are in train and val")
    assert not checks.of_twins([record("a"), record("b")])


def test_masks_that_are_ignored_everywhere_are_counted():
    cases = [record("a"), record("b", class_voxels=(0, 0, 0)), record("c", class_voxels=(0, 0, 0))]
    (note,) = checks.of_masks(cases, LABELS)
    assert note.startswith("2 of 3 masks are ignored in every voxel, such as those of b, c: nothing is learnt")


@pytest.mark.parametrize(
    ("others", "common", "words"),
    [
        ((3.3, 0.6, 0.6), (0.6, 0.6, 3.3), "up to 5.5 times as coarse as their voxels: s0, s1. Detail"),
        ((3.3, 0.6, 0.6), (0.6, 0.6, 3.3), "by --spacing 0.6,0.6,0.6."),
        ((3.3, 0.6, 0.6), (0.6, 0.6, 0.6), ""),
        ((1.0, 0.6, 0.6), (0.6, 0.6, 3.3), ""),
        ((0.6, 0.6, 5.0), (0.6, 0.6, 3.3), ""),
        ((0.6, 0.6, 0.6), (0.6, 0.6, 3.3), ""),
    ],
)
def test_thick_slices_across_another_axis_are_told(
    others: tuple[float, ...], common: tuple[float, ...], words: str
) -> None:
    kinds = {"a": (0.6, 0.6, 3.3), "b": (0.6, 0.6, 3.3), "c": (0.6, 0.6, 3.3), "s0": others, "s1": others}
    geometries = {name: Geometry.from_array((9, 9, 9), np.diag([*mm, 1.0])) for name, mm in kinds.items()}
    notes = checks.of_spacings(geometries, common)
    assert words in " ".join(notes)
    assert bool(notes) == bool(words)
    alike = {name: geometry for name, geometry in geometries.items() if name in "abc"}
    assert checks.of_spacings(alike, (2.0, 2.0, 2.0)) == [], "slices are thick across one axis in all"
    single = {name: Geometry.from_array((1, 9, 9), np.diag([*mm, 1.0])) for name, mm in kinds.items()}
    assert checks.of_spacings(single, common) == []
