"""Where the scans of a prepared folder lie, and which file of one is shown to an annotator."""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from equireg.annotation.suggest import pool
from equireg.annotation.workplace import lay_out, raw_cases, shown_file
from equireg.config import SuggestConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.imaging.pictures import CHANNELS
from equireg.imaging.volume import read_image
from equireg.layouts import RawCase
from equireg.preparation.prepare import prepare
from layout_folders import of_two_layouts
from prepared_sets import record, write_set

TUMOUR = ("t1", "flair", "t1ce")


@pytest.mark.parametrize(
    ("files", "channels", "expected"),
    [
        (("a.nii.gz",), ("mri",), Path("a.nii.gz")),
        (("a_t1.nii.gz", "a_flair.nii.gz", "a_t1ce.nii.gz"), TUMOUR, Path("a_flair.nii.gz")),
        (("a.nii.gz",), TUMOUR, 1),  # one file holds all channels
        (("a.png",), CHANNELS, Path("a.png")),
        (("a.png",), ("image",), Path("a.png")),
    ],
)
def test_the_channel_that_shows_most_is_found(
    files: tuple[str, ...], channels: tuple[str, ...], expected: Path | int
) -> None:
    case = RawCase("a", tuple(map(Path, files)), label=None, patient="a", held_out=False)
    assert shown_file(case, channels) == expected


@pytest.mark.parametrize(("count", "unlabelled"), [(1, False), (2, True)])
def test_a_refusal_names_the_scans_that_the_layout_holds_out(tmp_path: Path, count: int, unlabelled: bool) -> None:
    cases = [record("a"), *([record("b", labelled=False)] if unlabelled else [])]
    held = record("t", "test", labelled=False, held_out=True)
    data = PreparedSet(write_set(tmp_path / "P", [*cases, held]))
    with pytest.raises(EquiregError, match=r"Or give --unlabelled_from test: it adds the 1 that the layout holds out"):
        pool(data, SuggestConfig(count=count), {})
    assert pool(data, SuggestConfig(count=count, unlabelled_from="test"), {})[1] == ["b", "t"][-count:]
    with pytest.raises(EquiregError) as none:
        pool(PreparedSet(write_set(tmp_path / "Q", cases)), SuggestConfig(count=count), {})
    assert "--unlabelled_from" not in str(none.value)


@pytest.mark.parametrize("ending", [".mhd", ".nhdr", ".mha"])
def test_a_scan_whose_voxels_lie_beside_its_header_is_shown_whole(tmp_path: Path, ending: str) -> None:
    detached = ending != ".mha"
    paths = tuple(tmp_path / "raw" / f"a_{channel}{ending}" for channel in ("t1", "flair"))
    paths[0].parent.mkdir()
    for index, path in enumerate(paths):
        voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4) + 100 * index
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    case = RawCase("a", paths, label=None, patient="a", held_out=False)
    assert shown_file(case, ("t1", "flair")) == (1 if detached else paths[1])
    prepare(of_two_layouts(tmp_path / "other"), tmp_path / "prepared", layout="plain", jobs=1)
    (tmp_path / "next").mkdir()
    lay_out(tmp_path / "next", PreparedSet(tmp_path / "prepared"), ["a"], {"a": case})
    scans = tmp_path / "next" / "scans"
    assert sorted(os.listdir(scans)) == [f"a_{name}{'.nii.gz' if detached else ending}" for name in ("flair", "t1")]
    for index, name in enumerate(("t1", "flair")):
        (one,) = scans.glob(f"a_{name}.*")
        image, geometry = read_image([one])
        np.testing.assert_array_equal(image, case.read_image()[0][index : index + 1])
        assert geometry == case.read_geometry()


def test_scans_are_found_in_the_layout_that_was_given_to_prepare(tmp_path: Path) -> None:
    raw = of_two_layouts(tmp_path / "raw")
    prepare(raw, tmp_path / "prepared", layout="plain", jobs=1)
    found = raw_cases(PreparedSet(tmp_path / "prepared"), None)
    assert found is not None
    assert {name: case.images for name, case in found.items()} == {
        name: (raw / "images" / f"{name}.nii.gz",) for name in ("a", "b")
    }
