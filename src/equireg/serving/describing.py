"""What the server says of itself: the model, the scans and the training, in MONAI Label's words."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from equireg import disk
from equireg._version import __version__
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder
from equireg.imaging.formats import extension_of
from equireg.serving.desk import Desk
from equireg.serving.order import STRATEGIES

FINAL = "final"
"""Tag of a mask that a person has drawn or approved."""


def info(desk: Desk) -> dict[str, Any]:
    """Return all that a client shows: models, ways to choose a scan, training, and how far the work is."""
    model = desk.newest_model()
    names = list(desk.labels.names[1:])
    models = {}
    if model is not None:
        drawn = list(model.facts.labels.names[1:])
        models[desk.name] = {
            "type": "segmentation",
            "labels": drawn,
            "dimension": 3,
            "description": f"{model.facts.dataset}: {', '.join(drawn)}; from {', '.join(model.facts.channels)}",
            "config": {},
        }
    training = {desk.name: {"description": "continues from the newest run", "config": _limits(desk)}}
    return {
        "name": f"equireg: {desk.name}",
        "description": "segmentation from few labels",
        "version": __version__,
        "labels": names,
        "models": models,
        "trainers": training if desk.has_folder else {},
        "strategies": {name: {"description": what} for name, what in STRATEGIES.items()} if desk.has_folder else {},
        "scoring": {},
        "train_stats": {} if model is None else _scores(desk.name, model.run),
        "datastore": status(desk) if desk.has_folder else {},
        "config": {},
    }


def _limits(desk: Desk) -> dict[str, Any]:
    return {} if desk.config.train_config is not None else {"max_minutes": desk.config.train_minutes}


def _scores(name: str, run: Path) -> dict[str, Any]:
    """Return the best validation Dice of a run, 0 to 1, where it validated."""
    try:
        _, curves = RunFolder(run).read_scalars()
    except EquiregError:  # an ensemble has no curves
        return {}
    return {name: {"best_metric": float(curves["val/dice"][:, 1].max())}} if "val/dice" in curves else {}


def status(desk: Desk) -> dict[str, Any]:
    """Return how many of the training scans have a mask."""
    training = [case for case in desk.data.manifest.cases if case.split == "train"]
    done = sum(case.labelled for case in training)
    return {"total": len(training), "completed": done, "label_tags": {FINAL: done}}


def listing(desk: Desk) -> dict[str, Any]:
    """Return all scans of the prepared folder by name, with what they have."""
    objects = {}
    for case in desk.data.manifest.cases:
        masked = desk.data.reference(case.name) is not None
        objects[case.name] = {
            "image": {"ext": "", "info": {"split": case.split, "patient": case.patient}},
            "labels": {FINAL: {"ext": ".nii.gz", "info": {}}} if masked else {},
        }
    return {"name": desk.data.manifest.dataset, "description": "", "objects": objects}


def trained_on(desk: Desk) -> list[dict[str, str]]:
    """Return the training scans with a mask."""
    cases = desk.data.manifest.cases
    return [{"image": case.name, "label": case.name} for case in cases if case.split == "train" and case.labelled]


def file_name(image: str, path: Path) -> str:
    """Return the name that a scan's file has for clients: that of the scan, with the file's ending."""
    ending = extension_of(path) or ""
    return image if image.endswith(ending) else f"{image}{ending}"


def sample(desk: Desk, image: str) -> dict[str, Any]:
    """Return what a client needs to load a scan.

    The checksum keeps Slicer from showing another scan of the same file name that it loaded before. The path stays
    empty: older modules ask for it, and take the scan over HTTP then.
    """
    path = desk.image_file(image)
    with disk.read_errors(path), path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "id": image,
        "name": file_name(image, path),
        "path": "",
        "url": f"/datastore/image?image={quote_plus(image)}",
        "checksum": f"SHA256:{checksum}",
    }
