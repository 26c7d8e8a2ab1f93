"""Kinds of files that users write or edit: tables, folds, and a plan for training."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from fuzz import Subject, Target
from mutations import damaged_json, damaged_table, damaged_yaml
from prepared_sets import record, write_set
from scans import MASK, VOXELS, nifti

_CODES = "name,code,meaning,category\norgan,10200004,Liver,anatomical\nrim,108369006,Neoplasm,abnormal\n"
_COLOURS = "colour,value,name\n#000000,0,background\n#c81e1e,1,organ\n#1ec81e,2,rim\n"
_PATIENTS = "case,patient\na,p1\nb,p1\nc,p2\nd,p3\n"
_META = "image_id;age;split\na;50;train\nb;60;train\nc;70;test\n"


def _file(name: str, content: str, read: Callable[[Path], Any]) -> Target:
    """A file that is read by itself."""

    def make(folder: Path) -> Subject:
        path = folder / name
        path.write_text(content)
        return Subject(path, damaged_json if name.endswith(".json") else damaged_table, lambda: read(path))

    return Target(make)


def _rows(table: str, key: str) -> str:
    """Return a table as the JSON that may stand for it: a mapping by its first column."""
    head, *rows = [line.split(",") for line in table.splitlines()]
    plain = [dict(zip(head, row, strict=True)) for row in rows]
    return json.dumps({row[key]: {name: _number(cell) for name, cell in row.items() if name != key} for row in plain})


def _number(cell: str) -> int | str:
    return int(cell) if cell.isdigit() and len(cell) < 3 else cell


def _codes(path: Path) -> Any:
    from equireg.imaging.dicom.codes import codes_of
    from equireg.imaging.labels import LabelTable

    found = codes_of(LabelTable((0, 1, 2), ("background", "organ", "rim")), path)
    return {name: repr(code) for name, code in found.items()}


def _colours(path: Path) -> Any:
    from equireg.imaging.colours import read_colours

    table, names = read_colours(path)
    return [table.rows, table.colours(), names]


def _patients(folder: Path) -> Subject:
    from equireg.layouts.finding import discover
    from equireg.layouts.patients_option import with_patients

    for part, voxels in (("imagesTr", VOXELS), ("labelsTr", MASK)):
        (folder / "raw" / part).mkdir(parents=True)
        for case in "abcd":
            (folder / "raw" / part / f"{case}.nii").write_bytes(nifti(voxels))
    found, path = discover(folder / "raw", follow_links=False), folder / "patients.csv"
    path.write_text(_PATIENTS)
    return Subject(
        path, damaged_table, lambda: [case.patient for case in with_patients(found, str(path)).cases], (str(path),)
    )


def _totalsegmentator(folder: Path) -> Subject:
    from equireg.layouts.finding import discover

    root = folder / "raw"
    for case in "abc":
        (root / case / "segmentations").mkdir(parents=True)
        (root / case / "ct.nii").write_bytes(nifti(VOXELS))
        for organ in ("liver", "spleen"):
            (root / case / "segmentations" / f"{organ}.nii").write_bytes(nifti(MASK))
    path = root / "meta.csv"
    path.write_text(_META)
    return Subject(path, damaged_table, lambda: discover(root, follow_links=False), (str(root),))


def _folds(folder: Path) -> Subject:
    from equireg.batches.folds import folds_of
    from equireg.folders.prepared import PreparedSet

    data = PreparedSet(write_set(folder / "set", [record(name) for name in "abcd"]))
    path = data.root / "splits_final.json"
    path.write_text(json.dumps([{"train": ["a", "b", "c"], "val": ["d"]}, {"train": ["a", "d"], "val": ["b", "c"]}]))
    return Subject(path, damaged_json, lambda: folds_of(data, 2))


def _plan(folder: Path) -> Subject:
    """plan.yaml as `equireg train --config` takes it, down to the options of a run on that folder."""
    from equireg.cli.reading import read
    from equireg.cli.verbs import VERBS
    from equireg.config import TrainConfig
    from equireg.config.parsing import from_plain
    from equireg.folders.prepared import PreparedSet
    from equireg.planning.plan import check_folder

    data = PreparedSet(write_set(folder / "set", [record("a"), record("b"), record("c", "val")]))
    options: Mapping[str, Any] = {
        "method": {"name": "equireg", "teacher": "ema"},
        "network": {"name": "unet", "features": 8, "stages": 3},
        "max_steps": 200,
        "batch_size": 2,
        "patch_size": [32, 32],
        "spatial_dims": 2,
        "planned_for": data.digest,
    }
    path = folder / "plan.yaml"
    path.write_text("# A plan.\n" + yaml.safe_dump(dict(options)))
    words = [str(data.root), "--out", str(folder / "out"), "--config", str(path)]

    def taken() -> Any:
        given = read("train", VERBS["train"], words)
        config = {key: value for key, value in given.items() if key not in ("prepared", "out", "resume")}
        check_folder(config, data)
        options = {name: value for name, value in config.items() if name in TrainConfig.__dataclass_fields__}
        return from_plain(TrainConfig, options)

    return Subject(path, damaged_yaml, taken, (str(folder), "the plan was made for another"))


def _suggestions(folder: Path) -> Subject:
    from equireg.folders.suggestions import SUGGESTIONS, Suggestion, read_suggestions, write_suggestions

    rows = [Suggestion(1, "a", "p1", 0.5, "far from the others"), Suggestion(2, "b", "p2", 0.25, "the model doubts")]
    write_suggestions(folder, rows)
    return Subject(folder / SUGGESTIONS, damaged_table, lambda: [vars(one) for one in read_suggestions(folder)])


KINDS: dict[str, Target] = {
    "codes.csv": _file("codes.csv", _CODES, _codes),
    "codes.json": _file("codes.json", _rows(_CODES, "name"), _codes),
    "colours.csv": _file("colours.csv", _COLOURS, _colours),
    "colours.json": _file("colours.json", _rows(_COLOURS, "colour"), _colours),
    "patients.csv": Target(_patients),
    "meta.csv, TotalSegmentator": Target(_totalsegmentator),
    "splits_final.json": Target(_folds),
    "plan.yaml": Target(_plan),
    "suggestions.csv": Target(_suggestions),
}
"""Name of a kind of file to how it is made, damaged and read."""
