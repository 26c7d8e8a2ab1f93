"""Kinds of files that hold trained weights: packed models, ensembles, and those of others to start from."""

import functools
import json
import tempfile
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from equireg import folders
from fuzz import Subject, Target
from made_folders import run_files
from mutations import damaged_everywhere, damaged_json
from nnunet_made_up import Plan, write_checkpoint

_PLAN = Plan(strides=((1, 1), (2, 2), (2, 2)), kernels=((3, 3),) * 3)


def _put_run(root: Path) -> Path:
    for inside, content in run_files().items():
        (root / inside).parent.mkdir(parents=True, exist_ok=True)
        (root / inside).write_bytes(content)
    return root


@functools.cache
def _zip() -> bytes:
    from equireg.exporting.pack import pack

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return pack(_put_run(folder / "run"), folder / "model.zip").read_bytes()


def _model(path: Path) -> Any:
    """Read what predicts, of a run, an ensemble or a packed model."""
    from equireg.prediction.trained import read_trained

    found = read_trained([path], "auto")
    models = [
        [{name: value.numpy() for name, value in one.predictor.state_dict().items()}, one.config, one.facts, one.step]
        for one in found.models
    ]
    return [models, found.names, found.digests, found.runs, found.name, found.post_process.as_dict()]


def _packed(folder: Path) -> Subject:
    path = folder / "model.zip"
    path.write_bytes(_zip())
    return Subject(path, damaged_everywhere, lambda: _model(path))


def _packed_by_others(folder: Path) -> Subject:
    """A packed model whose digests are right and whose facts nobody checked."""
    path, archive = folder / "model.json", folder / "model.zip"
    archive.write_bytes(_zip())
    with zipfile.ZipFile(archive) as opened:
        files = {name: opened.read(name) for name in opened.namelist() if name != "SHA256SUMS"}
    path.write_bytes(files["model.json"])

    def read() -> Any:
        changed = {**files, "model.json": path.read_bytes()}
        changed["SHA256SUMS"] = "".join(
            f"{sha256(part).hexdigest()}  {name}\n" for name, part in changed.items()
        ).encode()
        with zipfile.ZipFile(archive, "w") as made:
            for name, part in changed.items():
                made.writestr(name, part)
        return _model(archive)

    return Subject(path, damaged_json, read, (str(archive),))


def _checkpoint_of_others(folder: Path) -> Subject:
    """A checkpoint without a digest whose options, facts and post-processing nobody checked."""
    import torch

    run = _put_run(folder / "run")
    checkpoint = run / "checkpoints" / "best.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    entry = {key: value for key, value in content["equireg"].items() if key != "digest"}
    path = folder / "entry.json"
    path.write_text(json.dumps(entry))

    def read() -> Any:
        from equireg.model import load_model

        try:
            changed = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            changed = None  # what JSON cannot say stands for an entry that is nothing
        torch.save({**content, "equireg": changed}, checkpoint)
        model = load_model(checkpoint)
        return [model.config, model.facts, model.step, model.post_process.as_dict()]

    return Subject(path, damaged_json, read, (str(checkpoint),))


def _ensemble(folder: Path) -> Subject:
    import torch

    from equireg.folders.ensemble import Member, write_ensemble
    from equireg.folders.run import RunFolder
    from equireg.model import file_digest

    run, root = _put_run(folder / "run"), folder / "ensemble"
    (root / "members").mkdir(parents=True)
    members = []
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    for name in ("one", "other"):
        file = root / "members" / f"{name}.ckpt"
        torch.save({**content, "member": name}, file)
        members.append(Member(name, f"members/{name}.ckpt", file_digest(file), RunFolder(run).facts().as_dict()))
    write_ensemble(root, members, {}, {})
    return Subject(root / folders.SIGNATURE, damaged_json, lambda: _model(root), (str(root),))


def _start(path: Path) -> Any:
    """Read weights to start from, and fit them to a data set."""
    from equireg.model import ModelFacts
    from equireg.warm_start import read_source
    from equireg.warm_start.start import WarmStart

    found = read_source(path)
    weights = {name: value.numpy() for name, value in found.weights.items()}
    facts = ModelFacts.from_dict(_facts())
    start = WarmStart.onto(found, facts)
    return [weights, found.network, found.channels, found.labels, found.spacing_mm, start.rows, start.remarks]


@functools.cache
def _facts() -> dict[str, Any]:
    import torch

    with tempfile.TemporaryDirectory() as name:
        run = _put_run(Path(name) / "run")
        return dict(torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["equireg"]["facts"])


def _nnunet(folder: Path) -> Subject:
    path = write_checkpoint(folder / "model" / "fold_0" / "checkpoint_final.pth", _PLAN)
    return Subject(path, damaged_everywhere, lambda: _start(path))


def _beside_nnunet(name: str) -> Callable[[Path], Subject]:
    """Return what makes plans.json or dataset.json, which older checkpoints leave to the folder."""

    def make(folder: Path) -> Subject:
        from equireg.warm_start.nnunet import _load

        home = folder / "trainer__plans__own"
        whole = write_checkpoint(folder / "whole.pth", _PLAN)
        made = _load(whole)["init_args"]
        (home / "fold_0").mkdir(parents=True)
        (home / "plans.json").write_text(json.dumps(made["plans"]))
        (home / "dataset.json").write_text(json.dumps(made["dataset_json"]))
        write_checkpoint(home / "fold_0" / "checkpoint_final.pth", _PLAN, init_args=None)
        return Subject(home / name, damaged_json, lambda: _start(home / "fold_0"), (str(home),))

    return make


KINDS: dict[str, Target] = {
    "packed model": Target(_packed, sealed=True, cost=3),
    "packed model of others": Target(_packed_by_others, cost=3),
    "run: checkpoint of others": Target(_checkpoint_of_others, cost=3),
    "ensemble: made_by.json": Target(_ensemble, sealed=True, cost=3),
    "nnU-Net checkpoint": Target(_nnunet, sealed=True, cost=3),
    "nnU-Net plans.json": Target(_beside_nnunet("plans.json"), cost=3),
    "nnU-Net dataset.json": Target(_beside_nnunet("dataset.json"), cost=3),
}
"""Name of a kind of file to how it is made, damaged and read."""
