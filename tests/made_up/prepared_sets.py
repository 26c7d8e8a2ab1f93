"""Small prepared folders and records of cases, made by hand, for the tests of what reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk, folders
from equireg.folders.prepared import (
    CASES,
    IMAGE,
    LABEL,
    MANIFEST,
    PLACES,
    SEEDS,
    CaseRecord,
    Manifest,
    Split,
    write_array,
)
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.preparation import equivariance_seeds

LABELS = LabelTable((0, 1, 2), ("background", "core", "rim"))


def record(name: str, split: Split = "train", *, labelled: bool = True, **changes: Any) -> CaseRecord:
    shape = changes.get("shape", (4, 10, 12))
    d, h, w = shape
    grid = WorkingGrid.plan(Geometry.from_array((w, h, d), np.diag([1.0, 1.0, 2.0, 1.0])), None, "z")
    values: dict[str, Any] = {
        "patient": name,
        "held_out": False,
        "shape": shape,
        "spacing_mm": (2.0, 1.0, 1.0),
        "grid": grid.as_dict(),
        "background": (-1.0, -2.0),
        "class_voxels": (1, 1, 1) if labelled else (),
    }
    return CaseRecord(name=name, split=split, labelled=labelled, **(values | changes))


def manifest(cases: Sequence[CaseRecord], **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "dataset": "made up",
        "channels": ("t1", "t2"),
        "modality": "mri",
        "labels": LABELS,
        "axes": "zyx",
        "flips": "x",
        "spacing_mm": None,
        "normalisation": {"name": "zscore"},
        "fingerprint": {"large_shape": [4, 10, 12]},
    }
    values |= changes
    classes = values["labels"].classes
    fit = [
        case if len(case.class_voxels) in (0, classes) else replace(case, class_voxels=(1,) * classes) for case in cases
    ]
    return Manifest(cases=tuple(fit), **values)


def label_of(case: CaseRecord) -> np.ndarray:
    """A mask whose classes 1 and 2 hold one voxel each, far from each other."""
    label = np.zeros(case.shape, dtype=np.uint8)
    label[0, 1, 1] = 1
    label[-1, -2, -2] = 2
    return label


def image_of(case: CaseRecord, index: int) -> np.ndarray:
    """An image in which every voxel of every case is another number."""
    values = np.arange(2 * np.prod(case.shape), dtype=np.float32).reshape(2, *case.shape)
    return ((values % 2000) / 4 + 600 * index).astype(np.float16)


def whole(array: Any) -> np.ndarray:
    """Read all of a stored array."""
    return np.asarray(array[...])


def write_set(root: Path, cases: Sequence[CaseRecord], labels: Mapping[str, np.ndarray] | None = None) -> Path:
    """Write a prepared folder with ``image_of`` and ``label_of`` of every case."""
    for index, case in enumerate(cases):
        folder = root / CASES / case.name
        folder.mkdir(parents=True)
        write_array(folder / IMAGE, image_of(case, index))
        np.save(folder / SEEDS, equivariance_seeds.draw(case.name, range(case.shape[0])))
        if case.labelled or case.drafted:
            label = label_of(case) if labels is None else labels[case.name]
            write_array(folder / LABEL, label)
            places: dict[str, Any] = {
                str(value): np.argwhere(label == value).astype(np.int16) for value in np.unique(label)
            }
            np.savez_compressed(folder / PLACES, **places)
    disk.write_json(root / MANIFEST, manifest(cases).as_dict())
    folders.sign(root, "prepare", {})
    return root
