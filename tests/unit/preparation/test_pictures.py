"""Folders of pictures."""

from pathlib import Path

import pytest
from PIL import Image

from equireg.layouts import RawCase
from equireg.preparation.pictures import tell_turned
from pictures_made_up import disc, photo, save


def case(root: Path, name: str, scan: int, mask: int | None = None, size: tuple[int, int] = (40, 32)) -> RawCase:
    """Write a scan and its mask with these EXIF orientations."""
    exifs = [Image.Exif() for _ in range(2)]
    for exif, turn in zip(exifs, (scan, mask), strict=True):
        if turn is not None:
            exif[0x0112] = turn
    pixels = disc(size)
    image = save(root, f"{name}.jpg", photo(pixels), exif=exifs[0])
    return RawCase(name, (image,), save(root, f"{name}_mask.tif", pixels, exif=exifs[1]), name, held_out=False)


def test_masks_that_may_be_of_the_pixels_before_exif_turned_them_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upright, wide = (
        case(tmp_path, "upright", 1),
        case(tmp_path, "wide", 6),
    )  # a mask of the stored pixels has another size
    both = case(tmp_path, "both", 3, 3)
    tell_turned([upright, wide, both])
    assert caplog.messages == []
    tell_turned([upright, case(tmp_path, "half", 3), case(tmp_path, "square", 6, size=(32, 32))])
    assert [text[:60] for text in caplog.messages] == ["2 scans are turned by EXIF and their masks are not, such as "]
