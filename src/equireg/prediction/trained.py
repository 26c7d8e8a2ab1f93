"""What a command predicts with: one run, several, or an ensemble, read and checked against each other."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from equireg import disk, folders
from equireg.errors import EquiregError, UsageError
from equireg.folders import ensemble
from equireg.folders.folds import FoldCases
from equireg.folders.packed import is_packed, member_of, read_packed
from equireg.folders.run import RunFolder
from equireg.folders.run_facts import RunFacts
from equireg.folders.schema import SchemaError
from equireg.model import Model, file_digest, load_model
from equireg.postprocessing import PostProcessing, majority

log = logging.getLogger("equireg")

_AGREE = ("channels", "labels", "axes", "spacing_mm", "normalisation")
"""Facts that models must share to predict one scan together; patch size and dimensions may differ."""
_WORDS = {"axes": "orientation", "spacing_mm": "spacing"}


@dataclass(frozen=True)
class Trained:
    """The models of a command."""

    names: tuple[str, ...]
    checkpoints: tuple[Path, ...]
    digests: tuple[str, ...]
    """of the checkpoints' bytes"""
    models: tuple[Model, ...]
    runs: tuple[RunFacts, ...]
    root: Path
    """the run's or ensemble's folder, or the packed model; the first one's where there are several"""
    name: str
    """of the run, the ensemble or the packed model; of several, their names"""
    post_process: PostProcessing
    """of the run or ensemble; where several are given, what most of them do"""

    @property
    def digest(self) -> str:
        """Digest of all checkpoints; of one alone its own."""
        if len(self.digests) == 1:
            return self.digests[0]
        return blake2b(" ".join(self.digests).encode(), digest_size=16).hexdigest()

    @property
    def learnt(self) -> dict[str, tuple[int, int, int]]:
        """The cases that any of the runs learnt from with their masks, as far as they say so."""
        return {digest: shape for run in self.runs for digest, shape in (run.learnt or {}).items()}

    def facts(self, split: str | None, post_process: PostProcessing) -> RunFacts:
        """Return what later verbs want to know, from the checkpoints where those say it.

        Args:
            split: of the prepared folder that was predicted.
            post_process: what was done to the predictions.
        """
        told = [
            replace(
                run,
                method=model.config.method.name,
                dataset=model.facts.dataset,
                seed=model.config.seed,
                fold=model.config.fold,
                spatial_dims=model.config.spatial_dims,
                post_process=post_process.words(),
                foreground_bias=model.foreground_bias.words(),
                step=model.step,
                split=split,
                learnt=None,
            )
            for run, model in zip(self.runs, self.models, strict=True)
        ]
        return ensemble.common_facts(self.name, told)

    def fold_cases(self) -> FoldCases | None:
        """Return the cases of the fold that the models trained and validated on; None for the folder's own split.

        Raises:
            EquiregError: if they were trained in different folds, or the file of the folds is missing.
        """
        found = dict.fromkeys(model.config.fold for model in self.models)
        if len(found) > 1:
            raise EquiregError(
                f"the runs that predict together validated on different cases ({', '.join(map(str, found))}), so "
                "--split val and train mean nothing for them. Leave it out, give --split test, or predict with one run."
            )
        fold = next(iter(found))
        if fold is not None and is_packed(self.root):
            raise EquiregError(
                f"{self.root}: was trained in fold {fold}, and a packed model names no cases, so --split val and train "
                "mean nothing for it. Leave it out, give --split test, or predict with the run."
            )
        return None if fold is None else RunFolder(self.root).fold_cases(fold)


def paths_of(given: Path | str | Sequence[Path | str]) -> list[Path]:
    """Return runs that were given, one alone or several, as a list of paths.

    Raises:
        UsageError: if there is none, or one is no path.
    """
    alone: bool = isinstance(given, str | bytes | PathLike)
    several: list[Any] = [*given] if not alone and isinstance(given, Iterable) else [given]
    if not several or not all(isinstance(one, str | PathLike) for one in several):
        raise UsageError(f"the runs are {given!r}; expected the path of a run, or a list of such paths.")
    return [Path(one) for one in several]


def read_trained(given: Path | str | Sequence[Path | str], which: Literal["auto", "best", "last"]) -> Trained:
    """Read the runs or ensembles that are to predict together.

    Args:
        given: folders of runs and of ensembles, and packed models; one alone or several.
        which: checkpoint of each run; an ensemble and a packed model have their own.

    Raises:
        EquiregError: if one is missing or damaged, two are the same, or two do not fit each other.
    """
    given = paths_of(given)
    members = [member for path in given for member in _members(path, which)]
    names, checkpoints, digests, runs = (tuple(part) for part in zip(*members, strict=True))
    twice = next((name for name, digest in zip(names, digests, strict=True) if digests.count(digest) > 1), None)
    if twice is not None:
        raise EquiregError(f"{twice}: its checkpoint is given twice; expected different runs. Give each once.")
    models = tuple(load_model(path) for path in checkpoints)
    check_alike(names, models)
    for checkpoint, model in zip(checkpoints, models, strict=True):
        _tell_unfinished(checkpoint, model)
    root = given[0]
    name = _name_of(root) if len(given) == 1 else "+".join(names)
    return Trained(names, checkpoints, digests, models, runs, root, name, _post_process(given, models))


