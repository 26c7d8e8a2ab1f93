"""The kinds of files that the attack damages: each with a healthy example and the reader of the verb that uses it."""

import dataclasses
import functools
import gzip
import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml

import dicom_targets
import loop_folders
import model_files
import picture_targets
import user_files
from equireg.errors import EquiregError
from fuzz import Subject, Target
from made_folders import evaluation, in_run, portal, predictions, read_config, read_model, read_run
from mutations import (
    damaged_bytes,
    damaged_everywhere,
    damaged_header,
    damaged_json,
    damaged_table,
    damaged_yaml,
    flipped_bit,
)
from scans import MASK, VOXELS, by_itk, nifti, scan_file

_DECATHLON = {
    "name": "made up",
    "modality": {"0": "MRI"},
    "labels": {"0": "background", "1": "tumour"},
    "numTraining": 3,
    "numTest": 1,
    "training": [{"image": f"./imagesTr/{case}.nii", "label": f"./labelsTr/{case}.nii"} for case in "abc"],
    "test": ["./imagesTs/d.nii"],
}
_NNUNET = {
    "channel_names": {"0": "T1"},
    "labels": {"background": 0, "tumour": 1, "ignore": 2},
    "numTraining": 3,
    "file_ending": ".nii",
    "dataset": {c: {"images": [f"imagesTr/{c}_0000.nii"], "label": f"labelsTr/{c}.nii"} for c in "abc"},
}


def _raw(folder: Path, suffix: str = "") -> Path:
    root = folder / "raw"
    for part, cases, end in (("imagesTr", "abc", suffix), ("labelsTr", "abc", ""), ("imagesTs", "d", suffix)):
        (root / part).mkdir(parents=True)
        for case in cases:
            (root / part / f"{case}{end}.nii").write_bytes(nifti(MASK if part == "labelsTr" else VOXELS))
    return root


def _dataset(content: dict[str, Any], suffix: str) -> Target:
    def make(folder: Path) -> Subject:
        from equireg.layouts.finding import discover

        root = _raw(folder, suffix)
        path = root / "dataset.json"
        path.write_text(json.dumps(content))

        def read() -> Any:
            found = discover(root, follow_links=False)
            if found.refused:
                raise EquiregError(f"{root}: {found.refused[0].case}: {found.refused[0].reason}")
            outside = [file for case in found.cases for file in case.files if not _inside(file, root)]
            if outside:
                raise AssertionError(f"{outside[0]} is outside of the raw folder")
            return found

        return Subject(path, damaged_json, read, (str(root),))

    return Target(make)


def _inside(file: Path, root: Path) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))


def _split(folder: Path) -> Subject:
    from equireg.preparation.split import SplitCase, read_split

    path = folder / "split.json"
    path.write_text(json.dumps({"train": ["a", "b"], "val": ["c"], "test": ["d"]}))
    cases = [SplitCase(name, name, False) for name in "abcde"]
    return Subject(path, damaged_json, lambda: read_split(path, cases))


@functools.cache
def _prepared_files(name: str) -> tuple[str, str]:
    """Return where a file of a prepared folder lies, and its damage."""
    inside = {"manifest.json": "", "made_by.json": ""}.get(name, "cases/a/")
    return inside + name, "json" if name.endswith(".json") else "everywhere"


def _prepare(folder: Path) -> Path:
    from equireg.preparation.prepare import prepare

    raw = _raw(folder)
    (raw / "dataset.json").write_text(json.dumps(_DECATHLON))
    prepare(raw, folder / "prepared", jobs=1, val_fraction=0.3)
    return folder / "prepared"


def _in_prepared(name: str) -> Target:
    def make(folder: Path) -> Subject:
        from equireg.folders.prepared import PreparedSet

        root = _prepare(folder)
        inside, damage = _prepared_files(name)

        def read() -> Any:
            opened = PreparedSet(root)
            opened.verify()
            values = []
            for case in opened.manifest.cases:
                values += [case.working_grid().as_dict(), np.asarray(opened.image(case.name)[:])]
                values += [opened.equivariance_seeds(case.name)]
                if case.labelled:
                    values += [np.asarray(opened.label(case.name)[:]), opened.foreground(case.name)]
                    values += [opened.reference(case.name)]
            return [opened.manifest.as_dict(), values]

        return Subject(root / inside, damaged_json if damage == "json" else damaged_everywhere, read, (str(root),))

    return Target(make, sealed=True, cost=3)


def _example(folder: Path) -> Subject:
    from equireg.folders.examples import read_examples

    root = _prepare(folder)
    path = next((root / "examples").glob("*.npz"))
    return Subject(path, damaged_everywhere, lambda: [vars(step) for one in read_examples(root) for step in one.steps])


def _case_record(folder: Path) -> Subject:
    """A damaged record of a case: the case is made anew, so the folder must be as it was."""
    from equireg.folders.prepared import PreparedSet
    from equireg.preparation.prepare import prepare

    root = _prepare(folder)

    def read() -> Any:
        prepare(folder / "raw", root, jobs=1, val_fraction=0.3)
        opened = PreparedSet(root)
        opened.verify()
        return [opened.digest, opened.manifest.as_dict()]

    return Subject(root / "cases" / "a" / "case.json", damaged_json, read)


