"""Kinds of DICOM files: one slice of a series, a multi-frame file, and masks; each read as a raw folder is."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGBaseline8Bit

from dicom_series import contours, enhanced, phantom, segmentation, slices
from equireg.errors import EquiregError
from fuzz import Subject, Target
from mutations import Rng, damaged_bytes

_SHAPE = (12, 10, 4)
_MASK = np.random.default_rng(5).integers(0, 3, _SHAPE).astype(np.uint8)
_NAMES = ("organ", "rim")
_SYNTAX = "1.2.840.10008.1.2"
_ODD = (
    *(b"", b"0", b"-1", b"3.5", b"nan", b"inf", b"1e308", b"99999999999999999999", b"-2147483648", b"x" * 300, b"\0"),
    *(b"1\\0\\0\\1\\0\\0", b"0\\0\\0\\0\\0\\0", b"1\\2", b"1\\2\\3", b"\\\\\\", b"../../x", b"\x1b[31mred", b"a\nb"),
    *(b"\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\0", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\x80\xe9\xff"),
)
"""Values of elements."""


def damaged_dicom(content: bytes, rng: Rng) -> bytes:
    """Change whole elements, bytes of the header, or bytes anywhere."""
    way = rng.random()
    if way < 0.5:
        return _in_elements(content, rng)
    return damaged_bytes(content, rng, head=1200 if way < 0.8 else len(content))


def _in_elements(content: bytes, rng: Rng) -> bytes:
    """Remove up to three elements, at any depth, or give them odd values; what cannot be written stays as it was."""
    file = pydicom.dcmread(io.BytesIO(content))
    for _ in range(int(rng.integers(1, 4))):
        places = list(_elements(file))
        holder, tag = places[int(rng.integers(len(places)))]
        if rng.random() < 0.2:
            del holder[tag]
            continue
        old = holder.get_item(tag)
        value = _ODD[int(rng.integers(len(_ODD)))]
        if rng.random() < 0.3:
            value = rng.bytes(int(rng.choice([1, 2, 4, 6, 8, 64])))
        value += b"\0" * (len(value) % 2)
        implicit, little = file.original_encoding
        holder._dict[old.tag] = RawDataElement(old.tag, old.VR, len(value), value, 0, bool(implicit), bool(little))
    made = io.BytesIO()
    try:
        file.save_as(made, enforce_file_format=False)
    except Exception:  # pydicom refuses to write what it would have to understand
        return damaged_bytes(content, rng, head=len(content))
    return made.getvalue()


def _elements(dataset: Dataset) -> Iterator[tuple[Dataset, Any]]:
    """Yield each element with the data set that holds it."""
    for tag in list(getattr(dataset, "file_meta", {}).keys()):
        yield dataset.file_meta, tag
    for tag in list(dataset.keys()):
        yield dataset, tag
        if dataset.get_item(tag).VR == "SQ":
            try:
                items = list(dataset[tag].value)
            except Exception:  # damaged by the round before
                continue
            for item in items:
                yield from _elements(item)


def _written(file: FileDataset) -> bytes:
    made = io.BytesIO()
    file.save_as(made, enforce_file_format=True)
    return made.getvalue()


def _folder(make: Callable[[], Sequence[FileDataset]], which: int, *, cost: int = 2) -> Target:
    """A folder of files of which one is damaged."""

    def made(folder: Path) -> Subject:
        root = folder / "raw"
        root.mkdir()
        for number, file in enumerate(make()):
            (root / f"IM{number}").write_bytes(_written(file))
        return Subject(root / f"IM{which}", damaged_dicom, lambda: _read(root), (str(root),))

    return Target(made, cost=cost)


def _read(root: Path) -> Any:
    from equireg.layouts.finding import discover

    found = discover(root, follow_links=False)
    if found.refused:
        raise EquiregError(f"{found.refused[0].reason} {found.refused[0].remedy}")
    values: list[Any] = [found.channels, found.labels]
    for case in found.cases:
        image, geometry = case.read_image()
        if image.shape[1:] != geometry.shape or geometry != case.read_geometry():
            raise AssertionError("two readings of one series differ")
        values += [case.name, image, geometry.affine_array]
        values += [] if case.label is None else [case.read_label(geometry)]
    return values


def _plain(shape: tuple[int, int, int] = _SHAPE) -> list[FileDataset]:
    return slices(phantom(shape))


def _in_syntax(syntax: str) -> Callable[[], Sequence[FileDataset]]:
    """Return what writes the series in an uncompressed transfer syntax, or deflated."""

    def make() -> Sequence[FileDataset]:
        files = _plain()
        for file in files:
            file.file_meta.TransferSyntaxUID = UID(syntax)
            if syntax == f"{_SYNTAX}.2":  # big endian
                file.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
                file.PixelData = np.frombuffer(file.PixelData, "<i2").astype(">i2").tobytes()
        return files

    return make


def _packed(syntax: str) -> Callable[[], Sequence[FileDataset]]:
    """Return what writes the series compressed."""

    def make() -> Sequence[FileDataset]:
        files = _plain((40, 36, 4))  # JPEG 2000 has a smallest size
        for file in files:
            file.compress(syntax, generate_instance_uid=False)
        return files

    return make


def _as_jpeg() -> Sequence[FileDataset]:
    from PIL import Image

    files = slices(phantom((24, 16, 4)))
    for file in files:
        made = io.BytesIO()
        pixels = np.frombuffer(file.PixelData, np.int16).reshape(file.Rows, file.Columns)
        Image.fromarray((pixels % 251).astype(np.uint8)).save(made, "JPEG")
        file.PixelData = encapsulate([made.getvalue()])
        file["PixelData"].is_undefined_length = True
        file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        file.BitsAllocated = file.BitsStored = 8
        file.HighBit, file.PixelRepresentation = 7, 0
    return files


def _with_segmentation(kind: str) -> Callable[[], Sequence[FileDataset]]:
    def make() -> Sequence[FileDataset]:
        files = _plain()
        return [*files, segmentation(files, _MASK, _NAMES, kind)]  # type: ignore[list-item]

    return make


def _with_contours() -> Sequence[FileDataset]:
    files = _plain()
    regions: dict[str, list[tuple[int, np.ndarray]]] = {name: [] for name in _NAMES}
    for place in range(3):
        x, y, z = np.array([-10.0, -20.0, 30.0 + 2.5 * place])
        square = np.array([[1, 1], [7, 1], [7, 6], [1, 6]]) * [0.8, 1.2]
        for name, size in zip(_NAMES, (1.0, 0.5), strict=True):
            points = np.column_stack([x + size * square[:, 0], y + size * square[:, 1], np.full(4, z)])
            regions[name].append((place, points))
    return [*files, contours(files, regions)]


KINDS: dict[str, Target] = {
    "DICOM": _folder(_plain, 2),
    "DICOM, implicit": _folder(_in_syntax(_SYNTAX), 2),
    "DICOM, big endian": _folder(_in_syntax(f"{_SYNTAX}.2"), 2),
    "DICOM, deflated": _folder(_in_syntax(f"{_SYNTAX}.1.99"), 2),
    "DICOM, RLE": _folder(_packed(f"{_SYNTAX}.5"), 2),
    "DICOM, JPEG": _folder(_as_jpeg, 2),
    "DICOM, JPEG-LS": _folder(_packed(f"{_SYNTAX}.4.80"), 2),
    "DICOM, JPEG 2000": _folder(_packed(f"{_SYNTAX}.4.90"), 2),
    "DICOM, multi-frame": _folder(lambda: [enhanced(phantom(_SHAPE))], 0),
    "DICOM-SEG": _folder(_with_segmentation("BINARY"), _SHAPE[2]),
    "DICOM-SEG, labelmap": _folder(_with_segmentation("LABELMAP"), _SHAPE[2]),
    "RTSTRUCT": _folder(_with_contours, _SHAPE[2]),
}
"""Name of a kind of DICOM file to how it is made, damaged and read."""
