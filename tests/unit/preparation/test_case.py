"""One case from its files to its arrays, completely or not at all."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import blosc2
import nibabel as nib
import numpy as np
import pytest

from equireg.disk import DiskError
from equireg.errors import EquiregError
from equireg.folders import prepared as store
from equireg.folders.digests import digest_of
from equireg.folders.prepared import RECORD
from equireg.imaging.colours import ColourTable
from equireg.imaging.labels import IGNORED, LabelTable
from equireg.imaging.limits import LIMITS
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase
from equireg.preparation.case import CasePlan, fingerprint, finished, prepare_case, working_scan
from prepared_sets import whole

AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
LABELS = LabelTable((0, 1, 4), ("background", "core", "rim"), ignore=7)
PLAN = CasePlan(None, "z", {"name": "zscore"}, LABELS, 1)


def tissue() -> np.ndarray:
    image = np.zeros((12, 10, 8), dtype=np.float32)
    image[2:9, 3:8, 1:7] = np.random.default_rng(0).normal(100, 10, (7, 5, 6))
    return image


@pytest.fixture
def case(tmp_path: Path) -> RawCase:
    mask = np.zeros((12, 10, 8), dtype=np.uint8)
    mask[3, 4, 2], mask[4, 4, 2], mask[5, 5, 3] = 1, 4, 7
    paths = tmp_path / "a.nii.gz", tmp_path / "a_seg.nii.gz"
    nib.save(nib.Nifti1Image(tissue(), AFFINE), paths[0])
    nib.save(nib.Nifti1Image(mask, AFFINE), paths[1])
    return RawCase("a", (paths[0],), paths[1], "patient", held_out=False)


def test_a_scan_is_turned_cropped_and_normalised() -> None:
    scan = working_scan(tissue()[None], Geometry.from_array((12, 10, 8), AFFINE), PLAN)
    assert scan.image.shape == (1, 6, 5, 7)
    assert scan.grid.spacing_mm == (2.0, 1.0, 1.0)
    # x runs leftwards in the file and rightwards in the working array.
    expected = tissue()[2:9, 3:8, 1:7][::-1].transpose(2, 1, 0)
    np.testing.assert_allclose(scan.image[0], (expected - expected.mean()) / expected.std(), atol=1e-4)
    # All background is cropped away; it is known all the same.
    assert scan.background[0] == pytest.approx(-expected.mean() / expected.std(), rel=1e-4)


def test_a_scan_that_resampling_makes_too_large_is_refused_before_memory_is_asked_for(
    case: RawCase, tmp_path: Path
) -> None:
    plan = replace(PLAN, spacing_mm=(0.001, 0.001, 0.002))
    with pytest.raises(EquiregError, match=r"spacing of 1 x 1 x 2 mm; resampled .* 12000 x 10000 x 8000 voxels"):
        prepare_case(case, plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_resampled_scan_is_normalised_as_its_original() -> None:
    """The blur of the background's edge is no foreground, neither for the box nor for the mean."""
    plan = replace(PLAN, spacing_mm=(1.0, 1.0, 2.0))
    finer = np.repeat(tissue(), 2, axis=0)
    half = AFFINE @ np.diag([0.5, 1.0, 1.0, 1.0])
    one = working_scan(tissue()[None], Geometry.from_array((12, 10, 8), AFFINE), plan)
    other = working_scan(finer[None], Geometry.from_array((24, 10, 8), half), plan)
    assert other.image.shape == one.image.shape
    assert other.background == pytest.approx(one.background)
    inner = (slice(None), slice(None), slice(None), slice(1, -1))
    assert other.image[inner].mean() == pytest.approx(one.image[inner].mean(), abs=0.3)


def test_background_inside_the_box_is_the_fill() -> None:
    image = tissue()
    image[5, 5, 3] = 0
    scan = working_scan(image[None], Geometry.from_array((12, 10, 8), AFFINE), PLAN)
    assert scan.background[0] == pytest.approx(float(scan.image.min()))
    assert scan.background[0] < -5


