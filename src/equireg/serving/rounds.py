"""Where the runs of an annotation loop lie: the newest is served, the next training writes another beside it."""

import re
from pathlib import Path

from equireg import folders
from equireg.errors import EquiregError
from equireg.folders.ensemble import VERB as ENSEMBLE
from equireg.folders.packed import is_packed, read_packed
from equireg.folders.run import RunFolder

_NUMBER = re.compile(r"_(\d+)$")


class Rounds:
    """The runs of a loop.

    Args:
        folder: a run, an ensemble or a packed model, which is served until the first training in the background has
            ended; or the loop's own folder, which may be new, whose runs are ``run_1``, ``run_2`` and so on.

    Raises:
        EquiregError: if the folder was made by another verb.
    """

    def __init__(self, folder: Path) -> None:
        packed = is_packed(folder)
        maker = None if packed else folders.made_by(folder)
        if maker not in (None, "train", ENSEMBLE):
            raise EquiregError(
                f"{folder}: was made by `equireg {maker}`; expected the output of `equireg train` or `equireg "
                "ensemble`, or a folder for the runs of a loop."
            )
        if folder.exists() and not folder.is_dir() and not packed:
            raise EquiregError(f"{folder}: is a file; expected the folder of a run or of a loop, or a packed model.")
        given = packed or maker is not None
        self.first = folder if given else None
        self.home = folder.resolve().parent if given else folder
        self.name = folder.resolve().stem if packed else folder.resolve().name
        self._prefix = self.name if given else "run"

    def newest(self) -> Path | None:
        """Return the newest finished run; None where there is none."""
        finished = [path for _, path in self._numbered() if folders.made_by(path) == "train" and _is_finished(path)]
        return finished[-1] if finished else self.first

    def newest_network(self) -> Path | None:
        """Return the newest run where it is of one network, from which another can start."""
        newest = self.newest()
        if newest is None or folders.made_by(newest) == ENSEMBLE:
            return None
        return None if is_packed(newest) and len(read_packed(newest).members) > 1 else newest

    def next_folder(self) -> Path:
        """Return where the next run is to lie."""
        numbers = [number for number, _ in self._numbered()]
        return self.home / f"{self._prefix}_{max(numbers, default=0 if self.first is None else 1) + 1}"

    def _numbered(self) -> list[tuple[int, Path]]:
        found = []
        for path in self.home.glob(f"{self._prefix}_*") if self.home.is_dir() else ():
            number = _NUMBER.search(path.name)
            if path.is_dir() and number is not None and path.name == f"{self._prefix}{number.group()}":
                found.append((int(number[1]), path))
        return sorted(found)


def _is_finished(run: Path) -> bool:
    try:
        return RunFolder(run).is_finished()
    except EquiregError:  # damaged, or just being written
        return False
