"""The kinds of files that the attack damages: each with a healthy example and the reader of the verb that uses it."""

import dataclasses
import functools
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
import yaml

from equireg import disk, folders
from equireg.errors import EquiregError
from fuzz import Subject, Target
from mutations import (
    damaged_bytes,
    damaged_everywhere,
    damaged_header,
    damaged_json,
    damaged_table,
    damaged_yaml,
    flipped_bit,
)
from prepared_sets import record, write_set

VOXELS = np.abs(np.random.default_rng(1).normal(size=(11, 10, 9)) * 50).astype(np.int16)
MASK = (VOXELS > 40).astype(np.uint8)


def nifti(voxels: np.ndarray = VOXELS, kind: type = nib.Nifti1Image) -> bytes:
    """Return a file of voxels [X, Y, Z]."""
    return kind(voxels, np.diag([1.0, 2.0, 3.0, 1.0])).to_bytes()


# Scans ---------------------------------------------------------------------------------------------------------------


def _image(name: str, content: bytes, damage: Callable[..., bytes], *, packs: bool = False) -> Target:
    def make(folder: Path) -> Subject:
        from equireg.imaging.volume import read_geometry, read_image, read_label

        path = folder / name
        path.write_bytes(content)

        def read() -> Any:
            if packs:
                path.write_bytes(gzip.compress(path.read_bytes(), 1, mtime=0))
            geometry, _ = read_geometry(path)
            image, again = read_image([path])
            if again != geometry or image.shape[1:] != geometry.shape:
                raise AssertionError("two readings of one file differ")
            return [image, read_label(path, geometry), geometry.affine_array]

        return Subject(path, damage, read)

    return Target(make, sealed=name.endswith(".nii.gz") and not packs)


@functools.cache
def _by_itk(ending: str, packed: bool) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed.{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path), useCompression=packed)
        return path.read_bytes()


# Raw folders ---------------------------------------------------------------------------------------------------------

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


# Prepared folders ----------------------------------------------------------------------------------------------------


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
                values += [case.working_grid().as_dict(), np.asarray(opened.image(case.name)[...])]
                values += [opened.equivariance_seeds(case.name)]
                if case.labelled:
                    values += [np.asarray(opened.label(case.name)[...]), opened.foreground(case.name)]
                    values += [opened.reference(case.name)]
            return [opened.manifest.as_dict(), values]

        return Subject(root / inside, damaged_json if damage == "json" else damaged_everywhere, read, (str(root),))

    return Target(make, sealed=name not in ("made_by.json",), cost=3)


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


# Runs ----------------------------------------------------------------------------------------------------------------


@functools.cache
def _run_files() -> dict[str, bytes]:
    """Train for two steps; return the files of the run."""
    import tempfile

    from equireg.training.train import train

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options: dict[str, Any] = {"max_steps": 2, "val_every": 1, "batch_size": 1, "unsup_ratio": 1}
        fixed: dict[str, Any] = {"device": "cpu", "precision": "32", "pictures_every": 0, "network": {"features": 4}}
        prepared = write_set(folder / "set", [record("a"), record("b"), record("c", "val")])
        run = train(prepared, folder / "run", method="equireg", **options, **fixed)
        return {
            str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file() and "tfevents" not in p.name
        }


def _in_run(name: str, damage: Callable[..., bytes], read: Callable[[Path], Any], *, sealed: bool = False) -> Target:
    def make(folder: Path) -> Subject:
        root = folder / "run"
        for inside, content in _run_files().items():
            (root / inside).parent.mkdir(parents=True, exist_ok=True)
            (root / inside).write_bytes(content)
        return Subject(root / name, damage, lambda: read(root), (str(root),))

    return Target(make, sealed=sealed, cost=3 if sealed else 1)


def _read_model(root: Path) -> Any:
    from equireg.model import load_model

    model = load_model(root / "checkpoints" / "best.ckpt")
    weights = {name: value.numpy() for name, value in model.predictor.state_dict().items()}
    return [weights, model.config, model.facts, model.step]


def _read_run(root: Path) -> Any:
    from equireg.folders.run import RunFolder

    run = RunFolder(root)
    return [run.facts(), run.is_finished(), run.read_metrics(), run.read_scalars()]


def _read_config(root: Path) -> Any:
    from equireg.folders.run import RunFolder
    from equireg.model import config_from

    RunFolder(root).check_config()
    return config_from(RunFolder(root).read_config())


# Predictions and evaluations ------------------------------------------------------------------------------------------


def _predictions(name: str, damage: Callable[..., bytes]) -> Target:
    def make(folder: Path) -> Subject:
        from equireg.evaluation.evaluate import evaluate

        root, masks = folder / "predictions", folder / "masks"
        masks.mkdir()
        root.mkdir()
        for case in "ab":
            (masks / f"{case}.nii.gz").write_bytes(gzip.compress(nifti(MASK), mtime=0))
            (root / f"{case}.nii.gz").write_bytes(gzip.compress(nifti(MASK), mtime=0))
        disk.write_json(root / "labels.json", {"labels": {"background": 0, "tumour": 1}, "regions": {}, "ignore": None})
        (root / "times.csv").write_text("case,seconds\na,1.5\nb,2.5\n")
        folders.sign(root, "predict", {}, source=folder, cases=["a", "b"], run={"name": "run", "method": "equireg"})
        out = folder / "out"

        def read() -> Any:
            import shutil

            try:
                evaluate(root, masks, out, jobs=1)
                return [(out / "metrics.csv").read_text(), (out / "labels.json").read_text()]
            finally:
                shutil.rmtree(out, ignore_errors=True)

        return Subject(root / name, damage, read, (str(root),))

    return Target(make, sealed=name.endswith(".nii.gz"), cost=3)


