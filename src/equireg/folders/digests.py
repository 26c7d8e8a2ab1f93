"""Digests of files and of plain values, by which damage is found."""

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

DIGESTS = "digests"
"""Fact in a signature: name of a file to the digest of its bytes."""
SEAL = "seal"
"""Key in a file of plain values: the digest of all its other values."""


def digest_of(path: Path) -> str:
    """Return the digest of a file's bytes."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the fact ``digests`` to sign a folder with: of those of its files that are there."""
    return {name: digest_of(folder / name) for name in names if (folder / name).is_file()}


def seal_of(record: Mapping[str, Any]) -> str:
    """Return a digest of plain values, the same before writing and after reading."""
    plain = json.loads(json.dumps(record, default=str))
    return blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=16).hexdigest()
