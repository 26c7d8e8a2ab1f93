"""Choosing a layout, its errors, and the real scans."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dicom_series import phantom, slices, write
from equireg.errors import EquiregError
from equireg.layouts import LAYOUTS, discover, rediscover
from equireg.layouts.base import STACKED, FoundCase, FoundSet
from layout_folders import FOUR, describe, labelled, of_two_layouts, put, put_brats, put_kind
from pictures_made_up import disc, save


def test_missing_and_empty_folder(tmp_path):
    with pytest.raises(EquiregError, match="no such folder"):
        discover(tmp_path / "nowhere")
    with pytest.raises(EquiregError, match=r"dataset\.json.*BraTS.*images/") as caught:
        discover(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ")
    (tmp_path / "file").write_text("x")
    with pytest.raises(EquiregError, match="is a file"):
        discover(tmp_path / "file")


def test_unknown_layout(tmp_path):
    with pytest.raises(EquiregError, match=rf"'pacs'.*{', '.join(LAYOUTS)}"):
        discover(tmp_path, "pacs")


@pytest.mark.parametrize(
    ("layout", "word"),
    [
        *(("decathlon", "modality"), ("nnunet", "channel_names"), ("brats", "t1ce"), ("plain", "no scans")),
        *(("acdc", "frame01"), ("kits", "case_00000"), ("totalsegmentator", "segmentations"), ("bids", "sub-01")),
    ],
)
def test_named_layout_that_does_not_fit(tmp_path, layout, word):
    with pytest.raises(EquiregError, match=word) as caught:
        discover(tmp_path, layout)
    assert str(tmp_path) in str(caught.value)
    assert f"--layout {layout}" in str(caught.value)


def test_layout_by_name(tmp_path):
    put_brats(tmp_path, "A_1")
    assert set(LAYOUTS) >= {"decathlon", "nnunet", "brats", "plain"}
    assert discover(tmp_path, "plain").labels is None
    assert discover(tmp_path, "plain").channels == FOUR


@pytest.mark.parametrize(
    ("verb", "layout", "expected"),
    [
        ("prepare", "plain", ["a", "b"]),
        *(("prepare", name, ["c"]) for name in ("auto", "brats", "gone")),
        ("predict", "plain", ["c"]),
    ],
)
def test_a_folder_is_found_again_by_the_layout_it_was_prepared_with(tmp_path, verb, layout, expected):
    """A layout that no longer fits, or that there is not, counts as none."""
    raw = of_two_layouts(tmp_path / "raw")
    assert labelled(rediscover(raw, [{"verb": verb, "config": {"layout": layout}}])) == expected


def test_images_that_no_layout_knows_are_reported(tmp_path):
    put_brats(tmp_path, "A_1")
    put(tmp_path, "extra/odd.nii.gz")
    (note,) = discover(tmp_path).notes
    assert "1 images" in note
    assert "extra/odd.nii.gz" in note


def put_masks_beside_dicom(root: Path, folder: str, *, scan: bool) -> None:
    write(root / "pacs", slices(phantom()))
    for number in range(4):
        (root / folder).mkdir(exist_ok=True)
        voxels = np.random.default_rng(number).integers(0, 2000, (12, 10, 6)).astype(np.int16)
        if not scan:
            voxels[:] = 0
            voxels[1 : 8 + number, 2:8, 1:5] = 1 + number % 2
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), root / folder / f"HOSP{number}.nii.gz")


@pytest.mark.parametrize("folder", ["Masken", "seg_by_dr_x", "."])
def test_label_maps_beside_dicom_are_not_the_scans(tmp_path: Path, folder: str) -> None:
    put_masks_beside_dicom(tmp_path, folder, scan=False)
    found = discover(tmp_path)
    assert (found.layout, len(found.cases)) == ("dicom", 1)
    (note,) = [note for note in found.notes if "not used" in note]
    assert "4 images that the layout dicom does not know" in note
    assert "`equireg adopt`" in note
    assert len(discover(tmp_path, "plain").cases) == 4


def test_nifti_scans_beside_dicom_are_the_scans(tmp_path: Path) -> None:
    put_masks_beside_dicom(tmp_path, "nifti", scan=True)
    found = discover(tmp_path)
    assert (found.layout, len(found.cases)) == ("plain", 4)
    assert any("--layout dicom reads them" in note for note in found.notes)


def test_a_folder_of_masks_alone_is_told(tmp_path: Path) -> None:
    """A picture of many greys with a black background is none, though each grey may be a label."""
    put_kind(tmp_path / "volumes", *(f"c{i}.nii.gz" for i in range(3)), kind="mask")
    put_kind(tmp_path / "volumes", "c3.nii.gz", kind="empty")
    for index in range(2):
        save(tmp_path, f"pictures/c{index}.png", disc())
        rows = np.mgrid[:256, :256][0]
        save(tmp_path, f"greys/c{index}.png", np.where(rows > 100, rows, 0).astype(np.uint8))
    for kind in ("volumes", "pictures"):
        (line,) = discover(tmp_path / kind).warnings
        assert "look like masks" in line
        assert "images/ beside labels/" in line
    assert discover(tmp_path / "greys").warnings == ()
    put_kind(tmp_path / "volumes", "c4.nii.gz")
    assert discover(tmp_path / "volumes").warnings == ()


def test_label_maps_that_have_masks_are_the_scans(tmp_path: Path) -> None:
    put_kind(tmp_path, *(f"{kind}/c{i}.nii.gz" for kind in ("images", "labels") for i in range(3)), kind="mask")
    assert discover(tmp_path).warnings == ()


def test_a_root_that_is_written_in_a_roundabout_way(tmp_path):
    put(tmp_path, "raw/imagesTr/a.nii.gz", "other/x.nii.gz")
    describe(tmp_path / "raw", modality={"0": "T1"}, training=["./imagesTr/a.nii.gz"])
    dataset = discover(tmp_path / "other/../raw")
    assert [case.name for case in dataset.cases] == ["a"]
    assert dataset.refused == dataset.notes == ()


def test_a_layout_from_outside_is_tried_before_plain(tmp_path, monkeypatch):
    put(tmp_path, "odd.nii.gz")
    case = FoundCase("ours", {STACKED: tmp_path / "odd.nii.gz"})
    monkeypatch.setitem(LAYOUTS, "ours", lambda root: FoundSet("ours", ("t1",), "mri", None, (case,)))
    assert discover(tmp_path).layout == "ours"
    assert discover(tmp_path, "plain").layout == "plain"


@pytest.fixture
def real() -> Path:
    """The folder of real scans, which the project itself does not ship."""
    folder = Path(os.environ.get("EQUIREG_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real scans in {folder}; set EQUIREG_TEST_DATA")
    return folder


@pytest.mark.parametrize(
    ("name", "layout", "channels", "count"),
    [
        ("hippocampus", "decathlon", ("MRI",), 200),
        ("lgg", "decathlon", ("T1", "FLAIR", "T1ce"), 80),
        ("brats-layout", "brats", FOUR, 2),
        ("acdc", "decathlon", ("MRI",), 160),
    ],
)
def test_real_scans(real, name, layout, channels, count):
    dataset = discover(real / name)
    assert (dataset.layout, dataset.channels, dataset.modality) == (layout, channels, "mri")
    assert len(labelled(dataset)) == count
    assert len({case.patient for case in dataset.cases}) == (80 if name == "acdc" else count)
    assert dataset.refused == ()
    image, _ = dataset.cases[0].read_image()
    assert image.shape[0] == len(channels)