def _tell_unfinished(checkpoint: Path, model: Model) -> None:
    """Warn of a run that was stopped, or trains still: its model is of some step on the way."""
    run = checkpoint.parent.parent
    if folders.made_by(run) == "train" and folders.read_content(run).get("finished") is False:
        log.warning(
            "%s: its training has not finished; the model is that of step %d. `equireg train` with --resume goes on.",
            *(run, model.step),
        )


def _name_of(path: Path) -> str:
    return read_packed(path).name if is_packed(path) else path.resolve().name


def _post_process(given: Sequence[Path], models: Sequence[Model]) -> PostProcessing:
    """Return what is done to predictions.

    Raises:
        EquiregError: if an ensemble's signature is damaged.
    """
    root = given[0]
    if len(given) == 1 and folders.made_by(root) == ensemble.VERB:
        try:
            return PostProcessing.from_dict(ensemble.read_ensemble(root).post_process, models[0].facts.labels)
        except SchemaError as error:
            path = root / folders.SIGNATURE
            raise EquiregError(f"{path}: is damaged ({error}). Restore it, or make the ensemble again.") from error
    whole = len(models) == 1 or (len(given) == 1 and is_packed(root))  # its members all have what the whole has
    return models[0].post_process if whole else majority([model.post_process for model in models])


def _members(path: Path, which: Literal["auto", "best", "last"]) -> list[tuple[str, Path, str, RunFacts]]:
    """Return name, checkpoint, digest and facts of each model of a folder or of a packed model."""
    if is_packed(path):
        if which != "auto":
            raise EquiregError(
                f"{path}: is a packed model, whose checkpoints were chosen when it was packed. Leave out --checkpoint."
            )
        packed = read_packed(path).members
        return [(one.name, path / one.weights, one.digest, RunFacts.from_dict(one.run)) for one in packed]
    _refuse_nnunet(path)
    path = disk.existing_folder(path, "a run or an ensemble")
    if folders.made_by(path) != ensemble.VERB:
        run = RunFolder(path)
        run.signature()
        checkpoint = run.checkpoint(which)
        if which == "auto" and checkpoint.stem == "last" and any("val/dice" in row for row in run.read_metrics()):
            log.warning("%s: has lost its best.ckpt, for training validated; the last checkpoint is used.", path)
        return [(path.resolve().name, checkpoint, file_digest(checkpoint), run.facts())]
    if which != "auto":
        raise EquiregError(
            f"{path}: is an ensemble, whose checkpoints were chosen when it was made. Leave out --checkpoint."
        )
    found = ensemble.read_ensemble(path)
    for member in found.members:
        if file_digest(member.path(path)) != member.digest:
            raise EquiregError(
                f"{member.path(path)}: is not the checkpoint that the ensemble was made of. Copy the folder again, or "
                "make the ensemble again."
            )
    return [(one.name, one.path(path), one.digest, RunFacts.from_dict(one.run)) for one in found.members]


def _refuse_nnunet(path: Path) -> None:
    """Say what can be done with a model of nnU-Net's, or a folder of such models."""
    found = [path] if path.suffix == ".pth" and path.is_file() else []
    if not folders.is_signed(path):
        found += [file for depth in range(4) for file in sorted(path.glob("*/" * depth + "checkpoint_*.pth"))]
    if found:
        raise EquiregError(
            f"{path}: is a model of nnU-Net; expected a run of equireg. Start one from it with `equireg train --init "
            f"{found[0]}`, or predict with nnUNetv2_predict."
        )


class ChangedError(EquiregError):
    """A checkpoint is another than when the command began, so that nothing more can be predicted with it."""


def check_unchanged(checkpoint: Path, digest: str) -> None:
    """Refuse a checkpoint that is another than when a command began, as that of a run that trains is after a while.

    Args:
        checkpoint: of a run or an ensemble, or the weights of a member of a packed model.
        digest: of its bytes, when the command began.

    Raises:
        ChangedError: if its digest is another now.
    """
    packed = member_of(checkpoint)
    if packed is None:
        found = file_digest(checkpoint)
    else:
        found = next((one.digest for one in read_packed(packed[0]).members if one.weights == packed[1]), None)
    if found != digest:
        raise ChangedError(
            f"{checkpoint}: has changed since the command began, as where its run still trains. Give the command again "
            "with another --out, once nothing writes there, or with a copy of the run."
        )


def check_alike(names: Sequence[str], models: Sequence[Model]) -> None:
    """Refuse models that cannot predict one scan together.

    Raises:
        EquiregError: names two runs and what they disagree in.
    """
    for name, model in zip(names[1:], models[1:], strict=True):
        for fact in _AGREE:
            ours, theirs = getattr(models[0].facts, fact), getattr(model.facts, fact)
            if ours != theirs:
                shown = [value.as_dict() if fact == "labels" else value for value in (ours, theirs)]
                raise EquiregError(
                    f"{names[0]} and {name} disagree in {_WORDS.get(fact, fact)} ({shown[0]}; {shown[1]}); runs that "
                    "predict together need the same labels, channels, orientation, spacing and normalisation. Train "
                    "them on one prepared folder."
                )
