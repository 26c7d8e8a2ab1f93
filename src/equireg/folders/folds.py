"""``splits_final.json``, in which nnU-Net and equireg keep who trains and who validates in each fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.run_facts import digest_of_values
from equireg.imaging.formats import composed

SPLITS = "splits_final.json"
_REMEDY = "Correct the file, or leave it out: equireg then draws the folds."
_PICKLED = (
    "It is a pickle of nnU-Net's first version, which equireg does not open, as a pickle can run code. Of one that you "
    "trust write JSON: python -c \"import json, pickle; json.dump(pickle.load(open('splits_final.pkl', 'rb')), "
    "open('splits_final.json', 'w'), default=list)\""
)


@dataclass(frozen=True)
class FoldCases:
    """The cases of one fold, by name."""

    train: tuple[str, ...]
    val: tuple[str, ...]


def read_folds(path: Path) -> list[FoldCases]:
    """Read the folds of a file of nnU-Net's form: a list with the case names ``train`` and ``val`` of each fold.

    Raises:
        EquiregError: if the file is missing or of another form, a fold validates no case, or a case is in both lists.
    """
    content = disk.read_json(path, _PICKLED if path.suffix.lower() == ".pkl" else _REMEDY)
    if not isinstance(content, list) or not content:
        raise EquiregError(f"{path}: expected a list of folds, each with the lists train and val. {_REMEDY}")
    return [_fold(path, index, fold) for index, fold in enumerate(content)]


def _fold(path: Path, index: int, content: Any) -> FoldCases:
    lists = [content.get(key) if isinstance(content, dict) else None for key in ("train", "val")]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise EquiregError(f"{path}: fold {index} is no object with the lists train and val of case names. {_REMEDY}")
    train, val = (tuple(map(composed, names)) for names in lists if names is not None)
    both = sorted(set(train) & set(val))
    if both or not val:
        what = f"trains and validates on {both[0][:80]!r}" if both else "validates no case"
        raise EquiregError(f"{path}: fold {index} {what}. {_REMEDY}")
    return FoldCases(train, val)


def write_folds(path: Path, folds: Sequence[FoldCases]) -> None:
    """Write folds as nnU-Net reads them."""
    disk.write_json(path, [{"train": list(fold.train), "val": list(fold.val)} for fold in folds])


def folds_digest(folds: Sequence[FoldCases]) -> str:
    """Return 16 hexadecimal digits that are the same for the same folds, whatever the order of the names in each."""
    return digest_of_values([[sorted(fold.train), sorted(fold.val)] for fold in folds])
