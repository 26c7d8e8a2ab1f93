"""Turn a split of a Decathlon folder into nnU-Net's raw layout."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Image


class BenchmarkError(Exception):
    """A mistake that the user can mend: what was found, what was expected, how to mend it."""


def read_split(path: Path) -> dict[str, list[str]]:
    """Read ``{"train": [case names], "test": [case names]}`` and check that no case is in both.

    Raises:
        BenchmarkError: if a list is missing or empty, or they overlap.
    """
    split = json.loads(path.read_text())
    if not isinstance(split, dict) or not split.get("train") or not split.get("test"):
        raise BenchmarkError(f'{path}: expected {{"train": [case names], "test": [case names]}}, neither empty.')
    both = sorted(set(split["train"]) & set(split["test"]))
    if both:
        raise BenchmarkError(f"{path}: {', '.join(both)} in both train and test; take them out of one.")
    return {part: list(split[part]) for part in ("train", "test")}


def find_file(root: Path, folders: tuple[str, ...], case: str) -> Path:
    """Return the file of a case in the first of the folders that holds it.

    Raises:
        BenchmarkError: if none does.
    """
    for folder in folders:
        path = root / folder / f"{case}.nii.gz"
        if path.is_file():
            return path
    raise BenchmarkError(f"{root}: no {case}.nii.gz in {' or '.join(folders)}; check the case names of the split.")


def write_channels(source: Path, folder: Path, case: str, channels: int) -> None:
    """Write a 3D image, or each channel of a 4D one, as ``CASE_0000.nii.gz`` and so on, in float32.

    Raises:
        BenchmarkError: if the image has another number of channels.
    """
    image = nib.load(source)
    if not isinstance(image, Nifti1Image):
        raise BenchmarkError(f"{source}: not a NIfTI-1 image; convert it.")
    found = 1 if image.ndim == 3 else image.shape[3]
    if found != channels:
        raise BenchmarkError(f"{source}: {found} channels; dataset.json lists {channels} modalities.")
    for channel in range(channels):
        volume = image if image.ndim == 3 else image.slicer[..., channel]
        header = volume.header.copy()
        header.set_data_dtype(np.float32)
        values = np.asarray(volume.dataobj, dtype=np.float32)
        nib.save(Nifti1Image(values, volume.affine, header), folder / f"{case}_{channel:04d}.nii.gz")


def write_label(source: Path, target: Path) -> None:
    """Copy a mask as uint8, the integer type that nnU-Net wants.

    Raises:
        BenchmarkError: if it holds values that are not integers from 0 to 255.
    """
    image = nib.load(source)
    if not isinstance(image, Nifti1Image):
        raise BenchmarkError(f"{source}: not a NIfTI-1 image; convert it.")
    values = np.asarray(image.dataobj)
    integers = np.rint(values).astype(np.uint8)
    if not np.array_equal(integers, values):
        raise BenchmarkError(f"{source}: label values {np.unique(values)[:9]}; expected integers from 0 to 255.")
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    nib.save(Nifti1Image(integers, image.affine, header), target)


def convert(data: Path, split: dict[str, list[str]], raw: Path) -> None:
    """Write the labelled cases and the test images in nnU-Net's raw layout; nothing else of the data set."""
    description = json.loads((data / "dataset.json").read_text())
    channels: dict[str, str] = description["modality"]
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (raw / folder).mkdir(parents=True)
    for case in split["train"]:
        write_channels(find_file(data, ("imagesTr",), case), raw / "imagesTr", case, len(channels))
        write_label(find_file(data, ("labelsTr",), case), raw / "labelsTr" / f"{case}.nii.gz")
    for case in split["test"]:
        write_channels(find_file(data, ("imagesTr", "imagesTs"), case), raw / "imagesTs", case, len(channels))
    content = {
        "channel_names": channels,
        "labels": {name: int(value) for value, name in description["labels"].items()},
        "numTraining": len(split["train"]),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(content, indent=1))
