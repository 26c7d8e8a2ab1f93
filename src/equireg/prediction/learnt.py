"""Which of the cases that are predicted the models learnt from: how well they do there says nothing of new scans."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from equireg import folders
from equireg.errors import EquiregError
from equireg.folders.learnt import Shape, learnt_among, some_learnt
from equireg.folders.origin import name_of
from equireg.folders.prepared import PreparedSet
from equireg.prediction.scans import InputCase
from equireg.prediction.trained import Trained

log = logging.getLogger("equireg")


def learnt_cases(
    trained: Trained, scans: Path, cases: Sequence[InputCase], split: str | None, contents: Mapping[str, str]
) -> list[str]:
    """Return the cases that the models learnt from with their masks; warn of those in a split that is held out.

    Args:
        trained: the models.
        scans: the folder of the cases.
        cases: those that are to be predicted.
        split: of a prepared folder, as it was asked for.
        contents: case to the digest of its raw scan, where that is known.
    """
    learnt = trained.learnt
    if not learnt:
        return []
    by_name = {case.name: case for case in cases}

    def shape_of(name: str) -> Shape | None:
        try:
            return by_name[name].geometry().shape
        except EquiregError:  # it is told when the scan is read
            return None

    prepared = scans.is_dir() and folders.made_by(scans) == "prepare"
    dataset = PreparedSet(scans, verify=False).manifest.dataset if prepared else name_of(scans)
    found = learnt_among([*by_name], dataset, shape_of, learnt, contents)
    if found and split in ("val", "test"):
        log.warning(
            "--split %s: %s has %s. Their scores say nothing of new scans: the folder was prepared anew since, or the "
            "weights come from a run on these cases.",
            split,
            trained.name,
            some_learnt(found, len(cases)),
        )
    return found
