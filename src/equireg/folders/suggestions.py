"""The folder of `equireg suggest`: which scans to annotate next, and what an annotator needs for that.

suggestions.csv   rank, case, patient, score and why, the most helpful scan first
index.html        the same with pictures
scans/            links to the files of each suggested scan, by their own names
masks/CASE.nii.gz drafts to correct, where a model made some
drafts/           the same drafts as the model made them, so that corrections can be counted
made_by.json      the signature
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equireg.folders import tables

SUGGESTIONS = "suggestions.csv"
PAGE = "index.html"
SCANS, MASKS, DRAFTS = "scans", "masks", "drafts"
_REMEDY = "Run `equireg suggest` again into a new folder."


@dataclass(frozen=True)
class Suggestion:
    """One scan that should be annotated."""

    rank: int
    """From 1, the most helpful."""
    case: str
    patient: str
    score: float
    """Part, from 0 to 1, of what all annotations together could bring; of the scans of one folder only."""
    why: str


def write_suggestions(folder: Path, suggestions: Sequence[Suggestion]) -> None:
    """Write the table."""
    rows = [(one.rank, one.case, one.patient, round(one.score, 4), one.why) for one in suggestions]
    tables.write_table(folder / SUGGESTIONS, tuple(Suggestion.__annotations__), rows)


def read_suggestions(folder: Path) -> list[Suggestion]:
    """Read the table.

    Raises:
        EquiregError: if it is missing or damaged.
    """
    path = folder / SUGGESTIONS
    found = []
    for line, row in tables.read_table(path, tuple(Suggestion.__annotations__), _REMEDY):
        rank = tables.whole(path, line, "rank", row["rank"], _REMEDY)
        score = tables.number(path, line, "score", row["score"], _REMEDY)
        found.append(Suggestion(rank, row["case"], row["patient"], score, row["why"]))
    return found
