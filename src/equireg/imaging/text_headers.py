"""The text headers of MetaImage and NRRD files: what they claim is checked before ITK opens the file.

Both are read more strictly than ITK does, so that it cannot see another size or another data file than was checked
here: one field a line, none twice, as many numbers as the dimension asks for.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.label_names import names_file
from equireg.imaging.limits import PACKED

META_ENDINGS = (".mha", ".mhd")
NRRD_ENDINGS = (".nrrd", ".nhdr")
"""Endings of both kinds; the second is that of headers whose voxels lie in a file beside them."""
_LONGEST = 2**18
"""Bytes within which a header must end."""
_BYTES = {
    **dict.fromkeys(("char", "uchar", "signed char", "unsigned char", "int8", "int8_t", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "ushort", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "uint", "signed int", "unsigned int", "int32", "int32_t", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("long", "ulong", "float"), 4),
    **dict.fromkeys(("long long", "longlong", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("unsigned long long", "unsigned long long int", "ulonglong", "ulong long"), 8),
    **dict.fromkeys(("int64", "int64_t", "uint64", "uint64_t", "double"), 8),
}
"""Bytes of a voxel by its type's name; MetaIO's ``MET_LONG`` has 4."""
_BZIP2 = 25_000
"""Times that bzip2 shrinks one value."""


@dataclass(frozen=True)
class TextHeader:
    """What a text header claims."""

    sizes: tuple[int, ...]
    """Voxels along each axis, values a voxel included."""
    voxel_bytes: int
    data: Path
    """The file with the voxels: the header's own, or one beside it."""
    offset: int
    """Bytes in that file before the voxels begin."""
    packing: str
    """``raw``, ``zlib`` (or gzip), ``bzip2`` or ``text``."""
    units: tuple[str, ...] = ()
    """Units along axes, in the header's words, which ITK passes over; empty: not stated."""
    dtype: str = ""
    """Type of a MetaImage's numbers and the order of their bytes, as numpy spells them; empty for NRRD."""

    @property
    def bytes(self) -> int:
        """Bytes of all voxels, decompressed."""
        return math.prod(self.sizes) * self.voxel_bytes

    def capacity(self) -> int:
        """Return the bytes of voxels that the file can hold at most."""
        there = max(self.data.stat().st_size - self.offset, 0)
        # Of a text each voxel takes two characters at least.
        factor = {"raw": 1, "zlib": PACKED, "bzip2": _BZIP2, "text": self.voxel_bytes}[self.packing]
        return there * factor


def read_text_header(path: Path) -> TextHeader:
    """Read what a MetaImage or NRRD file claims.

    Raises:
        EquiregError: if the voxels are said to lie in a file that is not beside the header.
        ValueError: if the header is damaged, or of a form that is not read.
    """
    beginning = _beginning(path)
    return (_meta if path.name.lower().endswith(META_ENDINGS) else _nrrd)(path, beginning)


def read_notes(path: Path) -> dict[str, str]:
    """Read the notes that a program left in a NRRD header (``key:=value``); none of a damaged or another file."""
    if not path.name.lower().endswith(NRRD_ENDINGS):
        return {}
    notes, offset, line = {}, 0, "NRRD"
    with suppress(OSError, ValueError):
        beginning = _beginning(path)
        while line:
            line, offset = _line(beginning, offset)
            key, mark, value = line.partition(":=")
            if mark:
                notes[key] = value.encode("latin-1").decode("utf-8", "replace")
        return notes
    return {}


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)


