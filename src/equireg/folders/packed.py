"""A packed model: one zip file that holds all that predicts, and nothing that can run.

README.md               the model card
model.json              the members' options, facts and post-processing (``Packed``)
weights/N.safetensors   the weights of member N
SHA256SUMS              the digest of each of these files, as ``sha256sum --check`` reads it

Members are stored, not compressed, so that the same model is the same file, and no file is larger than it looks.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk
from equireg.config.parsing import to_plain
from equireg.errors import EquiregError
from equireg.folders.run_facts import RunFacts
from equireg.folders.schema import SchemaError, strict
from equireg.folders.signature import check_format
from equireg.folders.tensors import from_bytes

ENDING = ".zip"
CARD, MODEL, SUMS = "README.md", "model.json", "SHA256SUMS"
WEIGHTS = "weights"
_WEIGHTS_FILE = re.compile(rf"{WEIGHTS}/[1-9]\d{{0,3}}\.safetensors")
_SUM = re.compile(r"([0-9a-f]{64})  (\S+)")
_MOST_TEXT = 2**24
"""Bytes of a file that is not weights, at most."""
_WHEN = (1980, 1, 1, 0, 0, 0)
"""Time that every member has: the earliest that a zip file knows."""
_AGAIN = "Copy the file again from where `equireg pack` made it, or pack the run again."


@dataclass(frozen=True)
class PackedMember:
    """One network of a packed model."""

    name: str
    """of its run"""
    weights: str
    """its file in the zip"""
    digest: str
    """of the checkpoint that it was packed from"""
    step: int
    """optimiser steps of that checkpoint"""
    run: Mapping[str, Any]
    """facts of its run"""
    config: Mapping[str, Any]
    """options that rebuild its method"""
    facts: Mapping[str, Any]
    """of the data set that it was trained on"""
    scores: Mapping[str, float]
    """of that checkpoint on the validation cases, where it validated"""
    foreground_bias: Any = None
    """plain values of what its weights hold added to the heads; None where it has none"""


@dataclass(frozen=True)
class Packed:
    """What ``model.json`` says."""

    format_version: int
    equireg: str
    """version that packed it"""
    name: str
    licence: str | None
    members: tuple[PackedMember, ...]
    post_process: Any = None
    """plain values of the post-processing; None where it has none"""


def is_packed(path: Path | str) -> bool:
    """Whether a path is a file that has the ending of a packed model."""
    return Path(path).suffix.lower() == ENDING and Path(path).is_file()


def member_of(path: Path) -> tuple[Path, str] | None:
    """Return the zip file and the member's name of a path such as ``model.zip/weights/1.safetensors``, or None."""
    archive = path.parent.parent
    return (archive, f"{path.parent.name}/{path.name}") if path.parent.name == WEIGHTS and is_packed(archive) else None


def zip_bytes(packed: Packed, card: str, weights: Mapping[str, bytes]) -> bytes:
    """Return a packed model as a zip file; the same for the same content.

    Args:
        packed: content of ``model.json``.
        card: content of ``README.md``.
        weights: name of each member's file to its bytes.
    """
    model = json.dumps(to_plain(packed), indent=1, allow_nan=False) + "\n"
    files = {CARD: card.encode(), MODEL: model.encode(), **weights}
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**files, SUMS: sums.encode()}.items():
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return made.getvalue()


def read_packed(path: Path) -> Packed:
    """Read what a packed model says of itself.

    Raises:
        EquiregError: if the file is not a packed model, is damaged, or holds more or less than it should.
    """
    with _Archive(path) as archive:
        archive.read(CARD)
        content = archive.json(MODEL)
        check_format(path, content.get("format_version") if isinstance(content, Mapping) else None, "pack")
        try:
            packed: Packed = strict(Packed, content, MODEL)
            for member in packed.members:
                RunFacts.from_dict(member.run)
            named = [member.weights for member in packed.members]
            if not named or sorted(named) != sorted(name for name in archive.sums if _WEIGHTS_FILE.fullmatch(name)):
                raise SchemaError(f"{MODEL} names {len(named)} members, and its weights are others")
        except SchemaError as error:
            raise EquiregError(f"{path}: is damaged ({error}). {_AGAIN}") from error
    return packed


