"""Small raw folders of each layout, for the tests of discovery."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

from equireg.layouts import RawDataset

FOUR = ("t1", "t1ce", "t2", "flair")


def put(root: Path, *names: str, channels: int = 1, slices: int = 4) -> None:
    """Write small images; channel i of a file holds values of its own, so that a mix-up shows."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (2, 3, slices) if channels == 1 else (2, 3, slices, channels)
        nib.save(nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), np.eye(4)), path)


def put_kind(root: Path, *paths: str, kind: str = "scan", seed: int = 0) -> None:
    """Write small images: noise (``scan``), a label in a patch (``mask``), or none (``empty``)."""
    rng = np.random.default_rng(seed)
    for path in paths:
        array = rng.normal(100, 20, (12, 12, 6)).astype(np.float32)
        if kind != "scan":
            array = np.zeros((12, 12, 6), np.uint8)
            array[4:9, 3:8, 2:5] = kind == "mask"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, np.eye(4)), root / path)


def describe(root: Path, **content: object) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(content))


def names(dataset: RawDataset) -> list[str]:
    return [case.name for case in dataset.cases]


def labelled(dataset: RawDataset) -> list[str]:
    return [case.name for case in dataset.cases if case.label]


def files(dataset: RawDataset, name: str) -> list[str]:
    case = next(case for case in dataset.cases if case.name == name)
    return [str(path.relative_to(dataset.root)) for path in case.images]


def put_brats(folder: Path, name: str, *, mask: bool = True, skip: str = "", new: bool = False) -> None:
    endings = ("-t1n", "-t1c", "-t2w", "-t2f", "-seg") if new else ("_t1", "_t1ce", "_t2", "_flair", "_seg")
    for ending in endings:
        if ending != skip and (mask or "seg" not in ending):
            put(folder / name, f"{name}{ending}.nii.gz")


def decathlon(root: Path, **changes: object) -> Path:
    put(
        root,
        "imagesTr/a.nii.gz",
        "imagesTr/b.nii.gz",
        "imagesTr/c.nii.gz",
        "imagesTr/extra.nii.gz",
        channels=2,
    )
    put(root, "labelsTr/a.nii.gz", "imagesTs/z.nii.gz")
    (root / "imagesTr/._a.nii.gz").write_bytes(b"resource fork")
    (root / "imagesTr/.DS_Store").write_bytes(b"")
    content = {
        "modality": {"0": "FLAIR", "1": "T1w"},
        "labels": {"0": "background", "1": "tumour", "2": "oedema"},
        "training": [
            {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
            {"image": "./imagesTr/b.nii.gz", "label": "./labelsTr/b.nii.gz"},
            "./imagesTr/c.nii.gz",
        ],
        "test": ["./imagesTs/z.nii.gz"],
    }
    describe(root, **(content | changes))
    return root


def masks(dataset: RawDataset) -> dict[str, str | None]:
    """Return the mask of each case, as a path below the raw folder."""
    return {
        case.name: str(case.label.relative_to(dataset.root)) if case.label is not None else None
        for case in dataset.cases
    }


def of_two_layouts(root: Path) -> Path:
    """Write a folder of the layout plain with the cases a and b, which seems to be of Decathlon, with c labelled."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        for folder, voxels in (("images", rng.normal(size=(9, 8, 7))), ("labels", rng.integers(0, 2, (9, 8, 7)))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(voxels.astype(np.int16), np.eye(4)), root / folder / f"{name}.nii.gz")
    (root / "listed").mkdir()
    for name, folder in (("c", "images"), ("c_mask", "labels")):
        shutil.copy(root / folder / "a.nii.gz", root / "listed" / f"{name}.nii.gz")
    listed = [{"image": "./listed/c.nii.gz", "label": "./listed/c_mask.nii.gz"}]
    describe(root, modality={"0": "MRI"}, labels={"0": "background", "1": "x"}, training=listed)
    return root
