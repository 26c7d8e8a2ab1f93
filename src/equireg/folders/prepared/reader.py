"""A prepared folder, opened for reading; what is damaged is named."""

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

import blosc2
import numpy as np

from equireg import disk, folders
from equireg.config import LimitOptions
from equireg.errors import EquiregError
from equireg.folders.archives import NPZ_ERRORS
from equireg.folders.digests import digest_of
from equireg.folders.prepared.manifest import CaseRecord, Manifest, Split
from equireg.folders.prepared.names import (
    EXAMPLES,
    IMAGE,
    LABEL,
    MANIFEST,
    MANIFEST_DIGEST,
    NEXT_DIGEST,
    PLACES,
    REFERENCE,
    SEEDS,
    case_folder,
)
from equireg.folders.schema import SchemaError
from equireg.imaging.limits import Limits

_UNREAD = ("dataset", "refused", "fingerprint")
"""Facts of the manifest on which no training depends."""
_UNREAD_OF_CASE = ("class_slices", "labelled_box", "intensities", "notes", "digests")
_READ = (IMAGE, LABEL, PLACES)
"""Files of a case that training reads."""


class PreparedSet:
    """A prepared folder, opened for reading.

    Args:
        root: the folder.
        verify: check each file of a case against its digest when it is first opened. Folders of earlier versions
            have no digests, so nothing is checked there.

    Raises:
        EquiregError: if the folder is not the finished output of `equireg prepare`, is of another format, or is
            damaged.
    """

    def __init__(self, root: Path | str, verify: bool = True) -> None:
        self.root = Path(root)
        self._verify = verify
        self._verified: dict[Path, tuple[int, int]] = {}
        """File whose bytes are known to be those that were written, to its size and time of change.

        Not its inode, which some network drives (sshfs, rclone, SMB) give anew each time.
        """
        self.atlas_files: Mapping[str, Path] = {}
        """Case name to the mask that registration has carried over to it; empty but for ``with_atlas``."""
        self._signature = folders.read_signature(self.root, "prepare")
        path = self.root / MANIFEST
        try:
            content = disk.read_json(path)
            if isinstance(content, dict):
                folders.check_format(path, content.get("format_version"), "prepare")
            self.manifest = Manifest.from_dict(content)
            recorded = [self._signature.get(name) for name in (MANIFEST_DIGEST, NEXT_DIGEST)]
            if verify and recorded[0] is not None and digest_of(path) not in recorded:
                raise SchemaError("its content is not what was written")
            self._as_written = self.manifest
        except (SchemaError, RecursionError, OSError) as error:
            _damaged(path, error)

    @cached_property
    def by_name(self) -> dict[str, CaseRecord]:
        """Case name to its record."""
        return {case.name: case for case in self.manifest.cases}

    @cached_property
    def limits(self) -> Limits:
        """What its raw scans and the masks of its cases may claim: what `equireg prepare` was allowed; its colours."""
        recorded = Limits.of(LimitOptions(), self._signature)
        return replace(recorded, colours=self.manifest.labels.colour_table())

    @cached_property
    def digest(self) -> str:
        """Digest of all that training reads: facts, records and arrays; equal for two identical preparations."""
        manifest = self._as_written
        facts = {name: value for name, value in manifest.as_dict().items() if name not in _UNREAD}
        facts["large_shape"] = manifest.fingerprint.get("large_shape")
        facts["cases"] = [
            {name: value for name, value in case.as_dict().items() if name not in _UNREAD_OF_CASE}
            | {"files": {name: case.digests.get(name) for name in _READ}}
            for case in manifest.cases
        ]
        return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()

    def split_as(self, splits: Mapping[str, Split]) -> "PreparedSet":
        """Return the same folder with other splits of its cases, as a fold has them; its digest stays.

        Args:
            splits: case name to split, of every case.
        """
        other = copy.copy(self)
        other.__dict__.pop("by_name", None)
        cases = tuple(replace(case, split=splits[case.name]) for case in self.manifest.cases)
        other.manifest = replace(self.manifest, cases=cases)
        return other

    def with_atlas(self, files: Mapping[str, Path]) -> "PreparedSet":
        """Return the same folder with masks that registration has carried over to some of its cases.

        Args:
            files: case name to the file of class indices, uint8 [D, H, W].
        """
        other = copy.copy(self)
        other.atlas_files = dict(files)
        return other

    @property
    def source(self) -> Path | None:
        """The raw folder that it was made from, where the signature leads to it and it is still there."""
        return folders.source_of(self.root, self._signature)

    def verify(self, cases: Iterable[str] | None = None) -> None:
        """Check the files of some cases, or of all, against their digests; what was checked is not checked again.

        Raises:
            EquiregError: if a file is missing or damaged; names it.
        """
        for case in self.by_name if cases is None else cases:
            for name in self.by_name[case].digests:
                self._checked(case, name)

    def image(self, case: str) -> blosc2.NDArray:
        """Open a case's image, float16 or float32 [C, D, H, W]; slicing it reads that part alone."""
        return self._open(case, IMAGE)

    def label(self, case: str) -> blosc2.NDArray:
        """Open a case's class indices, uint8 [D, H, W]; ``IGNORED`` where nobody annotated."""
        return self._open(case, LABEL)

    def atlas(self, case: str) -> blosc2.NDArray:
        """Open class indices that registration has carried over to a case, uint8 [D, H, W]; ``IGNORED`` for none."""
        return self._array(case, self.atlas_files[case])

    def foreground(self, case: str) -> dict[int, np.ndarray]:
        """Read places of each class that the case shows: class index to int16 [N, 3], in [D, H, W]."""
        path = self._checked(case, PLACES)
        try:
            with np.load(path) as content:
                return {int(name): content[name] for name in content.files}
        except NPZ_ERRORS as error:
            _damaged(path, error)

    def equivariance_seeds(self, case: str) -> np.ndarray:
        """Read the seeds of a case's fixed transforms, uint64 [D].

        Raises:
            EquiregError: if the folder was prepared before there were such seeds.
        """
        path = self.folder(case) / SEEDS
        try:
            return np.load(self._checked(case, SEEDS))
        except (OSError, ValueError, EOFError) as error:
            raise EquiregError(
                f"{path}: is missing or damaged ({error}); expected a seed for each slice. "
                "Run the same `equireg prepare` again."
            ) from error

    def reference(self, case: str) -> Path | None:
        """Return a case's mask in its native geometry, or None where it has none."""
        path = self.folder(case) / REFERENCE
        if not path.is_file():
            return None
        return self._checked(case, REFERENCE)

    def references(self) -> dict[str, Path]:
        """Return case name to native mask, of all cases that have one; opened later, so checked later."""
        found = {case.name: self.folder(case.name) / REFERENCE for case in self.manifest.cases}
        return {name: path for name, path in found.items() if path.is_file()}

    def examples(self) -> list[Path]:
        """Return the files ``CASE.npz`` with the steps of preparation, for the report."""
        return sorted((self.root / EXAMPLES).glob("*.npz"))

    def folder(self, case: str) -> Path:
        """Return the folder that holds a case's arrays."""
        return case_folder(self.root, case)

    def _checked(self, case: str, name: str) -> Path:
        """Return the path of a case's file once its bytes are known to be those that were written."""
        path = self.folder(case) / name
        record = self.by_name.get(case)
        recorded = record.digests.get(name) if record is not None else None
        if self._verify and recorded is not None:
            try:
                state = path.stat()
                stamp = (state.st_size, state.st_mtime_ns)
                known = self._verified.get(path) == stamp
                if not known and digest_of(path) != recorded:
                    self._refuse(path, "its content is not what was written")
            except OSError as error:
                self._refuse(path, error)
            self._verified[path] = stamp
        return path

    def _refuse(self, path: Path, why: object) -> NoReturn:
        """Say that a file is damaged, or that the folder is no longer the one that was opened."""
        if not self.root.is_dir():
            raise EquiregError(
                f"{self.root}: is no longer there, as where it was moved, or its drive has gone. Bring it back, and "
                "give the command again."
            ) from (why if isinstance(why, Exception) else None)
        try:
            same = folders.read_signature(self.root, "prepare") == self._signature
        except EquiregError:  # it is being made again just now
            same = False
        if not same:
            raise EquiregError(
                f"{self.root}: was made again, or took in masks, since it was opened; {path} is another now. "
                "Once nothing writes into it, open it or give the command again."
            ) from (why if isinstance(why, Exception) else None)
        _damaged(path, why)

    def _open(self, case: str, name: str) -> blosc2.NDArray:
        return self._array(case, self._checked(case, name))

    def _array(self, case: str, path: Path) -> blosc2.NDArray:
        try:
            array = blosc2.open(str(path), mode="r")
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            _damaged(path, error)
        if not isinstance(array, blosc2.NDArray):
            _damaged(path, "it is not an array")
        record: Any = self.by_name.get(case)
        if record is not None and tuple(array.shape[-3:]) != record.shape:
            _damaged(path, f"it has the shape {tuple(array.shape)}; the manifest says {record.shape}")
        return array


def _damaged(path: Path, why: object) -> NoReturn:
    cause = why if isinstance(why, Exception) else None
    raise EquiregError(
        f"{path}: this prepared folder is damaged: {path.name} ({why}). Run the same `equireg prepare` again."
    ) from cause
