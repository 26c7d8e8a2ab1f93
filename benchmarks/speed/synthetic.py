"""Prepared folders of random scans, made without raw files: as many cases, of any shape, as a benchmark asks for."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk, folders
from equireg.folders.prepared import CASES, IMAGE, LABEL, MANIFEST, PLACES, SEEDS, CaseRecord, Manifest, write_array
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.preparation import equivariance_seeds

_DRAWN = 4
"""Cases whose arrays are drawn; the files of all others are links to theirs."""


def prepared_set(
    folder: Path, cases: int, shape: Sequence[int], channels: int = 4, classes: int = 4, masked: float = 0.25
) -> Path:
    """Write a prepared folder of noise with a ball of each class.

    Args:
        folder: where; made.
        cases: how many, all of them for training.
        shape: voxels of a case, [D, H, W].
        channels: of a scan.
        classes: with the background.
        masked: part of the cases that carry a mask.
    """
    (folder / CASES).mkdir(parents=True)
    depth, height, width = shape
    geometry = Geometry.from_array((width, height, depth), np.eye(4))
    first = CaseRecord(
        name="",
        patient="",
        split="train",
        labelled=False,
        held_out=False,
        shape=(depth, height, width),
        spacing_mm=(1.0, 1.0, 1.0),
        grid=WorkingGrid.plan(geometry, None, "z").as_dict(),
        background=(0.0,) * channels,
        class_voxels=(),
    )
    records = []
    for index in range(cases):
        name = f"case{index:06d}"
        labelled = index < max(1, round(masked * cases))
        place = folder / CASES / name
        place.mkdir()
        if index < _DRAWN:
            _write_case(place, first, classes, index)
        else:
            for path in (folder / CASES / f"case{index % _DRAWN:06d}").iterdir():
                os.link(path, place / path.name)
        counts = (1,) * classes if labelled else ()
        records.append(replace(first, name=name, patient=name, labelled=labelled, class_voxels=counts))
    disk.write_json(folder / MANIFEST, _manifest(records, channels, classes).as_dict())
    folders.sign(folder, "prepare", {}, seed=0)
    return folder


def _manifest(records: Sequence[CaseRecord], channels: int, classes: int) -> Manifest:
    shape = list(records[0].shape)
    names = tuple(f"class{index}" for index in range(classes))
    return Manifest(
        dataset="synthetic",
        channels=tuple(f"channel{index}" for index in range(channels)),
        modality="mri",
        labels=LabelTable(tuple(range(classes)), names),
        axes="zyx",
        flips="xyz",
        spacing_mm=(1.0, 1.0, 1.0),
        normalisation={"name": "zscore"},
        fingerprint={
            "median_shape": shape,
            "large_shape": shape,
            "median_spacing_mm": [1.0] * 3,
            "class_voxels": [1] * classes,
        },
        cases=tuple(records),
    )


def _write_case(folder: Path, record: CaseRecord, classes: int, seed: int) -> None:
    """Write noise, and a mask with a ball of each class about its own place."""
    rng = np.random.default_rng(seed)
    places = np.indices(record.shape)
    label = np.zeros(record.shape, dtype=np.uint8)
    for index in range(1, classes):
        centre = np.array(record.shape) * (index / classes)
        distance = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(places, centre, strict=True)))
        label[distance < min(record.shape) / 4] = index
    image = rng.standard_normal((len(record.background), *record.shape)) + label
    write_array(folder / IMAGE, image.astype(np.float16))
    write_array(folder / LABEL, label)
    found = {str(index): np.argwhere(label == index)[:1000].astype(np.int16) for index in range(classes)}
    shown: dict[str, Any] = {name: spots for name, spots in found.items() if len(spots)}
    np.savez_compressed(folder / PLACES, **shown)
    np.save(folder / SEEDS, equivariance_seeds.draw(record.name, range(record.shape[0])))
