"""What the verbs of many runs share: how they were begun, so that they are continued so and not otherwise; members."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config.parsing import merged
from equireg.errors import EquiregError
from equireg.folders.ensemble import Member
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.folders.run_facts import MACHINE_OPTIONS

OPTIONS, DATA = "options", "data"
"""Keys of the options of training and of the prepared folder's digest, in the mark of what is under way and, of the
options, in the signature of what is finished."""
SHARED = ("device", "precision", "verify", "record_paths")
"""Options of training that predictions take over."""


def record_of(out: Path) -> Any:
    """Read what a folder, finished or under way, keeps of how it was begun."""
    return folders.read_content(out)["config"] if folders.is_signed(out) else disk.read_json(out / folders.UNFINISHED)


def members_of(out: Path, runs: Sequence[Path]) -> list[Member]:
    """Return runs that lie in a folder as the members of its ensemble."""
    from equireg.model import file_digest

    members = []
    for run in map(RunFolder, runs):
        checkpoint = run.checkpoint("auto")
        where = checkpoint.relative_to(out).as_posix()
        members.append(Member(run.root.name, where, file_digest(checkpoint), run.facts().as_dict()))
    return members


def check_same_data(out: Path, data: PreparedSet) -> None:
    """Refuse to go on with another prepared folder than a folder was begun with.

    Raises:
        EquiregError: if they differ.
    """
    if record_of(out).get(DATA) not in (None, data.digest):
        raise EquiregError(
            f"{out}: {data.root} was prepared again with other scans, masks or options since it was begun. Choose "
            "another --out, or resume with the folder as it was."
        )


def options_of_before(
    out: Path, what: str, own: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the verb's own values and the options of training with which a folder was begun, given ones laid over.

    Args:
        out: the folder, finished or under way.
        what: what it holds, in a word.
        own: the verb's own values as they are given now, None where they are not.
        given: options of training that are given now, nested.

    Raises:
        EquiregError: if what is given changes what is computed, or the record is damaged.
    """
    stored = record_of(out)
    before = stored.get(OPTIONS) if isinstance(stored, Mapping) else None
    kept = {name: stored.get(name) for name in own} if isinstance(before, dict) else {}
    if not isinstance(before, dict) or any(not isinstance(value, int | float) for value in kept.values()):
        raise EquiregError(f"{out}: what says how its {what} was begun is damaged. Begin again with another --out.")
    now = merged(before, given)
    differ = [name for name, value in own.items() if value not in (None, kept[name])]
    differ += sorted(name for name in now if name not in MACHINE_OPTIONS and now[name] != before.get(name))
    if differ:
        raise EquiregError(
            f"{out}: the {what} has other options for {', '.join(differ)} than given now. Leave them out to resume it, "
            "or choose another --out."
        )
    return kept, now
