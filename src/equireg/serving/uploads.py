"""Scans that clients send: they live in a folder of the server's own, and end with it."""

import math
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.prepared import case_folder
from equireg.imaging.dicom.heads import is_called_dicom, is_dicom
from equireg.imaging.formats import EXTENSIONS, extension_of
from equireg.imaging.text_headers import META_ENDINGS, NRRD_ENDINGS, read_text_header

_VOXELS = (".raw", ".zraw", ".raw.gz")
"""Endings of files that hold the voxels of a header beside them, in lower case."""
_ONE_FILE = " Voxels beside a header are not taken: save the scan as one file, .mha or .nii.gz."
_LIVES_S = 3600.0
"""How long a session lives after it was last used, s."""


@dataclass(frozen=True)
class Sent:
    """A file as a client sends it."""

    name: str | None
    content: BinaryIO


@dataclass
class Upload:
    """A scan that was sent."""

    name: str
    path: Path
    """the file, or a folder where several were sent"""
    used: float
    """when it was last used, seconds since 1970; infinite where it stays"""

    def as_dict(self, key: str) -> dict[str, object]:
        """Return what a client is told of it."""
        return {"name": key, "image": self.path.name, "last_access_ts": int(self.used), "expiry": int(_LIVES_S)}


class Uploads:
    """The scans that were sent, by key: a random one for a session, or the image's name.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, Upload] = {}

    def add_session(self, files: Sequence[Sent]) -> str:
        """Keep the files of one scan for an hour after their last use; return their key.

        Raises:
            EquiregError: if there is none, one is of no known kind, or two have one name.
        """
        self._forget_old()
        key = secrets.token_hex(16)
        self._kept[key] = self._save(key, files)
        return key

    def add_image(self, name: str, file: Sent) -> str:
        """Keep a scan under a name, in place of an earlier one of that name, until the server ends.

        The earlier one lies there for a while, as other requests may be reading it.

        Raises:
            EquiregError: if the name is not fit for a file, or the file is of no known kind.
        """
        name = _stem(name)
        case_folder(self._folder, name)  # checks the name
        new = self._save(secrets.token_hex(8), [file])
        old, self._kept[name] = self._kept.get(name), Upload(name, new.path, float("inf"))
        if old is not None:
            self._kept[secrets.token_hex(16)] = replace(old, used=time.time())
        return name

    def find(self, key: str) -> Upload | None:
        """Return a scan, which lives on for a while; None where it is not known. Images have no ending in their key."""
        self._forget_old()
        found = self._kept.get(key) or self._kept.get(_stem(key))
        if found is not None:
            found.used = max(found.used, time.time())
        return found

    def find_session(self, key: str) -> Upload | None:
        """Return the scan of a session; None where there is none, as for an image, which does not end."""
        found = self.find(key)
        return found if found is not None and math.isfinite(found.used) else None

    def remove(self, key: str) -> Upload | None:
        """Delete a scan; return what it was."""
        found = self._kept.pop(key, None)
        if found is not None:
            shutil.rmtree(found.path if found.path.is_dir() else found.path.parent, ignore_errors=True)
        return found

    def _save(self, key: str, files: Sequence[Sent]) -> Upload:
        if not files:
            raise EquiregError("no file was sent; expected a scan.")
        home = self._folder / key
        try:
            paths = [save(file, home, index) for index, file in enumerate(files)]
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise
        return Upload(key, paths[0] if len(paths) == 1 else home, time.time())

    def _forget_old(self) -> None:
        now = time.time()
        for key, kept in list(self._kept.items()):  # a copy: requests are answered side by side
            if now - kept.used > _LIVES_S:
                self.remove(key)


def _stem(name: str) -> str:
    return name[: len(name) - len(extension_of(name) or "")]


def save(file: Sent, home: Path, index: int = 0, stem: str | None = None) -> Path:
    """Write a file that was sent; its own name serves only where it is one name, else a number does.

    Raises:
        EquiregError: if it is of no known kind, or a file of its name is there.
    """
    own = (file.name or "").replace("\\", "/").rsplit("/", 1)[-1]
    ending = extension_of(own)
    dicom = ending is None and stem is None
    if ending is None and not dicom:
        raise _unknown_kind(own)
    name = f"{stem}{ending}" if stem is not None else own
    if dicom:  # its own name may be a person's
        name = f"scan_{index}{'.dcm' if is_called_dicom(own) else ''}"
    elif stem is None:
        try:
            case_folder(home, own)
        except EquiregError:
            name = f"scan_{index}{ending}"
    path = home / name
    if path.exists():
        raise EquiregError(
            f"two files are called {name[:80]!r}; expected a name a file. Rename one; files of several channels "
            "are named after case and channel, such as case_0000.nii.gz and case_0001.nii.gz."
        )
    with disk.disk_errors(path):
        home.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            shutil.copyfileobj(file.content, out)
    if dicom and not is_dicom(path):
        path.unlink()
        raise _unknown_kind(own)
    _refuse_header_alone(path, own)
    return path


def _refuse_header_alone(path: Path, name: str) -> None:
    """Delete and refuse a header whose voxels lie in another file: each file is kept by itself."""
    if path.name.lower().endswith((*META_ENDINGS, *NRRD_ENDINGS)):
        try:
            read_text_header(path)
        except EquiregError as error:
            path.unlink()
            raise EquiregError(f"{name[:80]!r} is a header, and its voxels lie in another file.{_ONE_FILE}") from error
        except ValueError:
            pass  # whoever reads the scan says what is wrong


def _unknown_kind(name: str) -> EquiregError:
    return EquiregError(
        f"{name[:80]!r} is not a known kind of image; expected DICOM, or one of {', '.join(EXTENSIONS)}."
        f"{_ONE_FILE if name.lower().endswith(_VOXELS) else ''}"
    )