def test_all_files_of_a_case_are_written(case: RawCase, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "a"
    record = prepare_case(case, PLAN, folder)
    names = {"image.b2nd", "label.b2nd", "foreground.npz", "reference.nii.gz", "equivariance.npy", RECORD}
    assert {path.name for path in folder.iterdir()} == names
    assert list(folder.parent.iterdir()) == [folder]
    assert record["labelled"]
    assert record["class_voxels"] == (6 * 5 * 7 - 3, 1, 1)
    assert (record["class_slices"], len(record["labelled_box"])) == ((6, 1, 1), 3)
    assert record["digests"] == {name: digest_of(folder / name) for name in names - {RECORD}}
    with np.load(folder / "foreground.npz") as places:
        assert set(places.files) == {"0", "1", "2"}
        assert places["2"].tolist() == [[1, 1, 4]]
    reference = nib.Nifti1Image.load(folder / "reference.nii.gz")
    np.testing.assert_array_equal(reference.affine, AFFINE)
    assert set(np.unique(reference.get_fdata())) == {0, 1, 4, 7}
    label = whole(blosc2.open(str(folder / "label.b2nd"), mode="r"))
    assert set(np.unique(label)) == {0, 1, 2, IGNORED}


def test_a_slice_has_its_seed_whatever_is_cropped(case: RawCase, tmp_path: Path) -> None:
    prepare_case(case, PLAN, tmp_path / "cropped" / "a")
    prepare_case(case, replace(PLAN, normalisation={"name": "thesis", "n4_shrink": 4}), tmp_path / "whole" / "a")
    cropped, whole = (np.load(tmp_path / name / "a" / "equivariance.npy") for name in ("cropped", "whole"))
    assert len(whole) == 8
    np.testing.assert_array_equal(cropped, whole[1:7])


def test_an_unlabelled_case_has_no_mask(case: RawCase, tmp_path: Path) -> None:
    record = prepare_case(replace(case, label=None), PLAN, tmp_path / "out" / "a")
    assert {path.name for path in (tmp_path / "out" / "a").iterdir()} == {"image.b2nd", "equivariance.npy", RECORD}
    assert (record["labelled"], record["class_voxels"]) == (False, ())


def test_an_unknown_label_names_the_mask_and_leaves_nothing(case: RawCase, tmp_path: Path) -> None:
    plan = replace(PLAN, labels=LabelTable((0, 1), ("background", "core")))
    with pytest.raises(EquiregError) as caught:
        prepare_case(case, plan, tmp_path / "out" / "a")
    assert str(caught.value).startswith(f"{case.label}: has the label values [4, 7]; expected some of [0, 1].")
    assert list((tmp_path / "out").iterdir()) == []


def test_another_number_of_channels_names_the_scan(case: RawCase, tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match=rf"{case.images[0]}: has 1 channels; expected 2"):
        prepare_case(case, replace(PLAN, channels=2), tmp_path / "a")


def test_a_full_disk_leaves_the_old_case(case: RawCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out" / "a"
    prepare_case(case, PLAN, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(path: Path, array: np.ndarray) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("equireg.folders.prepared.writer.write_array", full)
    with pytest.raises(DiskError, match=r"image\.b2nd: the disk is full"):
        prepare_case(case, PLAN, folder)
    assert list(folder.parent.iterdir()) == [folder]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_full_disk_names_the_case_whichever_file_was_written(
    case: RawCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is written by a function that tells of a full disk itself, and of the hidden folder."""

    def full(path: Path, content: Any) -> None:
        raise DiskError(f"{path}: the disk is full.")

    monkeypatch.setattr("equireg.folders.prepared.writer.write_json", full)
    with pytest.raises(DiskError) as caught:
        prepare_case(case, PLAN, tmp_path / "out" / "a")
    assert str(caught.value) == f"{tmp_path / 'out' / 'a' / RECORD}: the disk is full."
    assert list((tmp_path / "out").iterdir()) == []


def test_the_fingerprint_follows_voxels_beside_their_header(case: RawCase, tmp_path: Path) -> None:
    voxels, header = tmp_path / "v.raw", tmp_path / "v.mhd"
    voxels.write_bytes(bytes(8))
    header.write_text("NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = v.raw\n")
    detached = replace(case, images=(header,))
    first = fingerprint(detached, PLAN)
    os.utime(voxels, ns=(0, 0))
    assert fingerprint(detached, PLAN) != first


def test_the_fingerprint_follows_files_and_plan(case: RawCase) -> None:
    first = fingerprint(case, PLAN)
    assert fingerprint(case, replace(PLAN)) == first
    changes: list[dict[str, Any]] = [
        {"spacing_mm": (1.0, 1.0, 1.0)},
        {"slice_axis": "x"},
        {"normalisation": {"name": "none"}},
        {"normalisation": {"name": "thesis", "n4_shrink": 2}},
        {"normalisation": {"name": "thesis", "n4_shrink": 3}},
        {"keep_empty_slices": False},
    ]
    others = {fingerprint(case, replace(PLAN, **change)) for change in changes}
    others.add(fingerprint(replace(case, label=None), PLAN))
    state = case.images[0].stat()
    os.utime(case.images[0], ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    others.add(fingerprint(case, PLAN))
    assert len(others | {first}) == 9


def test_the_fingerprint_follows_what_is_read_of_the_files(case: RawCase) -> None:
    colours = ColourTable((((255, 0, 0), 1),))
    changed = [
        replace(case, picks=(1, 0)),
        replace(case, segments=((1, 2),)),
        replace(case, limits=replace(LIMITS, pixel_mm=0.5)),
        replace(case, limits=replace(LIMITS, colours=colours)),
        replace(case, limits=replace(LIMITS, segments=(("core", 2),))),
    ]
    assert len({fingerprint(one, PLAN) for one in (case, *changed)}) == 6
    assert fingerprint(replace(case, limits=replace(LIMITS, max_voxels=9)), PLAN) == fingerprint(case, PLAN)


@pytest.mark.parametrize("which", ["image", "label"])
def test_the_fingerprint_follows_files_that_change_places(case: RawCase, which: str) -> None:
    """Archives and checkouts give all files one time, and scans that are not compressed have one size."""
    path = case.images[0] if which == "image" else case.label
    assert path is not None
    before, content = fingerprint(case, PLAN), bytearray(path.read_bytes())
    content[-20] ^= 1
    state = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint(case, PLAN) != before


def test_a_case_is_finished_only_for_the_same_files_and_plan(case: RawCase, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "a"
    assert finished(folder, fingerprint(case, PLAN)) is None
    record = prepare_case(case, PLAN, folder)
    found = finished(folder, fingerprint(case, PLAN))
    assert found is not None
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(record))
    assert finished(folder, "another") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '{"made_from": 3}', '{"shape": [1, 2'])
def test_a_damaged_record_is_not_finished(case: RawCase, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "out" / "a"
    prepare_case(case, PLAN, folder)
    (folder / RECORD).write_text(content)
    assert finished(folder, fingerprint(case, PLAN)) is None


def test_a_damaged_array_is_not_finished(case: RawCase, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "a"
    prepare_case(case, PLAN, folder)
    content = bytearray((folder / store.LABEL).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / store.LABEL).write_bytes(content)
    assert finished(folder, fingerprint(case, PLAN)) is None
    (folder / store.LABEL).unlink()
    assert finished(folder, fingerprint(case, PLAN)) is None


def test_a_folder_of_somebody_else_is_not_replaced(case: RawCase, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "a"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(EquiregError, match=rf"{folder}: is not a prepared case"):
        prepare_case(case, PLAN, folder)
    assert [path.name for path in folder.parent.rglob("*")] == ["a", "mine.txt"]
