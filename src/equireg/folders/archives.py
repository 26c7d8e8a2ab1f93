"""What numpy and zipfile raise where an archive of arrays (.npz) is damaged."""

import struct
import zipfile
import zlib

NPZ_ERRORS = (
    *(OSError, EOFError, MemoryError),
    *(ValueError, TypeError, KeyError, IndexError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
    RuntimeError,  # of a member that claims to be encrypted, or packed in another way
)
