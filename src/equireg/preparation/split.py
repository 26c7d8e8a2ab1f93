"""Who trains, validates and tests."""

import difflib
import random
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.prepared import Split
from equireg.imaging.formats import composed, extension_of
from equireg.layouts import RawCase

_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_SHOWN = 3


@dataclass(frozen=True)
class SplitCase:
    """What a split needs to know of a case."""

    name: str
    patient: str
    """Equal for all of a patient's scans."""
    held_out: bool
    """Its layout calls it test or validation."""


def split_cases(
    cases: Sequence[SplitCase],
    labelled: frozenset[str],
    fractions: tuple[float, float],
    seed: int,
    known: Mapping[str, Split] = MappingProxyType({}),
) -> dict[str, Split]:
    """Assign every case to train, val or test, by patient.

    Args:
        cases: all usable cases.
        labelled: names of those with a mask; only their patients are drawn for val and test.
        fractions: parts of the patients with a mask that validate and that test.
        seed: seed of the draw.
        known: patient to split of those who were drawn before. They stay there, and the new ones are drawn such that
            the fractions of all patients come as near as they can.

    Returns:
        Case name to split. Cases that their layout holds out are ``test``; all scans of a patient go one way.
    """
    held_out = {case.patient for case in cases if case.held_out}
    patients = sorted({case.patient for case in cases if case.name in labelled} - held_out)
    val, test = (_count_of(fraction, len(patients)) for fraction in fractions)
    if val + test >= len(patients) > 0:
        # Too few patients for every set: training comes first, then validation.
        test = min(test, max(len(patients) - 2, 0))
        val = min(val, len(patients) - 1 - test)
    stay = [known[patient] for patient in patients if patient in known]
    new = [patient for patient in patients if patient not in known]
    order = [new[index] for index in np.random.default_rng([seed, len(new)]).permutation(len(new))]
    room = len(new) if "train" in stay else max(len(new) - 1, 0)
    val = min(max(val - stay.count("val"), 0), room)
    test = min(max(test - stay.count("test"), 0), room - val)
    chosen: dict[str, Split] = {**known}
    chosen |= dict.fromkeys(order[:test], "test")
    chosen |= dict.fromkeys(order[test : test + val], "val")
    return {case.name: "test" if case.patient in held_out else chosen.get(case.patient, "train") for case in cases}


def thesis_split(cases: Sequence[RawCase], val_fraction: float, seed: int) -> dict[str, Split]:
    """Split as the thesis did: the shuffled folders of the cases with a mask, the first part to train on.

    By case and not by patient, because the thesis' own split is the one to repeat. Held-out cases are ``test``, other
    cases without a mask ``train``.

    Args:
        cases: all cases of the raw folder.
        val_fraction: part of those with a mask that validates, the last of the shuffled ones.
        seed: seed of the shuffle.
    """
    masked = [case for case in cases if case.label is not None and not case.held_out]
    order = [case.name for case in sorted(masked, key=lambda case: str(case.images[0].parent))]
    random.Random(seed).shuffle(order)
    count = int(len(order) * (1 - val_fraction) + 1e-9)
    result: dict[str, Split] = {case.name: "test" if case.held_out else "train" for case in cases}
    result.update(dict.fromkeys(order[count:], "val"))
    return result


def with_annotated(
    splits: Mapping[str, Split], cases: Sequence[RawCase], adopted: Container[str]
) -> Mapping[str, Split]:
    """Return splits in which patients who are held out without a mask, and of whom one was adopted, train.

    Args:
        splits: as they are without adopted masks.
        cases: the cases as the raw folder has them.
        adopted: names of those whose masks were adopted.
    """
    masked = {case.patient for case in cases if case.label is not None}
    train = {case.patient for case in cases if case.held_out and case.name in adopted} - masked
    return {**splits, **{case.name: "train" for case in cases if case.patient in train}}


def _count_of(fraction: float, count: int) -> int:
    """Return how many of ``count`` a fraction is: none for 0, else at least one."""
    return 0 if fraction == 0 else max(1, round(fraction * count))


def _not_there(name: str, cases: Collection[str]) -> str:
    """Say that there is no case of a name, and which may be meant."""
    plain = name.rsplit("/", maxsplit=1)[-1]
    meant = plain[: len(plain) - len(extension_of(plain) or "")]
    near = [meant] if meant in cases else difflib.get_close_matches(name, cases, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(cases)[:3])} and others."
    return f"which the raw folder does not hold; {hint} Give names of cases, without folder and ending."


def _lists(path: Path) -> dict[str, list[str]]:
    """Read the lists of a split file.

    Raises:
        EquiregError: if it has another form.
    """
    content: Any = disk.read_json(path, "Correct it, or leave --split away.")
    if isinstance(content, list):
        got = "is a list. Folds as in nnU-Net's splits_final.json are for `equireg train --folds_file`; here"
    elif not isinstance(content, dict):
        got = f"is a JSON {type(content).__name__};"
    elif unknown := [key for key in content if key not in _SPLITS]:
        got = f"has the keys {', '.join(key[:80] for key in unknown[:_SHOWN])};"
    elif wrong := [key for key, names in content.items() if not _are_names(names)]:
        got = f"has under {wrong[0]} no list of names;"
    else:
        return content
    raise EquiregError(f"{path}: {got} expected an object with the lists train, val and test of case names.")


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def read_split(
    path: Path, cases: Sequence[SplitCase | RawCase], refused: Collection[str] = frozenset()
) -> dict[str, Split]:
    """Read a JSON file with the lists ``train``, ``val`` and ``test`` of case names.

    Cases that no list names are ``test`` where their layout holds them out, else ``train``.

    Args:
        path: the file.
        cases: the cases that may be prepared.
        refused: names of those that may not, for reasons told elsewhere; what the lists say of them does not count.

    Raises:
        EquiregError: if the file is not such a file, names an unknown case or one case twice, or separates scans of a
            patient.
    """
    content = _lists(path)
    patient = {case.name: case.patient for case in cases}
    result: dict[str, Split] = {case.name: "test" if case.held_out else "train" for case in cases}
    listed: dict[str, Split] = {}
    for split in _SPLITS:
        for name in map(composed, content.get(split, [])):
            if name in refused:
                continue
            if name not in patient:
                raise EquiregError(f"{path}: names the case {name[:80]!r}, {_not_there(name, patient)}")
            if name in listed:
                where = f"twice in {split}" if listed[name] == split else f"both in {listed[name]} and in {split}"
                raise EquiregError(f"{path}: names the case {name[:80]!r} {where}. Name it once.")
            listed[name] = split
    result |= listed
    homes: dict[str, Split] = {}
    for name, split in listed.items():
        if homes.setdefault(patient[name], split) != split:
            raise EquiregError(
                f"{path}: scans of patient {patient[name]!r} are both in {homes[patient[name]]} and in {split}; "
                "a patient's scans must stay together."
            )
    return {name: homes.get(patient[name], split) for name, split in result.items()}
