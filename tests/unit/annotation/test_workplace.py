"""Which file of a scan is shown to an annotator."""

from pathlib import Path

import pytest

from equireg.annotation.workplace import shown_file
from equireg.imaging.pictures import CHANNELS
from equireg.layouts import RawCase

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
