"""What a model is to predict: a raw folder, loose files or one file, its channels matched to the model's."""

from collections.abc import Sequence
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.formats import read_header
from equireg.layouts.base import FoundCase, FoundSet, RawCase, missing_file
from equireg.layouts.channels import ALIASES, match_channels, meaning
from equireg.layouts.finding import find_layout
from equireg.layouts.grouping import choose_scheme, group_files


def discover_inputs(path: Path | str, channels: Sequence[str]) -> tuple[RawCase, ...]:
    """Find the scans to predict.

    Args:
        path: a raw folder of any layout, a folder of loose files, or a file.
        channels: names of the channels that the model was trained on, in its order.

    Returns:
        Cases by name, with images in the order of ``channels``; ``RawCase.read_image`` reads them so.

    Raises:
        EquiregError: if nothing is found, no case has the channels, or two cases have one name.
    """
    path = Path(path)
    found = _one_file(path, len(channels)) if path.is_file() else find_layout(path, "auto", len(channels))
    cases: dict[str, RawCase] = {}
    for case in sorted(found.cases, key=lambda case: case.name):
        problem = None
        try:
            images, picks = _images(case, found, channels)
        except EquiregError as error:  # told when it is read, after the others have been predicted
            images, picks, problem = tuple(case.files.values()) or (path,), None, str(error)
        if case.name in cases:
            raise EquiregError(
                f"{images[0]}: the name {case.name} is taken by {cases[case.name].images[0]}; expected "
                "each name once, "
                "as predictions are named after it. Rename one of the two, or predict them apart."
            )
        cases[case.name] = RawCase(
            case.name, images, case.label, case.patient or case.name, case.held_out, picks, problem
        )
    if not cases:
        reasons = "; ".join(refusal.reason for refusal in found.refused[:3]) or "no case is whole"
        raise EquiregError(f"{path}: has nothing to predict ({reasons}).")
    problems = [case.problem for case in cases.values() if case.problem is not None]
    if len(problems) == len(cases):
        raise EquiregError(problems[0])
    return tuple(cases.values())


def _one_file(path: Path, channel_count: int) -> FoundSet:
    """Take a file as a folder with nothing but that file."""
    group = group_files([path], choose_scheme([path], lambda name: False, channel_count))[0]
    case = FoundCase(group.name, group.files, contrast=group.contrast)
    return FoundSet("plain", (), "other", None, (case,))


def _images(case: FoundCase, found: FoundSet, wanted: Sequence[str]) -> tuple[tuple[Path, ...], tuple[int, ...] | None]:
    """Return a case's files in the model's order, or its one file and the channels to pick from it."""
    if case.stacked is not None:
        count = read_header(case.stacked).channels
        names = [f"channel_{index}" for index in range(count)]
        if count == 1 and case.contrast:
            names = [case.contrast]
        elif len(found.channels) == count:
            names = list(found.channels)
        picks = match_channels(names, wanted, str(case.stacked))
        return (case.stacked,), None if picks == tuple(range(count)) else picks
    have = [meaning(name) for name in case.files]
    missing = [name for name in map(meaning, wanted) if name not in have and name in ALIASES]
    if missing and any(name in have for name in map(meaning, wanted)):
        file = missing_file(case, missing[0], found.suffixes)
        raise EquiregError(
            f"{file}: no such file; the case {case.name} lacks {', '.join(missing)} of the channels "
            f"{', '.join(wanted)} that the model was trained on. Add the file, or take the case out."
        )
    ordered = [name for name in found.channels if name in case.files]
    ordered += [name for name in case.files if name not in ordered]
    folder = str(next(iter(case.files.values())).parent)
    chosen = match_channels(ordered, wanted, f"{folder} (case {case.name})")
    return tuple(case.files[ordered[index]] for index in chosen), None
