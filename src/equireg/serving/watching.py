"""The prepared folder of a server as it is now: it may be prepared again, or take in masks from elsewhere."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from equireg.annotation.workplace import check_scans, raw_cases
from equireg.errors import EquiregError
from equireg.folders.prepared import MANIFEST, PreparedSet
from equireg.layouts import RawCase
from equireg.preparation.raw_states import prepared_scans
from equireg.serving.errors import RequestError


class WatchedFolder:
    """A prepared folder and its raw one.

    Args:
        root: the prepared folder.
        scans: the raw folder, where it has moved.

    Raises:
        EquiregError: if the folder cannot be read.
    """

    def __init__(self, root: Path, scans: Path | None) -> None:
        self.root = root
        self.changes = 0
        """How often it was made anew by others."""
        self._scans = scans
        self._lock = threading.RLock()
        self._raw: tuple[Mapping[str, RawCase], Mapping[str, str]] | None = None
        """The raw cases, and the digests of the scans that were prepared."""
        self.read_again()

    def read_again(self) -> None:
        """Read the folder after a change of the server's own: the raw folder is as it was."""
        with self._lock:
            self._state, self._data = self._state_now(), PreparedSet(self.root)

    @property
    def data(self) -> PreparedSet:
        """The folder as it is now; while it is written, as it was."""
        with self._lock:
            if self._state_now() != self._state:
                with suppress(EquiregError):
                    self.read_again()
                    self._raw, self.changes = None, self.changes + 1
            return self._data

    def raw_case(self, name: str) -> RawCase | None:
        """Return a scan as it lies in the raw folder; None where it is gone.

        Raises:
            RequestError: if it is not the scan that was prepared.
        """
        data, found = self.data, self._raw
        if found is None:  # without the lock, as it may take long
            found = self._raw = raw_cases(data, self._scans) or {}, prepared_scans(self.root)
        raw, prepared = found
        try:
            check_scans(prepared, raw, [name])
        except EquiregError as error:
            raise RequestError(409, str(error)) from error
        return raw.get(name)

    def _state_now(self) -> object:
        """Return what changes when the folder is written."""
        try:
            found = (self.root / MANIFEST).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
