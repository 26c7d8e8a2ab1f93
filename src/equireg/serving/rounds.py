"""Where the runs of an annotation loop lie: the newest is served, the next training writes another beside it."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equireg import folders
from equireg.errors import EquiregError
from equireg.folders.ensemble import VERB as ENSEMBLE
from equireg.folders.packed import is_packed, read_packed
from equireg.folders.prepared import PreparedSet
from equireg.folders.run_facts import RUN_FACTS

log = logging.getLogger("equireg")

_NUMBER = re.compile(r"_(\d+)$")


class Rounds:
    """The runs of a loop.

    Args:
        folder: a run, an ensemble or a packed model, which is served until the first training in the background has
            ended; or the loop's own folder, which may be new, whose runs are ``run_1``, ``run_2`` and so on.
        data: the prepared folder that the loop trains on. Without one a given model stays the one that is served.

    Raises:
        EquiregError: if the folder was made by another verb.
    """

    def __init__(self, folder: Path, data: PreparedSet | None = None) -> None:
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
        self._data = data
        self._names = {self.name, *([] if packed or not given else [_facts(folders.read_content(folder)).get("name")])}
        self._tell_others()

    def newest(self) -> Path | None:
        """Return the newest finished run; None where there is none."""
        rounds = [run for run, signature in self._finished() if self._is_round(run, signature)]
        return rounds[-1] if rounds else self.first

    def newest_network(self) -> Path | None:
        """Return the newest run where it is of one network, from which another can start."""
        newest = self.newest()
        return None if newest is None or _has_several(newest) else newest

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

    def _finished(self) -> list[tuple[Path, Mapping[str, Any]]]:
        """Return the finished runs that are called as rounds, each with its signature."""
        found = [(path, _signature(path)) for _, path in self._numbered()]
        return [(path, content) for path, content in found if content.get("verb") == "train" and content["finished"]]

    def _is_round(self, run: Path, signature: Mapping[str, Any]) -> bool:
        """Whether a finished run continues from the given model, on the same data; all do in a loop's own folder."""
        if self.first is None:
            return True
        return self._data is not None and self._continues(signature) and _is_of(self._data, run, signature)

    def _continues(self, signature: Mapping[str, Any]) -> bool:
        """Whether a run started from the weights of the given model or of a round; from any or none of an ensemble."""
        if self.first is not None and _has_several(self.first):
            return True  # ``--train_config`` may name the weights that the first round starts from
        name = str((signature.get("config") or {}).get("init")).rpartition("@")[0]
        return name in self._names or _NUMBER.sub("", name) in self._names

    def _tell_others(self) -> None:
        """Say why the newest run that is called as a round is not served."""
        reason = "without --prepared" if self._data is None else f"with {self._data.root}"
        for run, signature in self._finished()[-1:]:
            if not self._is_round(run, signature):
                known = self._continues(signature)
                why = reason if known else f"because it did not start from the weights of {self.name}"
                log.warning("%s is not served %s. Give its own path to serve it.", run, why)


def _has_several(model: Path) -> bool:
    """Whether a model is of several networks, from which no other can start."""
    return len(read_packed(model).members) > 1 if is_packed(model) else folders.made_by(model) == ENSEMBLE


def _signature(run: Path) -> Mapping[str, Any]:
    """Return what a run says of itself; nothing where it is damaged, or just being written."""
    try:
        return {"finished": False, **folders.read_content(run)} if folders.is_signed(run) else {}
    except EquiregError:
        return {}


def _facts(signature: Mapping[str, Any]) -> Mapping[str, Any]:
    found = signature.get(RUN_FACTS)
    return found if isinstance(found, Mapping) else {}


def _is_of(data: PreparedSet, run: Path, signature: Mapping[str, Any]) -> bool:
    """Whether a run learnt from a prepared folder: from there, or from a data set of its name where that has moved."""
    source = folders.source_of(run, signature)
    dataset = _facts(signature).get("dataset", data.manifest.dataset)
    return dataset == data.manifest.dataset or (source is not None and source.resolve() == data.root.resolve())
