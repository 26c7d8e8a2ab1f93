"""Kinds of files that equireg writes itself: runs, predictions and evaluations, each with the reader of its verb."""

import functools
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

from equireg import disk, folders
from fuzz import Subject, Target
from mutations import damaged_json, damaged_table
from prepared_sets import record, write_set
from scans import MASK, nifti


@functools.cache
def run_files() -> dict[str, bytes]:
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


def in_run(name: str, damage: Callable[..., bytes], read: Callable[[Path], Any], *, sealed: bool = False) -> Target:
    def make(folder: Path) -> Subject:
        root = folder / "run"
        for inside, content in run_files().items():
            (root / inside).parent.mkdir(parents=True, exist_ok=True)
            (root / inside).write_bytes(content)
        return Subject(root / name, damage, lambda: read(root), (str(root),))

    return Target(make, sealed=sealed, cost=3 if name.endswith(".ckpt") else 1)


def read_model(root: Path) -> Any:
    from equireg.model import load_model

    model = load_model(root / "checkpoints" / "best.ckpt")
    weights = {name: value.numpy() for name, value in model.predictor.state_dict().items()}
    return [weights, model.config, model.facts, model.step]


def read_run(root: Path) -> Any:
    from equireg.folders.run import RunFolder

    run = RunFolder(root)
    return [run.facts(), run.is_finished(), run.read_metrics(), run.read_scalars()]


def read_config(root: Path) -> Any:
    from equireg.folders.run import RunFolder
    from equireg.model import config_from

    RunFolder(root).check_config()
    return config_from(RunFolder(root).read_config())


# Predictions and evaluations ------------------------------------------------------------------------------------------


def predictions(name: str, damage: Callable[..., bytes]) -> Target:
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

    return Target(make, sealed=name in ("a.nii.gz", "made_by.json"), cost=3)


def evaluation(name: str, damage: Callable[..., bytes]) -> Target:
    from equireg.folders import evaluation

    def make(folder: Path) -> Subject:
        from equireg.evaluation.evaluate import evaluate

        subject = predictions("labels.json", damaged_json).make(folder)
        root = folder / "evaluation"
        evaluate(subject.path.parent, folder / "masks", root, jobs=1, scans=folder / "masks")

        def read() -> Any:
            from equireg.comparing.sources import read_sources

            evaluation.read_signature(root)
            read = read_sources([root]).evaluations
            scores = {str(key): value for key, value in evaluation.read_scores(root).items()}
            pictures = [vars(picture) for picture in evaluation.read_pictures(root)]
            facts = [[one.title, one.facts, one.provenance] for one in read]
            return [scores, evaluation.read_summary(root), evaluation.read_labels(root), pictures, facts]

        path = next(iter(sorted((root / "pictures").glob("*.npz")))) if name == "picture.npz" else root / name
        return Subject(path, damage, read, (str(root),))

    return Target(make, sealed=name in (*evaluation.SEALED, "made_by.json"))


def portal(folder: Path) -> Subject:
    from equireg.evaluation.predictions import read_predictions
    from equireg.evaluation.references.portal import PortalTable

    root = predictions("labels.json", damaged_json).make(folder).path.parent
    regions = {"whole": [1], "core": [1], "enhancing": [1]}
    disk.write_json(
        root / "labels.json", {"labels": {"background": 0, "tumour": 1}, "regions": regions, "ignore": None}
    )
    path = folder / "stats.csv"
    head = "Label,Dice_ET,Dice_WT,Dice_TC,Hausdorff95_ET,Hausdorff95_WT,Hausdorff95_TC"
    path.write_text(f"{head}\na,0.5,0.5,0.5,1,1,1\nb,0.7,0.7,0.7,3,3,3\nMean,0.6,0.6,0.6,2,2,2\n")
    return Subject(path, damaged_table, lambda: PortalTable.read(path, read_predictions(root)).scores)
