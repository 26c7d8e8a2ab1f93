"""The folder of an ensemble: which checkpoints predict together; it can be moved as a whole.

members/NAME.ckpt  copies of the members' checkpoints; a cross-validation names those of its own runs instead
made_by.json       the signature, with each member's name, checkpoint, digest and facts under ``members``
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from equireg.config.parsing import to_plain
from equireg.errors import EquiregError
from equireg.folders.run_facts import RunFacts, digest_of_values
from equireg.folders.schema import SchemaError, strict
from equireg.folders.signature import SIGNATURE, read_signature, sign

VERB = "ensemble"
MEMBERS = "members"
POST_PROCESS = "post_process"
"""Key of the post-processing in the signatures of an ensemble and of predictions."""


@dataclass(frozen=True)
class Member:
    """One of the models that predict together."""

    name: str
    checkpoint: str
    """where it lies in the ensemble's folder, with slashes"""
    digest: str
    """of the checkpoint's bytes"""
    run: Mapping[str, Any]
    """facts of its run"""

    def path(self, root: Path) -> Path:
        """Return the checkpoint's path, which lies inside the folder."""
        return root / PurePosixPath(self.checkpoint)


@dataclass(frozen=True)
class Ensemble:
    """What an ensemble's signature says."""

    root: Path
    members: tuple[Member, ...]
    post_process: Any = None
    """plain values of the post-processing; None where it has none"""

    def facts(self) -> RunFacts:
        """Return the facts of all members as those of one run."""
        return common_facts(self.root.resolve().name, [RunFacts.from_dict(member.run) for member in self.members])


def write_ensemble(
    folder: Path, members: Sequence[Member], config: Mapping[str, Any], post_process: Any = None, **more: Any
) -> None:
    """Sign the folder of an ensemble; the checkpoints lie in it already.

    Args:
        folder: the folder.
        members: the models.
        config: the verb's options, in plain values.
        post_process: plain values of the post-processing, or None.
        more: further plain values, such as ``source``.
    """
    listed = [to_plain(member) for member in members]
    sign(folder, VERB, config, **{MEMBERS: listed, POST_PROCESS: post_process, **more})


def read_ensemble(root: Path) -> Ensemble:
    """Read an ensemble's signature.

    Raises:
        EquiregError: if the folder is not an ensemble's, is damaged, or a member's checkpoint is missing.
    """
    signature = read_signature(root, VERB)
    try:
        members = strict(tuple[Member, ...], signature.get(MEMBERS), MEMBERS)
        if not members:
            raise SchemaError(f"{MEMBERS} is empty")
        for member in members:
            RunFacts.from_dict(member.run)
            _check_inside(member.checkpoint)
    except SchemaError as error:
        raise EquiregError(
            f"{root / SIGNATURE}: is damaged ({error}). Restore it, or make the ensemble again."
        ) from error
    missing = [member for member in members if not member.path(root).is_file()]
    if missing:
        raise EquiregError(
            f"{missing[0].path(root)}: is missing; the ensemble has {len(members)} members. Copy the whole folder "
            "again, or make the ensemble again from the runs that are left."
        )
    return Ensemble(root, members, signature.get(POST_PROCESS))


def _check_inside(checkpoint: str) -> None:
    path = PurePosixPath(checkpoint)
    if path.is_absolute() or ".." in path.parts or not path.parts or re.search(r"[\\\x00-\x1f:]", checkpoint):
        raise SchemaError(f"the checkpoint {checkpoint[:80]!r} does not lie in the folder")


def common_facts(name: str, members: Sequence[RunFacts]) -> RunFacts:
    """Return the facts that runs have in common as those of one run, whose options count its members.

    Args:
        name: of the ensemble.
        members: facts of its runs; one alone stays what it is, but for the name.
    """
    first, count = members[0], len(members)
    if count == 1:
        return replace(first, name=name)
    shared = {
        field.name: getattr(first, field.name)
        for field in fields(RunFacts)
        if field.name != "options" and all(getattr(one, field.name) == getattr(first, field.name) for one in members)
    }
    options = {
        key: value for key, value in first.options.items() if all(one.options.get(key) == value for one in members)
    }
    methods = sorted({one.method or "" for one in members})
    return RunFacts(
        **{
            **shared,
            "name": name,
            "method": "+".join(methods),
            "arm": digest_of_values([count, sorted(one.arm or one.name for one in members)]),
            "series": digest_of_values([count, sorted(one.series or one.name for one in members)]),
            "options": {**options, MEMBERS: count},
        }
    )
