"""The folder of predictions: begun, continued, and signed at the end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.errors import EquiregError, shortened
from equireg.folders import predictions
from equireg.folders.digests import seal_of
from equireg.folders.quality import record_file

_COMMAND, _SCANS = "command", "scans"
_NOT_OURS = "Choose another --out, or remove it."


class Unfinished:
    """A folder that is being filled: which scans it is of, and which of them are done.

    The mark of an unfinished folder holds the command, with the digest of its checkpoint, and each scan's digest.
    Seconds of the cases that are done are kept on disk as they come, so that a stopped command can continue.
    """

    def __init__(self, folder: Path, command: Mapping[str, Any], scans: Mapping[str, str]) -> None:
        self.folder = folder
        self._made = False
        marker = folder / folders.UNFINISHED
        before = _read_marker(marker) if marker.is_file() else _with_failures(folder, command)
        if before is None:
            _refuse_finished(folder)
            disk.refuse_existing(folder)
        else:
            _refuse_another(folder, before[_COMMAND], command)
        self.seconds = {} if before is None else _still_right(folder, before[_SCANS], scans)
        with disk.disk_errors(folder):
            self._made = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
        try:
            if before is not None:
                predictions.write_times(folder, self.seconds)  # first: what it leaves out is made again
            self._mark = {_COMMAND: dict(command), _SCANS: dict(scans)}
            if before != self._mark or not marker.is_file():
                disk.write_json(marker, self._mark)
            for name in (folders.SIGNATURE, predictions.FAILED):  # of a folder whose failed scans are tried again
                (folder / name).unlink(missing_ok=True)
        except disk.DiskError:
            self.withdraw()
            raise

    def add(self, case: str, seconds: float) -> None:
        """Note that a case is done."""
        self.seconds[case] = seconds
        predictions.write_times(self.folder, self.seconds)

    def discard(self, cases: Sequence[str]) -> None:
        """Remove what lies here of cases that failed: files beside a prediction that could not be written."""
        for case in cases:
            with suppress(EquiregError, OSError):
                for path in predictions.files_of(self.folder, case):
                    path.unlink(missing_ok=True)

    def finish(self, *, failed: bool) -> None:
        """Remove the mark of a signed folder; where scans failed, the same command may try them again."""
        if failed:
            content = {_COMMAND: seal_of(self._mark[_COMMAND]), _SCANS: self._mark[_SCANS]}
            disk.write_json(self.folder / predictions.FAILED, content)
        (self.folder / folders.UNFINISHED).unlink()

    def withdraw(self) -> None:
        """Remove the marks of a folder without predictions, and the folder where this command made it."""
        if self.seconds or any(any(self.folder.glob(f"*{ending}")) for ending in predictions.ENDINGS.values()):
            return
        for path in (self.folder / folders.UNFINISHED, self.folder / predictions.TIMES):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # a folder with something in it stays
            for name in predictions.SUBFOLDERS:
                if (self.folder / name).is_dir():
                    (self.folder / name).rmdir()
            if self._made:
                self.folder.rmdir()


@contextmanager
def unfinished(folder: Path, command: Mapping[str, Any], scans: Mapping[str, str]) -> Iterator[Unfinished]:
    """Make a folder of predictions, or continue one that the same command left unfinished.

    Args:
        folder: the folder, which must be new or empty otherwise.
        command: all that decides what a scan's prediction is.
        scans: name to digest of every scan that is to be predicted.

    Raises:
        EquiregError: if the folder holds anything else, or another process fills it.
    """
    filling = Unfinished(folder, command, scans)
    try:
        yield filling
    finally:
        filling.withdraw()


def _read_marker(marker: Path) -> dict[str, Any]:
    content = disk.read_json(marker)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), dict) for key in (_COMMAND, _SCANS)):
        raise EquiregError(f"{marker.parent}: was left unfinished by another version of equireg. {_NOT_OURS}")
    return content


def _with_failures(folder: Path, command: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the mark of a folder in which scans failed, if this command made it; None for any other folder."""
    with suppress(EquiregError):
        content = disk.read_json(folder / predictions.FAILED)
        if isinstance(content, dict) and content.get(_COMMAND) == seal_of(dict(command)):
            scans = content.get(_SCANS)
            return {_COMMAND: dict(command), _SCANS: scans} if isinstance(scans, dict) else None
    return None


def _refuse_finished(folder: Path) -> None:
    """Refuse a folder of finished predictions, to which no scan is added."""
    if folders.is_signed(folder) and (folder / predictions.LABELS).is_file():
        raise EquiregError(
            f"{folder}: exists already, with finished predictions, and nothing is added to them. For new scans give "
            "another --out and a folder of those scans alone. To predict all again, remove this folder or choose "
            "another --out."
        )


def _refuse_another(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse the unfinished folder of another command, and say in what the two differ."""
    differ = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if differ:
        some = "; ".join(f"{name} {before.get(name)}, now {now.get(name)}" for name in differ[:3])
        raise EquiregError(
            f"{folder}: holds the unfinished predictions of another command ({shortened(some)}). {_NOT_OURS}"
        )


def _still_right(folder: Path, before: Mapping[str, str], scans: Mapping[str, str]) -> dict[str, float]:
    """Return the seconds of the cases whose prediction is there and whose scan is the same as then."""
    seconds = predictions.read_times(folder)
    gone = sorted(set(seconds) - set(scans))
    if gone:
        raise EquiregError(
            f"{folder}: holds unfinished predictions of scans that are no longer there: {', '.join(gone[:3])}. "
            f"Put them back. Or: {_NOT_OURS}"
        )
    return {
        case: value
        for case, value in seconds.items()
        if before.get(case) == scans[case]
        and predictions.prediction_file(folder, case).is_file()
        and record_file(folder, case).is_file()
    }
