"""How far each prediction is to be trusted, beside the predictions.

quality.csv              a row a case: rank, case, quality, look, why; the least trusted first. Where held-out cases
                         say how quality and Dice go together: dice, dice_low, dice_high, rests_on too
quality_regions.csv      a row a case and region: agreement of the views, volume, spread of the volume over the views
quality/CASE.json        the same of one case
disagreement/CASE.nii.gz for each voxel the part of the views that contradict the prediction, where asked for; of
                         pictures CASE.png, from 0 (none) to 255 (all)
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.errors import EquiregError, some_of
from equireg.folders import tables
from equireg.folders.schema import SchemaError, strict

QUALITY, REGIONS = "quality.csv", "quality_regions.csv"
RECORDS, DISAGREEMENT = "quality", "disagreement"
_COLUMNS = ("rank", "case", "quality", "look", "why")
_REGION_COLUMNS = ("case", "region", "agreement", "volume_mm3", "volume_spread")
_ESTIMATE_COLUMNS = ("dice", "dice_low", "dice_high", "rests_on")
_REMEDY = "Run `equireg predict` again into a new folder."
_VIEWS = ("test_time", "passes", "overlap", "quality_views", "post_process")
LOOK_BELOW = 0.5
"""Quality below which a prediction should be looked at, however the others fare."""
_WORST_PART, _ENOUGH = 0.1, 5
"""Part of the cases that should be looked at, the worst, from this many cases on."""


@dataclass(frozen=True)
class RegionQuality:
    """What the views say of one region of one case."""

    agreement: float | None
    """Mean Dice of pairs of views, as docs/quality.md weighs them; None where none shows the region."""
    volume_mm3: float
    """Of the prediction."""
    volume_spread: float | None
    """Standard deviation over the views of the volume where all of them saw, as a part of its mean."""


@dataclass(frozen=True)
class DiceEstimate:
    """What the Dice of a prediction probably is, from held-out cases of known Dice."""

    dice: float
    low: float
    """Lower end of the interval that holds the Dice in four of five cases."""
    high: float
    rests_on: int
    """Patients of the held-out cases behind it."""


@dataclass(frozen=True)
class CaseQuality:
    """How far the prediction of one case is to be trusted."""

    case: str
    quality: float | None
    """Mean agreement of the classes that any view shows, 0 to 1; None where there was one view."""
    regions: Mapping[str, RegionQuality] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    """Why it should be looked at, in words."""
    estimate: DiceEstimate | None = None
    """Of its mean Dice over the regions; None where no held-out cases were given."""
    mask_digest: str | None = None
    """Of the file of the mask, by which one that was corrected since is known; None in folders of earlier versions."""


@dataclass(frozen=True)
class Row:
    """One case among all of a folder."""

    rank: int
    """From 1, the least trusted."""
    case: str
    quality: float | None
    look: bool
    """Whether a person should look at it first."""
    why: str
    estimate: DiceEstimate | None = None


def in_words(estimate: DiceEstimate | None) -> str:
    """Say what the Dice probably is; nothing where that is not known."""
    if estimate is None:
        return ""
    patients = f"from {estimate.rests_on} held-out patients"
    if estimate.low <= 0:
        return f"Dice not known (0 to {estimate.high:.2f}, {patients})"
    interval = f"{estimate.low:.2f} to {estimate.high:.2f} in four of five cases"
    return f"Dice probably {estimate.dice:.2f} ({interval}, {patients})"


def views_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of `equireg predict` that decide what a quality means."""
    return {name: config.get(name) for name in _VIEWS}


def record_file(folder: Path, case: str) -> Path:
    """Return where the quality of a case lies."""
    return folder / RECORDS / f"{case}.json"


def disagreement_file(folder: Path, case: str, ending: str | None = None) -> Path:
    """Return where the map of the contradictions of a case lies; without an ending the file that is there."""
    picture = folder / DISAGREEMENT / f"{case}.png"
    if ending is None and picture.is_file():
        return picture
    return folder / DISAGREEMENT / f"{case}{ending or '.nii.gz'}"