def read_weights(path: Path, name: str) -> dict[str, np.ndarray]:
    """Read the weights of one member, by the names of its network.

    Raises:
        EquiregError: if they are damaged.
    """
    with _Archive(path) as archive:
        try:
            return from_bytes(archive.read(name))
        except SchemaError as error:
            raise EquiregError(f"{path}: {name} is damaged ({error}). {_AGAIN}") from error


class _Archive:
    """The zip file, open; its list of members is checked before any is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk.read_errors(path):
            self._size = path.stat().st_size
            self._file = path.open("rb")
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._check()
            self.sums = self._read_sums()
        except (*_ZIP_ERRORS, EquiregError) as error:
            self._file.close()
            if isinstance(error, EquiregError):
                raise
            raise EquiregError(
                f"{path}: cannot be read as a zip file ({error}), as where a copy was cut short. {_AGAIN}"
            ) from error

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def read(self, name: str) -> bytes:
        """Return a member's bytes, of the digest that the list has for it."""
        content = self._raw(name)
        if sha256(content).hexdigest() != self.sums[name]:
            raise EquiregError(f"{self.path}: {name} is damaged or was changed: {SUMS} has another digest. {_AGAIN}")
        return content

    def json(self, name: str) -> Any:
        """Return a member's content as plain values."""
        try:
            return disk.parse_json(self.read(name).decode())
        except (ValueError, RecursionError) as error:
            raise EquiregError(f"{self.path}: {name} is not valid JSON ({error}). {_AGAIN}") from error

    def _raw(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except _ZIP_ERRORS as error:
            raise EquiregError(f"{self.path}: {name} cannot be read ({error}). {_AGAIN}") from error

    def _check(self) -> None:
        """Refuse what `equireg pack` does not write, before any of it is read."""
        entries = self._zip.infolist()
        names = [entry.filename for entry in entries]
        lacking = [name for name in (MODEL, SUMS, CARD) if name not in names]
        if MODEL in lacking and SUMS in lacking:
            raise EquiregError(f"{self.path}: is a zip file of another kind; expected one that `equireg pack` made.")
        if lacking:
            raise EquiregError(f"{self.path}: lacks {lacking[0]}. {_AGAIN}")
        strange = [name for name in names if name not in (MODEL, SUMS, CARD) and not _WEIGHTS_FILE.fullmatch(name)]
        strange += [name for name in names if names.count(name) > 1]
        if strange:
            raise EquiregError(
                f"{self.path}: holds {strange[0][:80]!r}, which is no part of a packed model (nothing of it was "
                f"unpacked). {_AGAIN}"
            )
        for entry in entries:
            stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
            if not stored or entry.flag_bits & 1:
                raise EquiregError(
                    f"{self.path}: {entry.filename} is compressed or encrypted, so another program packed it again; "
                    f"expected it as it was stored. {_AGAIN}"
                )
            if entry.file_size > (self._size if entry.filename.startswith(WEIGHTS) else min(self._size, _MOST_TEXT)):
                raise EquiregError(
                    f"{self.path}: {entry.filename} claims {entry.file_size} bytes, more than it can have. {_AGAIN}"
                )

    def _read_sums(self) -> dict[str, str]:
        lines = [_SUM.fullmatch(line) for line in self._raw(SUMS).decode("ascii", "replace").splitlines()]
        sums = {line[2]: line[1] for line in lines if line is not None}
        members = {*self._zip.namelist()} - {SUMS}
        if None in lines or len(sums) != len(lines):
            raise EquiregError(f"{self.path}: {SUMS} is damaged; expected a digest and a name a line. {_AGAIN}")
        if sums.keys() != members:
            name = min(sums.keys() ^ members)
            word = "lacks" if name in sums else "has no digest of"
            raise EquiregError(f"{self.path}: {word} {name[:80]}. {_AGAIN}")
        return sums


_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, ValueError, KeyError, RuntimeError)
