"""The bytes of an image file, plain or gzip, read forwards in pieces; a gzip file's checksums are checked."""

import zlib
from typing import BinaryIO

from equireg.imaging.limits import PACKED

_MAGIC = b"\x1f\x8b"
_PIECE = 2**16  # compressed bytes read at once
_MOST = 2**20  # bytes decompressed at once
_BEYOND = 2**26
"""Bytes that may follow the voxels; more of them is no image."""


class PlainStream:
    """A file as it is."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.capacity = size

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes; EOFError: the file ends before."""
        found = self._file.read(count)
        if len(found) < count:
            raise EOFError(f"the file ends {count - len(found)} bytes early")
        return found

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        self._file.seek(count, 1)

    def finish(self) -> None:
        """Do nothing: a plain file has no checksum."""


class GzipStream:
    """What a gzip file holds: one member or several. Rubbish behind the last one is passed over.

    Args:
        file: at the beginning of the packed bytes.
        size: packed bytes.
        zlib_too: accept zlib's own frame too, which has a checksum as well.
    """

    def __init__(self, file: BinaryIO, size: int, *, zlib_too: bool = False) -> None:
        self._file = file
        self._pending = file.read(_PIECE)
        self.capacity = size * PACKED
        if self._pending[:2] != _MAGIC and not (zlib_too and self._pending):
            raise ValueError("it is not a gzip file" if self._pending else "it is empty")
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | (32 if zlib_too else 16))

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes.

        Raises:
            EOFError: if the file ends before.
            zlib.error: if the file is damaged; at the end of a member its checksum and length are checked.
        """
        parts: list[bytes] = []
        while count > 0:
            part = self._more(min(count, _MOST))
            if not part:
                raise EOFError(f"the file ends {count} bytes early")
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        while count > 0:
            count -= len(self.read(min(count, _MOST)))

    def finish(self) -> None:
        """Read to the end, so that all checksums are checked; ValueError: far more follows than an image holds."""
        beyond = 0
        while part := self._more(_MOST):
            beyond += len(part)
            if beyond > _BEYOND:
                raise ValueError("it holds far more than its header says")

    def _more(self, most: int) -> bytes:
        """Return up to ``most`` further bytes, none at the end."""
        while True:
            if self._decoder.eof and not self._next_member():
                return b""
            packed = self._pending or self._file.read(_PIECE)
            part = self._decoder.decompress(packed, most)
            self._pending = self._decoder.unconsumed_tail
            if part:
                return part
            if not packed and not self._decoder.eof:
                raise EOFError("the gzip stream is cut short")

    def _next_member(self) -> bool:
        """Go to the next member if there is one."""
        rest = self._decoder.unused_data
        if len(rest) < len(_MAGIC):
            rest += self._file.read(_PIECE)
        if rest[:2] != _MAGIC:
            return False
        self._decoder, self._pending = zlib.decompressobj(zlib.MAX_WBITS | 16), rest
        return True
