"""Digests of files: what a finished folder was signed with, and whether a file is still that."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

from equireg.errors import EquiregError
from equireg.folders.signature import is_signed, read_content

DIGESTS = "digests"
"""Fact in a signature: name of a file to the digest of its bytes."""


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


def check_digest(path: Path, remedy: str) -> None:
    """Refuse a file that is not what its folder was signed with; folders of earlier versions have no digests.

    Raises:
        EquiregError: names the file.
    """
    signed = read_content(path.parent).get(DIGESTS) if is_signed(path.parent) else None
    recorded = signed.get(path.name) if isinstance(signed, Mapping) else None
    if recorded is not None and digest_of(path) != recorded:
        raise EquiregError(f"{path}: was changed after it was written: made_by.json has another digest. {remedy}")
