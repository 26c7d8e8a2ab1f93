"""The verb ``suggest``: which scans to annotate next."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equireg import disk, folders
from equireg.annotation import page, ranking, workplace
from equireg.annotation.held_out import movable
from equireg.config import SuggestConfig
from equireg.config.parsing import options_from, to_plain
from equireg.errors import EquiregError, UsageError
from equireg.folders.prepared import PreparedSet
from equireg.folders.suggestions import PAGE, Suggestion, write_suggestions
from equireg.layouts import RawCase
from equireg.layouts.dicom.telling import may_name_a_patient
from equireg.preparation.raw_states import changed_scans

if TYPE_CHECKING:
    from equireg.annotation.drafting import Drafter

log = logging.getLogger("equireg")


def suggest(
    prepared: Path | str, out: Path | str, config: SuggestConfig | None = None, **options: Any
) -> list[Suggestion]:
    """Choose the scans whose annotation helps most, and lay out what an annotator needs.

    The choice is of scans that are typical of many, unlike each other, and unlike those that have a mask. With a model,
    scans that it doubts need one like them the more; drafts of the chosen ones are laid out to be corrected. Scans of
    one patient count once.

    Args:
        prepared: output of `equireg prepare`.
        out: the folder of suggestions, new.
        config: the options; or give them by name.
        options: those of ``SuggestConfig``, laid over ``config``.

    Returns:
        The suggestions, the most helpful first; the folder holds them as ``suggestions.csv`` and as a page.

    Raises:
        EquiregError: if no scan is left without a mask.
        UsageError: if more are asked for than there are.
    """
    config = options_from(SuggestConfig, config, options)
    data = PreparedSet(prepared, config.verify)
    raw = workplace.raw_cases(data, None if config.scans is None else Path(config.scans))
    known, candidates = pool(data, config, raw or {})
    drafter = _drafter(data, config)
    with disk.staged_folder(out) as folder:
        doubts = None if drafter is None else drafter.doubts(candidates)
        found = ranking.rank_scans(data, candidates, known, config.count, doubts)
        write_suggestions(folder, found)
        names = [one.case for one in found]
        workplace.lay_out(folder, data, names, raw)
        labels = data.manifest.labels if drafter is None else drafter.labels
        drafts = () if drafter is None else drafter.write(folder, names)
        pictures = {name: page.planes(data, name, draft, labels) for name, draft in drafts}
        disk.write_atomic(folder / PAGE, page.render(data, found, len(candidates), pictures, labels))
        told = to_plain(config)
        if config.scans is not None and may_name_a_patient(Path(config.scans), (raw or {}).values()):
            told["scans"] = None
        folders.sign(folder, "suggest", told, source=data.root, cases=names)
    for one in found:
        log.info("%d. %s: %s", one.rank, one.case, one.why)
    return found


def _drafter(data: PreparedSet, config: SuggestConfig) -> "Drafter | None":
    """Return the models to ask, where some are given; torch is imported for them alone."""
    if not config.run:
        return None
    from equireg.annotation.drafting import Drafter

    return Drafter(data, config)


def pool(data: PreparedSet, config: SuggestConfig, raw: Mapping[str, RawCase]) -> tuple[list[str], list[str]]:
    """Return the names of the training cases with a mask, and of those without one that may be suggested.

    Cases whose scan is another by now are left out, and the user is told so.

    Raises:
        EquiregError: if none may be suggested.
        UsageError: if there are fewer than are asked for.
    """
    training = [case for case in data.manifest.cases if case.split == "train"]
    if config.unlabelled_from == "test":
        free = movable(data)
        if not free:
            log.warning(
                "--unlabelled_from test adds no scan: none of the test patients is held out by the layout alone "
                "and has no mask"
            )
        training += [case for case in data.manifest.cases if case.name in free]
    known = [case.name for case in training if case.labelled]
    candidates = [case.name for case in training if not case.labelled]
    if not candidates:
        raise EquiregError(
            f"{data.root}: each of its {len(known)} training cases has a mask; expected some without. "
            f"Add scans to the raw folder and run `equireg prepare` again.{_held_out(data, config)}"
        )
    changed = changed_scans(data.root, [raw[name] for name in candidates if name in raw])
    if len(changed) == len(candidates):
        raise EquiregError(f"{data.root}: {workplace.other_scans(changed)}")
    if changed:
        log.warning("left out are %s", workplace.other_scans(changed))
        candidates = [name for name in candidates if name not in changed]
    if config.count > len(candidates):
        raise UsageError(
            f"--count is {config.count}; expected at most {len(candidates)}, the training cases without a mask."
            f"{_held_out(data, config)}"
        )
    return known, candidates


def _held_out(data: PreparedSet, config: SuggestConfig) -> str:
    """Return the remedy where scans without a mask are left that the layout alone holds out."""
    count = 0 if config.unlabelled_from == "test" else len(movable(data))
    return f" Or give --unlabelled_from test: it adds the {count} that the layout holds out." if count else ""
