"""A prepared folder in which the most trusted drafts of models stand beside the masks."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders import origin, predictions, quality, signature
from equireg.folders.prepared import RECORD, CaseRecord, PreparedSet, copy_scan, new_case, renew
from equireg.imaging.volume import read_label
from equireg.preparation.case import with_other_label, write_classes


def trusted(drafts: Path, candidates: Sequence[str], keep: float) -> list[quality.CaseQuality]:
    """Choose the drafts on which views and models agree most.

    A draft without any foreground is never chosen: all agree on it also where all are wrong.

    Args:
        drafts: output of `equireg predict`.
        candidates: cases to choose among.
        keep: part of them to choose, above 0; rounded up.

    Returns:
        The chosen ones, the most trusted first.

    Raises:
        EquiregError: if no draft can be chosen.
    """
    found = [quality.read_record(drafts, case) for case in candidates]
    shown = [one for one in found if one.quality is not None and any(r.volume_mm3 for r in one.regions.values())]
    if not shown:
        raise EquiregError(
            f"{drafts}: none of the {len(candidates)} drafts shows a label, so there is nothing to learn from them. "
            "Train for more steps (--max_steps), or on more masks."
        )
    shown.sort(key=lambda one: (-(one.quality or 0.0), one.case))
    return shown[: math.ceil(keep * len(candidates) - 1e-9)]


def with_drafts(data: PreparedSet, drafts: Path, chosen: Sequence[str], out: Path) -> None:
    """Make a copy of a prepared folder in which some cases have drafts; files that stay the same are links.

    Args:
        data: the prepared folder, which stays as it is.
        drafts: output of `equireg predict` for its cases.
        chosen: the cases; what mask they have is left out.
        out: the new folder.

    Raises:
        EquiregError: if a draft does not fit its scan, or the disk takes no more.
    """
    with disk.staged_folder(out) as folder:
        hidden = shutil.ignore_patterns(".*")
        shutil.copytree(data.root, folder, copy_function=_shared, ignore=hidden, dirs_exist_ok=True)
        content = signature.read_content(folder)
        signature.write_content(folder, {**content, origin.WAY: origin.way_to(out, data.source)})
        copied = PreparedSet(folder, verify=False)
        records = {case: _draft(copied, case, predictions.prediction_file(drafts, case)) for case in chosen}
        cases = tuple(records.get(case.name, case) for case in copied.manifest.cases)
        renew(folder, replace(copied.manifest, cases=cases))


def _shared(source: str, target: str) -> None:
    disk.second_name(Path(source), Path(target))


def _draft(data: PreparedSet, case: str, mask: Path) -> CaseRecord:
    """Make a case's folder again with a draft in place of a mask; return its record in the manifest."""
    record, folder, labels = data.by_name[case], data.folder(case), data.manifest.labels
    grid = record.working_grid()
    content = disk.read_json(folder / RECORD)
    nothing = {"labelled": False, "class_voxels": (), "class_slices": (), "labelled_box": ()}
    with new_case(folder) as writer:
        copy_scan(folder, writer)
        write_classes(labels.to_classes(read_label(mask, grid.native, data.limits)), grid, labels, writer)
        written = writer.record(with_other_label(content, nothing))
    return replace(record, **nothing, drafted=True, digests=written["digests"])