def write_record(folder: Path, found: CaseQuality) -> None:
    """Write the quality of one case."""
    path = record_file(folder, found.case)
    with disk.disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    disk.write_json(path, asdict(found))


def read_record(folder: Path, case: str) -> CaseQuality:
    """Read the quality of one case.

    Raises:
        EquiregError: if the file is missing or damaged.
    """
    path = record_file(folder, case)
    try:
        return strict(CaseQuality, disk.read_json(path, _REMEDY), "its content")
    except SchemaError as error:
        raise EquiregError(f"{path}: is damaged ({error}). {_REMEDY}") from error


def ranked(found: Iterable[CaseQuality]) -> list[Row]:
    """Sort cases by how little they are to be trusted, and say which a person should look at.

    These are the worst tenth of five or more, those whose quality is below 0.5, and those with a reason of their own.
    """
    order = sorted(found, key=lambda one: (math.inf if one.quality is None else one.quality, one.case))
    worst = math.ceil(_WORST_PART * len(order)) if len(order) >= _ENOUGH else 0
    rows = []
    for rank, one in enumerate(order, start=1):
        low = one.quality is not None and (one.quality < LOOK_BELOW or rank <= worst)
        why = "; ".join(one.reasons)
        rows.append(Row(rank, one.case, one.quality, low or bool(one.reasons), why, one.estimate))
    return rows


def write_quality(folder: Path, found: Sequence[CaseQuality]) -> None:
    """Write the tables of all cases."""
    estimated = any(one.estimate is not None for one in found)
    rows = [
        (
            *(row.rank, row.case, _rounded(row.quality), "yes" if row.look else "", row.why),
            *(_estimate_cells(row.estimate) if estimated else ()),
        )
        for row in ranked(found)
    ]
    tables.write_table(folder / QUALITY, (*_COLUMNS, *(_ESTIMATE_COLUMNS if estimated else ())), rows)
    regions = [
        (one.case, name, *(_rounded(value) for value in vars(region).values()))
        for one in sorted(found, key=lambda one: one.case)
        for name, region in one.regions.items()
    ]
    tables.write_table(folder / REGIONS, _REGION_COLUMNS, regions)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _estimate_cells(estimate: DiceEstimate | None) -> tuple[float | int | None, ...]:
    if estimate is None:
        return (None,) * len(_ESTIMATE_COLUMNS)
    return _rounded(estimate.dice), _rounded(estimate.low), _rounded(estimate.high), estimate.rests_on


def read_quality(folder: Path) -> list[Row]:
    """Read the table of all cases, the least trusted first; empty where a folder has none.

    Raises:
        EquiregError: if it is damaged.
    """
    path = folder / QUALITY
    if not path.is_file():
        return []
    rows = []
    for line, row in tables.read_table(path, _COLUMNS, _REMEDY):
        rank = tables.whole(path, line, "rank", row["rank"], _REMEDY)
        quality = tables.number(path, line, "quality", row["quality"], _REMEDY)
        known = None if math.isnan(quality) else quality
        rows.append(Row(rank, row["case"], known, row["look"] == "yes", row["why"], _estimate(path, line, row)))
    recorded = {file.name.removesuffix(".json") for file in (folder / RECORDS).glob("*.json")}
    missing = sorted(recorded - {row.case for row in rows})
    if missing:
        raise EquiregError(f"{path}: is damaged; it lacks {some_of(missing)}, which {RECORDS}/ has. {_REMEDY}")
    return rows


def _estimate(path: Path, line: int, row: Mapping[str, str]) -> DiceEstimate | None:
    """Read the estimate of a row; None where it has none."""
    *numbers, count = _ESTIMATE_COLUMNS
    dice, low, high = (tables.number(path, line, name, row.get(name, ""), _REMEDY) for name in numbers)
    if math.isnan(dice):
        return None
    return DiceEstimate(dice, low, high, tables.whole(path, line, count, row.get(count, ""), _REMEDY))
