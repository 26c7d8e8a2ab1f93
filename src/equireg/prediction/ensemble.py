"""The verb ``ensemble``: several runs as one model, in a folder that can be moved."""

import itertools
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from equireg.config import EnsembleConfig
from equireg.config.parsing import options_from, to_plain
from equireg.disk import refuse_existing, staged_folder
from equireg.errors import EquiregError
from equireg.folders.ensemble import MEMBERS, Member, write_ensemble
from equireg.folders.folds import SPLITS
from equireg.folders.packed import member_of
from equireg.folders.run import RunFolder
from equireg.prediction.trained import Trained, check_unchanged, read_trained


def ensemble(runs: Sequence[Path | str], out: Path | str, config: EnsembleConfig | None = None, **options: Any) -> Path:
    """Make a folder with which `equireg predict` averages the probabilities of several runs.

    Args:
        runs: outputs of `equireg train`, of folds, seeds or methods; of an ensemble, all its members.
        out: the new folder; it holds copies of the checkpoints and can be moved.
        config: the options; or give them by name.
        options: those of ``EnsembleConfig``, laid over ``config``.

    Returns:
        The folder.

    Raises:
        EquiregError: if there is but one run, one is missing or damaged, or two do not fit each other.
    """
    config = options_from(EnsembleConfig, config, options)
    out = refuse_existing(out)
    trained = read_trained(runs, config.checkpoint)
    if len(trained.models) < 2:
        raise EquiregError(f"{trained.root}: is the only run; expected two or more. Give further runs.")
    members = _members(trained)
    packed = next((path for path in trained.checkpoints if member_of(path) is not None), None)
    if packed is not None:
        raise EquiregError(
            f"{packed.parent.parent}: is a packed model; an ensemble's folder is made of runs. Give the runs, or give "
            "`equireg predict` several packed models."
        )
    with staged_folder(out) as folder:
        (folder / MEMBERS).mkdir()
        for member, checkpoint in zip(members, trained.checkpoints, strict=True):
            shutil.copyfile(checkpoint, member.path(folder))
            check_unchanged(checkpoint, member.digest)
        folds = {model.config.fold for model in trained.models}
        if len(folds) == 1 and folds != {None}:
            shutil.copyfile(RunFolder(trained.root).folds, folder / SPLITS)
        write_ensemble(folder, members, to_plain(config), trained.post_process.as_dict())
    return out


def _members(trained: Trained) -> list[Member]:
    """Return the members, each under a name of its own that is fit for a file."""
    members: dict[str, Member] = {}
    for name, digest, facts in zip(trained.names, trained.digests, trained.runs, strict=True):
        plain = re.sub(r"[^\w.+-]", "_", name).strip(".") or "run"
        numbered = (plain if number == 1 else f"{plain}_{number}" for number in itertools.count(1))
        own = next(one for one in numbered if one not in members)
        members[own] = Member(own, f"{MEMBERS}/{own}.ckpt", digest, replace(facts, name=own).as_dict())
    return list(members.values())
