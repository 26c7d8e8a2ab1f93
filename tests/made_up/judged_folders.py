"""Small folders of masks and predictions, made by hand, for the tests of evaluation."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from equireg import disk, folders
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry, write_label

SHAPE = (12, 10, 6)
GEOMETRY = Geometry.from_array(SHAPE, np.diag([0.8, 1.0, 2.5, 1.0]))


def box(value: int = 1, start: int = 2, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A mask with one box of a label value; ``start`` moves it along the first axis."""
    mask = np.zeros(shape, dtype=np.uint8)
    mask[start : start + 4, 2:6, 1:4] = value
    return mask


def write_masks(folder: Path, masks: Mapping[str, np.ndarray], labels: LabelTable | None = None) -> Path:
    """Write ``CASE.nii.gz`` for each mask, as any program does, and ``labels.json`` where there are labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for case, mask in masks.items():
        write_label(folder / f"{case}.nii.gz", mask, Geometry.from_array(mask.shape, GEOMETRY.affine_array))
    if labels is not None:
        disk.write_json(folder / "labels.json", labels.as_dict())
    return folder


def sign_predictions(folder: Path) -> Path:
    """Sign a folder of predictions as `equireg predict` does."""
    cases = sorted(path.name.removesuffix(".nii.gz") for path in folder.glob("*.nii.gz"))
    folders.sign(folder, "predict", {}, cases=cases, run={"name": "first"})
    return folder


def write_raw(root: Path, masks: Mapping[str, np.ndarray]) -> Path:
    """Write a raw folder in nnU-Net's layout: one channel, label 1."""
    description = {
        "channel_names": {"0": "FLAIR"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(masks),
        "file_ending": ".nii.gz",
    }
    write_masks(root / "labelsTr", masks)
    scans = {f"{case}_0000": np.arange(mask.size, dtype=np.uint8).reshape(mask.shape) for case, mask in masks.items()}
    write_masks(root / "imagesTr", scans)
    (root / "dataset.json").write_text(json.dumps(description))
    return root