def _evaluation(name: str, damage: Callable[..., bytes]) -> Target:
    def make(folder: Path) -> Subject:
        from equireg.evaluation.evaluate import evaluate
        from equireg.folders import evaluation

        subject = _predictions("labels.json", damaged_json).make(folder)
        root = folder / "evaluation"
        evaluate(subject.path.parent, folder / "masks", root, jobs=1, scans=folder / "masks")

        def read() -> Any:
            from equireg.reporting.results.sources import read_sources

            evaluation.read_signature(root)
            read_sources([root])
            scores = {str(key): value for key, value in evaluation.read_scores(root).items()}
            pictures = [vars(picture) for picture in evaluation.read_pictures(root)]
            return [scores, evaluation.read_summary(root), evaluation.read_labels(root), pictures]

        path = next(iter(sorted((root / "pictures").glob("*.npz")))) if name == "picture.npz" else root / name
        return Subject(path, damage, read, (str(root),))

    return Target(make)


def _portal(folder: Path) -> Subject:
    from equireg.evaluation.predictions import read_predictions
    from equireg.evaluation.references.portal import PortalTable

    root = _predictions("labels.json", damaged_json).make(folder).path.parent
    regions = {"whole": [1], "core": [1], "enhancing": [1]}
    disk.write_json(
        root / "labels.json", {"labels": {"background": 0, "tumour": 1}, "regions": regions, "ignore": None}
    )
    path = folder / "stats.csv"
    head = "Label,Dice_ET,Dice_WT,Dice_TC,Hausdorff95_ET,Hausdorff95_WT,Hausdorff95_TC"
    path.write_text(f"{head}\na,0.5,0.5,0.5,1,1,1\nb,0.7,0.7,0.7,3,3,3\nMean,0.6,0.6,0.6,2,2,2\n")
    return Subject(path, damaged_table, lambda: PortalTable.read(path, read_predictions(root)).scores)


# Options -------------------------------------------------------------------------------------------------------------

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
    "scan.nii": _image("scan.nii", nifti(), damaged_bytes),
    "scan, NIfTI-2": _image("scan2.nii", nifti(kind=nib.Nifti2Image), damaged_bytes),
    "scan.nii.gz, header": _image("scan.nii.gz", nifti(), damaged_bytes, packs=True),
    "scan.nii.gz, bytes": _image("scan.nii.gz", gzip.compress(nifti(), mtime=0), damaged_everywhere),
    "scan.nii.gz, one bit": _image("scan.nii.gz", gzip.compress(nifti(), mtime=0), flipped_bit),
    "scan.mha": _image("scan.mha", _by_itk("mha", False), _header),
    "scan.mha, packed": _image("scan.mha", _by_itk("mha", True), _header),
    "scan.nrrd": _image("scan.nrrd", _by_itk("nrrd", False), _header),
    "scan.nrrd, packed": _image("scan.nrrd", _by_itk("nrrd", True), _header),
    "dataset.json, Decathlon": _dataset(_DECATHLON, ""),
    "dataset.json, nnU-Net": _dataset(_NNUNET, "_0000"),
    "split file": Target(_split),
    "prepared: manifest.json": _in_prepared("manifest.json"),
    "prepared: made_by.json": _in_prepared("made_by.json"),
    "prepared: image": _in_prepared("image.b2nd"),
    "prepared: label": _in_prepared("label.b2nd"),
    "prepared: places": _in_prepared("foreground.npz"),
    "prepared: mask": _in_prepared("reference.nii.gz"),
    "prepared: case.json": Target(_case_record, sealed=True, cost=10),
    "run: checkpoint": _in_run("checkpoints/best.ckpt", damaged_everywhere, _read_model, sealed=True),
    "run: made_by.json": _in_run("made_by.json", damaged_json, _read_run),
    "run: config.yaml": _in_run("config.yaml", damaged_yaml, _read_config),
    "run: metrics.csv": _in_run("metrics.csv", damaged_table, _read_run),
    "predictions: mask": _predictions("a.nii.gz", damaged_everywhere),
    "predictions: made_by.json": _predictions("made_by.json", damaged_json),
    "predictions: labels.json": _predictions("labels.json", damaged_json),
    "evaluation: made_by.json": _evaluation("made_by.json", damaged_json),
    "evaluation: summary.json": _evaluation("summary.json", damaged_json),
    "evaluation: labels.json": _evaluation("labels.json", damaged_json),
    "evaluation: metrics.csv": _evaluation("metrics.csv", damaged_table),
    "evaluation: picture": _evaluation("picture.npz", damaged_everywhere),
    "portal table": Target(_portal),
    "options of train": _options("train"),
    "options of prepare": _options("prepare"),
    "options of predict": _options("predict"),
    "sweep file": Target(_sweep, cost=4),
}
"""Name of a kind of file to how it is made, damaged and read."""
