"""Folders of DICOM with something wrong in them, beside a series that is fine."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset

from dicom_series import phantom, segmentation, slices, write

MASK = np.random.default_rng(5).integers(0, 2, (12, 10, 6)).astype(np.uint8)
FOLDER = "files/dicom"


def beside_a_good_one(*bad: Sequence[Dataset]) -> Callable[[Path], object]:
    """Return what writes a good series, and these files."""

    def make(root: Path) -> None:
        for place, files in enumerate([slices(phantom(series=1, patient="good")), *bad]):
            write(root / FOLDER / f"{place}", files)

    return make


def without_a_slice() -> Sequence[Dataset]:
    files = slices(phantom())
    return [*files[:2], *files[3:]]


def of_two_sizes() -> Sequence[Dataset]:
    return [*slices(phantom())[:3], *slices(phantom((9, 10, 6)))[3:]]


def of_two_echoes() -> Sequence[Dataset]:
    first, second = slices(phantom()), slices(phantom(seed=1))
    for number, file in enumerate(second):
        file.SOPInstanceUID, file.EchoTime = f"1.2.3.{number + 1}", 90
    return [*first, *second]


def tilted() -> Sequence[Dataset]:
    files = slices(phantom())
    for place, file in enumerate(files):
        file.ImagePositionPatient = [*file.ImagePositionPatient[:1], -20 + place, *file.ImagePositionPatient[2:]]
    return files


def with_masks(*kinds: str) -> Sequence[Dataset]:
    files = slices(phantom())
    masks = [segmentation(files, MASK, ["organ"], kind, description=f"reader {n}") for n, kind in enumerate(kinds)]
    return [*files, *masks]


def cut_short(root: Path) -> None:
    """Cut the pixels of one slice."""
    beside_a_good_one(slices(phantom()))(root)
    path = sorted((root / FOLDER / "1").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-40])


def encrypted(root: Path) -> None:
    """Write a file that is DICOM by its name alone."""
    beside_a_good_one()(root)
    (root / FOLDER / "locked.dcm").write_bytes(np.random.default_rng(0).bytes(5000))
