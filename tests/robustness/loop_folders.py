"""Kinds of files of the loop between model and annotator: new masks, drafts, quality, and unfinished predictions."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk, folders
from equireg.folders.quality import CaseQuality, DiceEstimate, RegionQuality
from fuzz import Subject, Target
from mutations import damaged_everywhere, damaged_json, damaged_table
from scans import nifti

_CASES = ("a", "b", "c", "d", "e", "f")


def _prepared(folder: Path) -> Path:
    """Prepare a raw folder in which one scan has no mask."""
    from equireg.preparation.prepare import prepare
    from scans import MASK, VOXELS

    for part, cases in (("imagesTr", "abc"), ("labelsTr", "ab")):
        (folder / "raw" / part).mkdir(parents=True)
        for case in cases:
            (folder / "raw" / part / f"{case}.nii").write_bytes(nifti(MASK if part == "labelsTr" else VOXELS))
    prepare(folder / "raw", folder / "prepared", jobs=1, val_fraction=0.3)
    return folder / "prepared"


def _mask(values: int = 1) -> bytes:
    from scans import MASK

    return gzip.compress(nifti(MASK * np.uint8(values)), mtime=0)


def _to_adopt(which: str) -> Callable[[Path], Subject]:
    """Return what makes a mask that is adopted, and the draft that it corrects; a refusal must change nothing."""

    def make(folder: Path) -> Subject:
        from equireg.annotation.adopt import adopt
        from equireg.folders.prepared import PreparedSet

        root, own = _prepared(folder), folder / "own"
        case = next(one.name for one in PreparedSet(root).manifest.cases if not one.labelled)
        for home in ("masks", "drafts"):
            (folder / home).mkdir()
            (folder / home / f"{case}.nii.gz").write_bytes(_mask())

        def read() -> Any:
            shutil.rmtree(own, ignore_errors=True)
            shutil.copytree(root, own)
            try:
                taken = adopt(own, folder / "masks", drafts=str(folder / "drafts"))
            except Exception:
                if _files(own) != _files(root):
                    raise AssertionError("a refused mask changed the prepared folder") from None
                raise
            data = PreparedSet(own)
            data.verify()
            facts = [taken[case].corrects, taken[case].dice, taken[case].changed_voxels]
            return [facts, np.asarray(data.label(case)[:]), data.reference(case)]

        return Subject(folder / which / f"{case}.nii.gz", damaged_everywhere, read)

    return make


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


def _adopted(which: str) -> Callable[[Path], Subject]:
    """Return what makes a prepared folder that has adopted a mask; `prepare` reads both files again."""

    def make(folder: Path) -> Subject:
        from equireg.annotation.adopt import adopt
        from equireg.folders.prepared import PreparedSet
        from equireg.folders.prepared.adopted import ADOPTED, adopted_masks, read_history

        root = _prepared(folder)
        case = next(one.name for one in PreparedSet(root).manifest.cases if not one.labelled)
        (folder / f"{case}.nii.gz").write_bytes(_mask())
        adopt(root, folder / f"{case}.nii.gz", by="R. One")
        history = root / ADOPTED / "adopted.json"
        path = history if which == "adopted.json" else root / ADOPTED / f"{case}.nii.gz"

        def read() -> Any:
            from equireg.imaging.volume import read_geometry, read_label

            masks = adopted_masks(root)
            values = {name: read_label(mask, read_geometry(mask)[0]) for name, mask in masks.items()}
            return [{name: [vars(one) for one in every] for name, every in read_history(root).items()}, values]

        damage = damaged_json if path == history else damaged_everywhere
        return Subject(path, damage, read, (str(root / ADOPTED),))

    return make


def _quality() -> list[CaseQuality]:
    regions = {"tumour": RegionQuality(0.8, 120.0, 0.1)}
    return [
        CaseQuality(case, 0.5 + index / 20, regions, ("small",), DiceEstimate(0.8, 0.7, 0.9, 6))
        for index, case in enumerate(_CASES)
    ]


def _of_quality(name: str) -> Callable[[Path], Subject]:
    """Return what makes the files of quality in a folder of predictions."""

    def make(folder: Path) -> Subject:
        from equireg.folders import quality

        for one in _quality():
            quality.write_record(folder, one)
        quality.write_quality(folder, _quality())

        def read() -> Any:
            return [quality.read_quality(folder), quality.read_record(folder, "a")]

        return Subject(folder / name, damaged_json if name.endswith(".json") else damaged_table, read)

    return make


def _calibration(folder: Path) -> Subject:
    """The qualities and Dice of an evaluation, from which `predict --calibration` learns."""
    from equireg.config import PredictConfig
    from equireg.folders import evaluation
    from equireg.folders.digests import digests_of
    from equireg.folders.quality import views_of
    from equireg.prediction.calibration import read_calibration

    config = PredictConfig()
    evaluation.write_quality(folder, {case: (0.5 + n / 20, 0.6 + n / 30) for n, case in enumerate(_CASES)})
    digests = digests_of(folder, (evaluation.QUALITY,))
    facts = {"run": {"name": "run", "checkpoint_digest": "d"}, evaluation.VIEWS: views_of(vars(config))}
    folders.sign(folder, evaluation.VERB, {}, digests=digests, **facts)

    def read() -> Any:
        learnt = read_calibration(folder, "d", config)
        return [vars(learnt.estimate(value)) for value in (0.4, 0.6, 0.9)]

    return Subject(folder / evaluation.QUALITY, damaged_table, read)


_COMMAND = {"checkpoint": "0123", "test_time": "none", "overlap": 0.5, "scans": "scans"}
_DIGESTS = {case: f"{index:032x}" for index, case in enumerate(_CASES)}


def _unfinished(name: str) -> Callable[[Path], Subject]:
    """Return what makes a folder of predictions that a stopped command has left."""

    def make(folder: Path) -> Subject:
        from equireg.folders import predictions, quality
        from equireg.prediction.folder import Unfinished

        whole, root = folder / "whole", folder / "predictions"
        whole.mkdir()
        disk.write_json(whole / folders.UNFINISHED, {"command": _COMMAND, "scans": _DIGESTS})
        predictions.write_times(whole, {"a": 1.5, "b": 2.5})
        for one in _quality()[:2]:
            quality.write_record(whole, one)
            (whole / f"{one.case}.nii.gz").write_bytes(_mask())

        def read() -> Any:
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(whole, root)
            return Unfinished(root, _COMMAND, _DIGESTS).seconds

        damage = damaged_json if name.endswith(".json") else damaged_table
        return Subject(whole / name, damage, read, (str(root),))

    return make


KINDS: dict[str, Target] = {
    "mask to adopt": Target(_to_adopt("masks"), sealed=True, cost=2),
    "draft of a mask": Target(_to_adopt("drafts"), sealed=True, cost=2),
    "prepared: adopted.json": Target(_adopted("adopted.json"), cost=2),
    "prepared: adopted mask": Target(_adopted("mask"), sealed=True, cost=2),
    "predictions: quality.csv": Target(_of_quality("quality.csv")),
    "predictions: quality of a case": Target(_of_quality("quality/a.json")),
    "predictions: underway.json": Target(_unfinished(folders.UNFINISHED)),
    "predictions: times.csv": Target(_unfinished("times.csv")),
    "evaluation: quality.csv": Target(_calibration, sealed=True),
}
"""Name of a kind of file to how it is made, damaged and read."""