_OPTIONS: dict[str, dict[str, Any]] = {
    "train": {
        "method": {"name": "equireg", "teacher": "ema"},
        "network": {"name": "unet", "features": 8},
        "max_steps": 100,
        "optimizer": {"lr": 0.01},
        "patch_size": [32, 32],
        "sup_cut": 0.5,
        "device": "cpu",
        "seed": 3,
    },
    "prepare": {"spacing": "median", "val_fraction": 0.2, "jobs": 1, "split_seed": 3, "normalise": "zscore"},
    "predict": {"test_time": "flips", "overlap": 0.5, "device": "cpu", "probabilities": True},
}
_SWEEP = {
    "prepared": "prepared",
    "split": ["val", "test"],
    "train": {"max_steps": 100},
    "predict": {"test_time": "none"},
    "grid": {"method": ["supervised", "equireg"], "sup_cases": [1, 5], "seed": [1, 2]},
    "parts": [{"train": {"max_steps": 200}, "grid": {"method": ["supervised"], "sup_cases": [100]}}],
    "runs": [{"method": "equireg", "method.teacher": "self", "sup_cases": 3}],
}


def _options(verb: str) -> Target:
    def make(folder: Path) -> Subject:
        from equireg.cli.reading import read
        from equireg.cli.verbs import VERBS

        path = folder / f"{verb}.yaml"
        path.write_text(yaml.safe_dump(_OPTIONS[verb]))
        places = [str(folder)] * len(VERBS[verb].arguments)
        arguments = [*places, "--out", str(folder / "out"), "--config", str(path)]
        return Subject(path, damaged_yaml, lambda: read(verb, VERBS[verb], arguments), (str(folder),))

    return Target(make)


def _sweep(folder: Path) -> Subject:
    from equireg.pipeline.sweep import sweep

    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(_SWEEP))

    def read() -> Any:
        import contextlib
        import io

        with contextlib.redirect_stdout(io.StringIO()):
            return [dataclasses.asdict(run) for run in sweep(path, folder / "out", dry_run=True)]

    return Subject(path, damaged_yaml, read)


_header = functools.partial(damaged_header, head=400)

TARGETS: dict[str, Target] = {
    "scan.nii": scan_file("scan.nii", nifti(), damaged_bytes),
    "scan, NIfTI-2": scan_file("scan2.nii", nifti(kind=nib.Nifti2Image), damaged_bytes),
    "scan.nii.gz, header": scan_file("scan.nii.gz", nifti(), damaged_bytes, packs=True),
    "scan.nii.gz, bytes": scan_file("scan.nii.gz", gzip.compress(nifti(), mtime=0), damaged_everywhere),
    "scan.nii.gz, one bit": scan_file("scan.nii.gz", gzip.compress(nifti(), mtime=0), flipped_bit),
    "scan.mha": scan_file("scan.mha", by_itk("mha", False), _header),
    "scan.mha, packed": scan_file("scan.mha", by_itk("mha", True), _header),
    "scan.nrrd": scan_file("scan.nrrd", by_itk("nrrd", False), _header),
    "scan.nrrd, packed": scan_file("scan.nrrd", by_itk("nrrd", True), _header),
    "dataset.json, Decathlon": _dataset(_DECATHLON, ""),
    "dataset.json, nnU-Net": _dataset(_NNUNET, "_0000"),
    "split file": Target(_split),
    "prepared: manifest.json": _in_prepared("manifest.json"),
    "prepared: made_by.json": _in_prepared("made_by.json"),
    "prepared: image": _in_prepared("image.b2nd"),
    "prepared: label": _in_prepared("label.b2nd"),
    "prepared: places": _in_prepared("foreground.npz"),
    "prepared: mask": _in_prepared("reference.nii.gz"),
    "prepared: seeds": _in_prepared("equivariance.npy"),
    "prepared: case.json": Target(_case_record, sealed=True, cost=10),
    "prepared: example": Target(_example, cost=3),
    "run: checkpoint": in_run("checkpoints/best.ckpt", damaged_everywhere, read_model, sealed=True),
    "run: made_by.json": in_run("made_by.json", damaged_json, read_run, sealed=True),
    "run: config.yaml": in_run("config.yaml", damaged_yaml, read_config),
    "run: metrics.csv": in_run("metrics.csv", damaged_table, read_run),
    "predictions: mask": predictions("a.nii.gz", damaged_everywhere),
    "predictions: made_by.json": predictions("made_by.json", damaged_json),
    "predictions: labels.json": predictions("labels.json", damaged_json),
    "evaluation: made_by.json": evaluation("made_by.json", damaged_json),
    "evaluation: summary.json": evaluation("summary.json", damaged_json),
    "evaluation: labels.json": evaluation("labels.json", damaged_json),
    "evaluation: metrics.csv": evaluation("metrics.csv", damaged_table),
    "evaluation: picture": evaluation("picture.npz", damaged_everywhere),
    "portal table": Target(portal),
    "options of train": _options("train"),
    "options of prepare": _options("prepare"),
    "options of predict": _options("predict"),
    "sweep file": Target(_sweep, cost=4),
    **dicom_targets.KINDS,
    **picture_targets.KINDS,
    **user_files.KINDS,
    **loop_folders.KINDS,
    **model_files.KINDS,
}
"""Name of a kind of file to how it is made, damaged and read."""