def with_voxels(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, each followed by that with the voxels of a detached header, or with the names of labelme's mask."""
    for path in paths:
        yield path
        if (names := names_file(path)) is not None:
            yield names
        if path.name.lower().endswith((*META_ENDINGS, *NRRD_ENDINGS)):
            with suppress(EquiregError, OSError, ValueError):  # whoever reads it says what is wrong
                data = read_text_header(path).data
                if data != path:
                    yield data


def _meta(path: Path, beginning: bytes) -> TextHeader:
    fields: dict[str, str] = {}
    offset = 0
    while "ElementDataFile" not in fields:
        line, offset = _line(beginning, offset)
        match = re.fullmatch(r"([^=:\s\x00-\x1f][^=:\x00-\x1f]{0,100}?)[ \t]*=[ \t]*([^\x00-\x08\x0e-\x1f]*)", line)
        if match is None or match[1] in fields or (match[1] in _META_TEXTS and len(match[2]) > _LONGEST_TEXT):
            raise ValueError(f"its header has the line {line[:60]!r}")
        fields[match[1]] = match[2].strip()
    dimension = _whole(fields, "NDims", 1)[0]
    if not 2 <= dimension <= 4:
        raise ValueError(f"its header has NDims = {dimension}")
    for name, count in _META_COUNTS.items():
        if name in fields and len(fields[name].split()) != count(dimension):
            raise ValueError(f"its header has {name} = {fields[name][:60]}")
    channels = _whole(fields, "ElementNumberOfChannels", 1)[0] if "ElementNumberOfChannels" in fields else 1
    kind = fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY").lower().replace("_", " ")
    if kind not in _BYTES:
        raise ValueError(f"its header has ElementType = {fields.get('ElementType')}")
    sizes = (*_whole(fields, "DimSize", dimension), channels)
    packed = fields.get("CompressedData", "False").lower() in ("true", "t", "1", "yes", "y")
    packing = "zlib" if packed else "raw" if fields.get("BinaryData", "True").lower()[:1] in "ty1" else "text"
    place = fields["ElementDataFile"]
    data = path if place.upper() == "LOCAL" else _beside(path, place)
    skipped = _skipped("HeaderSize", fields.get("HeaderSize", "0"), beside=data != path and packing == "raw")
    units = (fields.get("DistanceUnits", ""),)
    order = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    letter = "f" if kind in ("float", "double") else "u" if kind.startswith("u") else "i"
    dtype = f"{'>' if order[:1] in ('T', 't', '1') else '<'}{letter}{_BYTES[kind]}"
    return TextHeader(sizes, _BYTES[kind], data, offset if data == path else skipped, packing, units, dtype)


_META_COUNTS: dict[str, Callable[[int], int]] = {
    **dict.fromkeys(("NDims", "ElementNumberOfChannels", "HeaderSize", "BinaryData", "CompressedData"), lambda n: 1),
    **dict.fromkeys(("CompressedDataSize", "ElementMin", "ElementMax", "ElementType", "ElementNBits"), lambda n: 1),
    **dict.fromkeys(
        ("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset", "ID", "ParentID"), lambda n: 1
    ),
    **dict.fromkeys(("DimSize", "ElementSpacing", "ElementSize", "Offset", "Origin", "Position"), lambda n: n),
    "CenterOfRotation": lambda n: n,
    **dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), lambda n: n * n),
    **dict.fromkeys(("Color", "SequenceID"), lambda n: 4),
}
"""Numbers that MetaIO reads of a field, across lines if need be."""
_META_TEXTS = ("Comment", "Name", "ObjectType", "ObjectSubType", "TransformType", "AnatomicalOrientation", "Modality")
_LONGEST_TEXT = 400
"""Characters of such a text that MetaIO has room for."""


