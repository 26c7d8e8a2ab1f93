"""Where the scans of a prepared folder lie, and which file of one is shown to an annotator."""

from pathlib import Path

import pytest

from equireg.annotation.workplace import raw_cases, shown_file
from equireg.folders.prepared import PreparedSet
from equireg.imaging.pictures import CHANNELS
from equireg.layouts import RawCase
from equireg.preparation.prepare import prepare
from layout_folders import of_two_layouts

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


def test_scans_are_found_in_the_layout_that_was_given_to_prepare(tmp_path: Path) -> None:
    raw = of_two_layouts(tmp_path / "raw")
    prepare(raw, tmp_path / "prepared", layout="plain", jobs=1)
    found = raw_cases(PreparedSet(tmp_path / "prepared"), None)
    assert found is not None
    assert {name: case.images for name, case in found.items()} == {
        name: (raw / "images" / f"{name}.nii.gz",) for name in ("a", "b")
    }
