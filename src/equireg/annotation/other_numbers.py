"""New masks whose folder says what their label values mean, otherwise than the data set does."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from equireg.errors import EquiregError, some_of
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import IGNORE, are_distinct, is_named, numbers_of
from equireg.layouts.masks import labels_beside

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class OtherNumbers:
    """Two tables of labels that differ."""

    theirs: Mapping[int, str]
    """Label value to plain name, as is said beside the masks; without the background."""
    ours: Mapping[int, str]
    """The same of the data set."""
    background: int

    @property
    def moved(self) -> dict[int, int]:
        """Label value beside the masks to the data set's of the same name, of those that differ."""
        values = {name: value for value, name in self.ours.items()}
        return {value: values[name] for value, name in self.theirs.items() if values.get(name, value) != value}

    def meant(self, path: Path, shown: Collection[int]) -> dict[int, int]:
        """Return the data set's value for each that a mask shows; empty where all stay as they are.

        A name that the data set lacks may be another word for the same value, as long as all common names have the same
        values.

        Raises:
            EquiregError: if it is not certain what a value means.
        """
        moved, names = self.moved, list(self.ours.values())
        for value in sorted({*shown} - {self.background}):
            name, own = self.theirs.get(value), self.ours.get(value)
            if name not in names and (moved or name == IGNORE or (name and own == IGNORE)):
                raise EquiregError(
                    f"{path}: shows the label value {value}, which is {name or 'no label'} by the labels.json or "
                    f"dataset.json beside it; expected some of {', '.join(names)}. Correct the mask or that file."
                )
        return {value: moved.get(value, value) for value in shown} if moved else {}

    def tell(self, folder: Path) -> None:
        """Say how the masks of a folder are read."""
        moved = [f"{self.theirs[value]} {value} as {other}" for value, other in self.moved.items()]
        words = [
            f"{value} ({name}) as {own}"
            for value, name in self.theirs.items()
            if (own := self.ours.get(value, name)) != name and is_named(name) and is_named(own)
        ]
        if moved:
            log.warning(
                "%s: labels have other numbers there; masks are read by their names: %s", folder, some_of(moved)
            )
        elif words:
            log.warning(
                "%s: labels have other names there; masks are read by their numbers: %s. Leave them out if these are "
                "other things.",
                folder,
                some_of(words),
            )


def other_numbers(folder: Path, labels: LabelTable) -> OtherNumbers | None:
    """Return how the labels that are said beside masks differ from a data set's; None where they do not."""
    try:
        table = labels_beside(folder)
    except EquiregError as error:
        log.warning("%s Masks in %s are read by their numbers.", error, folder)
        return None
    if table is None or labels.colours or not all(are_distinct(each.names[1:]) for each in (table, labels)):
        return None
    theirs, ours = ({value: name for name, value in numbers_of(each)} for each in (table, labels))
    if all(ours.get(value) == name for value, name in theirs.items()):
        return None
    found = OtherNumbers(theirs, ours, table.values[0])
    found.tell(folder)
    return found