def _nrrd(path: Path, beginning: bytes) -> TextHeader:
    fields: dict[str, str] = {}
    line, offset = _line(beginning, 0)
    if re.fullmatch(r"NRRD000[1-6]", line) is None:
        raise ValueError("it does not begin with a NRRD header")
    while True:
        try:
            line, offset = _line(beginning, offset)
        except ValueError:
            if offset < len(beginning) or len(beginning) == _LONGEST or not ({"data file", "datafile"} & fields.keys()):
                raise
            break  # a detached header may end without an empty line
        if not line:
            break
        if line.startswith("#") or re.match(r"[^:]*:=", line):  # a comment, or a note of the writer's own
            continue
        match = re.fullmatch(r"([A-Za-z][A-Za-z ]*?): *([^\x00-\x08\x0e-\x1f]*)", line)
        name = "" if match is None else match[1].lower()
        if match is None or name in fields:
            raise ValueError(f"its header has the line {line[:60]!r}")
        fields[name] = match[2].strip()
    dimension = _whole(fields, "dimension", 1)[0]
    if not 1 <= dimension <= 5:
        raise ValueError(f"its header has dimension: {dimension}")
    _check_kinds(path, fields)
    kind = fields.get("type", "").lower()
    packings = {"raw": "raw", "gzip": "zlib", "gz": "zlib", "bzip2": "bzip2", "bz2": "bzip2"}
    packings |= dict.fromkeys(("ascii", "text", "txt", "hex"), "text")
    packing = packings.get(fields.get("encoding", "").lower())
    if kind not in _BYTES or packing is None:
        raise ValueError(f"its header has type: {kind[:40]}, encoding: {fields.get('encoding', '')[:40]}")
    lines, skip = (fields.get(name, fields.get(name.replace(" ", ""), "0")) for name in ("line skip", "byte skip"))
    if lines != "0" or (skip == "-1" and packing != "raw"):
        raise ValueError(f"its header has line skip: {lines[:40]}, byte skip: {skip[:40]}")
    place = fields.get("data file", fields.get("datafile"))
    data = path if place is None else _beside(path, place)
    skipped = _skipped("byte skip", skip, beside=data != path and packing == "raw")
    size = 8 if kind in ("long", "ulong") else _BYTES[kind]
    start = offset if data == path else skipped
    units = (fields.get("space units", "") + fields.get("units", "")).encode("latin-1").decode("utf-8", "replace")
    sizes = _whole(fields, "sizes", dimension)
    return TextHeader(sizes, size, data, start, packing, tuple(re.findall(r'"([^"]*)"', units)))


def _check_kinds(path: Path, fields: dict[str, str]) -> None:
    """Refuse channels that a header of four axes does not call a list, which ITK takes for an axis in space."""
    axes = re.findall(r"none|\([^)]*\)", fields.get("space directions", "").lower())
    kinds = fields.get("kinds", "none none none none").lower().split()
    spatial = ("none", "???", "time", "domain", "space")
    if len(axes) == len(kinds) == 4 and axes.count("none") == 1 and kinds[axes.index("none")] in spatial:
        right = " ".join("list" if axis == "none" else "domain" for axis in axes)
        raise EquiregError(
            f"{path}: its header gives one axis no direction in space and does not call it a list; expected "
            f"channels along it. Write `kinds: {right}` into its header (in pynrrd by header['kinds'])."
        )


def _line(content: bytes, start: int) -> tuple[str, int]:
    """Return the line that begins at ``start``, and where the next one does."""
    end = content.find(b"\n", start)
    if end < 0:
        raise ValueError("its header does not end")
    return content[start:end].removesuffix(b"\r").decode("latin-1"), end + 1


def _whole(fields: dict[str, str], name: str, count: int) -> tuple[int, ...]:
    """Return the whole numbers of a field."""
    text = fields.get(name, "")
    if len(text) > 200 or re.fullmatch(rf"\d+(\s+\d+){{{count - 1}}}", text, re.ASCII) is None:
        raise ValueError(f"its header has {name} = {text[:60]!r}; expected {count} whole numbers")
    return tuple(int(number) for number in text.split())


def _skipped(name: str, text: str, *, beside: bool) -> int:
    """Return the bytes before the voxels; -1 says that these are the last of the file, which is no claim on its length.

    ``beside``: the voxels lie as they are in a file of their own, where alone all readers count alike.
    """
    if text in ("0", "-1"):
        return 0
    if not beside or re.fullmatch(r"\d{1,15}", text, re.ASCII) is None:
        raise ValueError(
            f"its header has {name}: {text[:60]}; expected 0, -1, or bytes of a file with raw voxels alone"
        )
    return int(text)


def _beside(path: Path, place: str) -> Path:
    """Return the data file of a detached header, which must lie in the header's own folder."""
    folder = path.parent.resolve()
    data = folder / place
    plain = Path(place).name == place and not place.startswith(".") and place != path.name and "%" not in place
    if not plain or place.split(maxsplit=1)[0].upper() == "LIST" or data.resolve().parent != folder:
        raise EquiregError(
            f"{path}: its header says that the voxels lie in {place[:80]!r}; expected one file in the same folder. "
            "Copy that file beside the header and give its name alone, or save the scan as one file."
        )
    if not data.is_file():
        raise EquiregError(
            f"{path}: its header says that its voxels are in {place[:80]!r}, which is missing. Copy that file there."
        )
    return path.parent / place
