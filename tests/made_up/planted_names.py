"""Names that must not travel, and a search for them in all that a verb wrote, packed or not."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import blosc2
import numpy as np


def found_in(folder: Path, words: tuple[str, ...]) -> list[str]:
    """Return where any of the words stands: in a file's name or in its bytes, unpacked where it is packed."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside = str(path.relative_to(folder))
        parts = [inside.encode(), *(_unpacked(path.read_bytes()) if path.is_file() and not path.is_symlink() else [])]
        found += [f"{inside}: {word}" for word in words if any(word.encode() in part for part in parts)]
    return found


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield content
    if content[:2] == b"\x1f\x8b":
        yield from _unpacked(gzip.decompress(content))
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _unpacked(archive.read(name))
    elif content[2:10] == b"b2frame\0":
        yield np.asarray(blosc2.ndarray_from_cframe(content)[:]).tobytes()
    elif content.startswith(b"\x89PNG"):
        for start in (place for place in range(len(content)) if content[place : place + 4] in (b"zTXt", b"iTXt")):
            yield zlib.decompressobj().decompress(content[start + 4 :].split(b"\0\0", 1)[-1])
