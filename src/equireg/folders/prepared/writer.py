"""Writing a prepared folder: compressed arrays, and folders of cases that are complete or absent."""

import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import blosc2
import numpy as np

from equireg.disk import DiskError, disk_errors, partial_name, read_json, write_json
from equireg.errors import EquiregError
from equireg.folders.digests import SEAL, digest_of, seal_of
from equireg.folders.prepared.manifest import Manifest
from equireg.folders.prepared.names import (
    CASES,
    EXAMPLES,
    IMAGE,
    LABEL,
    MANIFEST,
    MANIFEST_DIGEST,
    NEXT_DIGEST,
    PLACES,
    RECORD,
    REFERENCE,
    SEEDS,
)
from equireg.folders.signature import SIGNATURE, UNFINISHED, read_content, sign, write_content
from equireg.imaging.geometry import Geometry

_CHUNK_BYTES = 2**20
"""Bytes that a compressed chunk holds, about: small enough to read one patch, large enough to compress."""
_RAW = "raw"
"""Key of the raw folder's name in the mark of an unfinished folder."""
_HIDDEN = re.compile(r"\..+\.partial-\d+")
"""Names of folders that are being written."""


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array [..., D, H, W], compressed such that a few slices can be read alone."""
    blosc2.set_nthreads(1)  # cases are written in parallel already
    slice_bytes = max(1, array[..., :1, :, :].nbytes)
    depth = min(array.shape[-3], math.ceil(_CHUNK_BYTES / slice_bytes))
    lead = array.shape[:-3]
    compressed = blosc2.asarray(
        np.ascontiguousarray(array),  # pyright: ignore[reportArgumentType]
        chunks=(*lead, depth, *array.shape[-2:]),
        blocks=(*[1] * len(lead), 1, *array.shape[-2:]),
        cparams={"codec": blosc2.Codec.ZSTD, "clevel": 5, "nthreads": 1},
    )
    # Written here and not by blosc2, which does not say why a write failed (a full disk, say).
    path.write_bytes(compressed.to_cframe())  # pyright: ignore[reportAttributeAccessIssue]


def begin(out: Path, raw_name: str) -> bool:
    """Mark a folder as unfinished, so that no other verb reads it, and remove what killed runs left.

    Args:
        out: the prepared folder, new or from an earlier run.
        raw_name: name of the raw folder.

    Returns:
        Whether it is a new one.

    Raises:
        DiskError: if it cannot be written.
    """
    cases = out / CASES
    created = not cases.exists()
    with disk_errors(out):
        cases.mkdir(parents=True, exist_ok=True)
        write_json(out / UNFINISHED, {_RAW: raw_name})
        for name in (MANIFEST, SIGNATURE):
            (out / name).unlink(missing_ok=True)
        for path in cases.iterdir():
            if _HIDDEN.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
        for folder in (out, out / EXAMPLES):
            for path in folder.glob(".*.partial-*"):
                if _HIDDEN.fullmatch(path.name) and path.is_file():
                    path.unlink()
    return created


def begun_from(out: Path) -> str | None:
    """Return the name of the raw folder from which a folder was begun and not finished; None of any other folder.

    Raises:
        EquiregError: if the mark of the unfinished folder is damaged.
    """
    if not (out / UNFINISHED).is_file():
        return None
    content = read_json(out / UNFINISHED, "Choose another --out.")
    name = content.get(_RAW) if isinstance(content, dict) else None
    return name if isinstance(name, str) else None


def finish(out: Path, manifest: Manifest, config: Mapping[str, Any], *, seed: int, source: Path | None) -> None:
    """Write the manifest and the signature: from now on other verbs read the folder."""
    write_json(out / MANIFEST, manifest.as_dict())
    sign(out, "prepare", config, seed=seed, source=source, **{MANIFEST_DIGEST: digest_of(out / MANIFEST)})
    (out / UNFINISHED).unlink(missing_ok=True)


def renew(out: Path, manifest: Manifest) -> None:
    """Write a changed manifest into a finished folder, whose signature stays what it was but for the digest."""
    signature = {name: value for name, value in read_content(out).items() if name != NEXT_DIGEST}
    new = partial_name(out / MANIFEST)
    write_json(new, manifest.as_dict())
    digest = digest_of(new)
    write_content(out, {**signature, NEXT_DIGEST: digest})
    with disk_errors(out / MANIFEST):
        new.replace(out / MANIFEST)
    write_content(out, {**signature, MANIFEST_DIGEST: digest})


def undo(out: Path) -> None:
    """Take back ``begin`` where no case could be prepared: remove what it made, and nothing else."""
    (out / UNFINISHED).unlink(missing_ok=True)
    for folder in (out / CASES, out):
        with suppress(OSError):  # there is something of the user's in it
            folder.rmdir()


class CaseWriter:
    """The files of one case, in a folder that nobody sees before it is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, image: np.ndarray) -> None:
        """Write the working array [C, D, H, W]."""
        write_array(self.folder / IMAGE, image)

    def seeds(self, seeds: np.ndarray) -> None:
        """Write the seeds of the fixed transforms, uint64 [D]."""
        np.save(self.folder / SEEDS, seeds)

    def label(self, classes: np.ndarray, places: Mapping[int, np.ndarray]) -> None:
        """Write class indices, uint8 [D, H, W], and places of each class, int16 [N, 3]."""
        write_array(self.folder / LABEL, classes)
        named: dict[str, Any] = {str(index): found for index, found in places.items()}
        np.savez_compressed(self.folder / PLACES, **named)

    def reference(self, values: np.ndarray, geometry: Geometry) -> None:
        """Write the mask [X, Y, Z] in the scan's own geometry."""
        from equireg.imaging.writing import write_label  # with nibabel, which a reader of the folder does not need

        write_label(self.folder / REFERENCE, values, geometry)

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Write the record with the digests of all other files, notes on the mask only where there are any.

        Returns:
            The record as written.
        """
        told = {name: value for name, value in record.items() if name != "mask_notes" or value}
        whole = {**told, "digests": {path.name: digest_of(path) for path in sorted(self.folder.iterdir())}}
        write_json(self.folder / RECORD, {**whole, SEAL: seal_of(whole)})
        return whole


@contextmanager
def new_case(folder: Path) -> Iterator[CaseWriter]:
    """Yield a writer of a hidden folder that becomes ``folder``, in place of an earlier one, when the block ends well.

    Raises:
        DiskError: if the disk is full; names ``folder``, because a hidden one would mean nothing to the user.
        EquiregError: if something else than a prepared case is there.
    """
    staging = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        with disk_errors(folder):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            yield CaseWriter(staging)
            _put(staging, folder)
    except DiskError as error:
        finding = None if error.finding is None else error.finding.replace(str(staging), str(folder))
        raise DiskError(str(error).replace(str(staging), str(folder)), finding) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def copy_scan(folder: Path, writer: CaseWriter) -> None:
    """Take what does not depend on the mask from a prepared case into the folder of its successor."""
    for name in (IMAGE, SEEDS):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, writer.folder / name)


def remove_case(folder: Path) -> None:
    """Remove the folder of a prepared case, if it is there.

    Raises:
        EquiregError: if it is something else, which `equireg prepare` did not make.
    """
    if _is_there(folder):
        shutil.rmtree(folder)


def _is_there(folder: Path) -> bool:
    """Whether a prepared case is there; refuses what is none."""
    if not folder.exists() and not folder.is_symlink():
        return False
    if not is_case(folder):
        raise EquiregError(
            f"{folder}: is not a prepared case ({RECORD} is missing), so it is left as it is. Move it elsewhere."
        )
    return True


def _put(staging: Path, folder: Path) -> None:
    """Put a new case in the place of an earlier one, which is removed only when the new one is there."""
    earlier = staging.with_name(f".{folder.name}.before.partial-{os.getpid()}")
    shutil.rmtree(earlier, ignore_errors=True)
    if _is_there(folder):
        folder.rename(earlier)
    try:
        staging.rename(folder)
    except OSError:
        if earlier.is_dir():
            earlier.rename(folder)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def is_case(folder: Path) -> bool:
    """Return whether a folder is one that ``new_case`` made."""
    return folder.is_dir() and not folder.is_symlink() and (folder / RECORD).is_file()
