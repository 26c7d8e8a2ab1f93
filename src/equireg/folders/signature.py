"""`made_by.json`, the signature of a finished folder, and the mark of an unfinished one."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from equireg._version import __version__
from equireg.disk import existing_folder, read_json, write_json
from equireg.errors import EquiregError
from equireg.folders import origin
from equireg.folders.digests import DIGESTS, SEAL, digest_of, seal_of
from equireg.folders.schema import SchemaError, strict

FORMAT_VERSION = 1
"""Version of every folder's layout; raised when an older reader would misread a newer folder."""

SIGNATURE = "made_by.json"
UNFINISHED = "underway.json"
"""Marks a folder that a verb has begun and not finished: the verb may continue it, and nothing may read it."""
EQUIVARIANCE = "equivariance"
"""Where a folder of predictions keeps those of transformed scans."""

SAME_PATIENT = "same_patient"
"""Fact of an evaluation: the cases of each patient who has several."""
SCANS = "scans"
"""Fact of predictions: case to the digest of the raw scan behind it, where that is known."""
LEARNT_CASES = "learnt_cases"
"""Fact of predictions and of their evaluation: the cases that the model learnt from with their masks, where it did."""

_KINDS: Mapping[str, Any] = {
    "verb": str,
    "config": Mapping[str, Any],
    "seed": int | None,
    "versions": Mapping[str, str],
    "git_commit": str | None,
    origin.SOURCE: str | None,
    origin.WAY: str | None,
    "seconds": float | None,
    SAME_PATIENT: tuple[tuple[str, ...], ...],
    SCANS: Mapping[str, str],
    LEARNT_CASES: tuple[str, ...],
}
"""What the values of a signature are, where they are there."""
_LIBRARIES = ("torch", "monai", "lightning", "numpy", "nibabel", "blosc2")


def sign(
    folder: Path,
    verb: str,
    config: Mapping[str, Any],
    *,
    seed: int | None = None,
    source: Path | str | None = None,
    **facts: Any,
) -> None:
    """Write ``made_by.json``, the mark by which the next verb knows a folder as whole.

    Args:
        folder: the folder to sign.
        verb: the verb that made it, such as ``"prepare"``.
        config: the verb's configuration, in plain values; paths in it, and in ``facts`` that are texts or
            mappings, are replaced by the names of their files, unless it has ``record_paths``.
        seed: the seed of its random numbers, if it used any.
        source: the folder that it was made from.
        facts: further plain values that the next verb wants to read.
    """
    with_paths = bool(config.get("record_paths"))
    shown = (lambda value: value) if with_paths else origin.names_only
    way = origin.way_to(folder, source) if not with_paths or source is None else str(Path(source).absolute())
    versions = {"equireg": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    write_content(
        folder,
        {
            "verb": verb,
            "format_version": FORMAT_VERSION,
            "config": shown(dict(config)),
            "seed": seed,
            "versions": versions,
            "git_commit": _git_commit(),
            origin.SOURCE: None if source is None else origin.name_of(source),
            origin.WAY: way,
            **{name: shown(fact) if isinstance(fact, str | Mapping) else fact for name, fact in facts.items()},
        },
    )


def read_signature(folder: Path | str, verb: str) -> dict[str, Any]:
    """Read ``made_by.json`` of a folder that ``verb`` must have made.

    Raises:
        EquiregError: if the folder is missing or unsigned, another verb made it, or its format is another.
    """
    folder = existing_folder(folder, f"the output of `equireg {verb}`")
    if not (folder / SIGNATURE).exists():
        raise EquiregError(
            f"{folder}: has no {SIGNATURE}, so it is not the finished output of `equireg {verb}`. Run that verb first."
        )
    signature = read_content(folder)
    found = signature.get("verb")
    if found != verb:
        raise EquiregError(f"{folder}: was made by `equireg {found}`; expected the output of `equireg {verb}`.")
    check_format(folder, signature.get("format_version"), verb)
    if not _is_of_first(signature) and seal_of(_without_seal(signature)) != signature.get(SEAL):
        raise EquiregError(
            f"{folder / SIGNATURE}: is damaged: its values are not those that were written. Restore it, or make the "
            "folder again."
        )
    return signature


def write_content(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``made_by.json``, with a digest of its values."""
    plain = _without_seal(content)
    write_json(folder / SIGNATURE, {**plain, SEAL: seal_of(plain)})


def _is_of_first(signature: Mapping[str, Any]) -> bool:
    """Whether a version wrote it that sealed nothing yet."""
    return SEAL not in signature and str((signature.get("versions") or {}).get("equireg")).startswith("0.1.")


def _without_seal(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != SEAL}


def read_content(folder: Path) -> dict[str, Any]:
    """Read ``made_by.json`` of a folder, whichever verb made it.

    Raises:
        EquiregError: if the file is damaged.
    """
    path = folder / SIGNATURE
    content = read_json(path)
    try:
        for key, value in strict(Mapping[str, Any], content, "its content").items():
            strict(_KINDS.get(key, Any), value, key)
    except SchemaError as error:
        raise EquiregError(f"{path}: is damaged ({error}). Restore it, or make the folder again.") from error
    return content


def lineage(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the signature of a folder and of those it was made from, as far as they are still there and whole."""
    seen: set[Path] = set()
    while folder not in seen and (folder / SIGNATURE).is_file():
        seen.add(folder)
        try:
            signature = read_content(folder)
        except EquiregError:  # whoever reads more of the folder says so
            return
        yield signature
        folder = origin.source_of(folder, signature) or folder


def check_digest(path: Path, remedy: str) -> None:
    """Refuse a file that is not what its folder was signed with; folders of earlier versions have no digests.

    Raises:
        EquiregError: names the file.
    """
    signed = read_content(path.parent).get(DIGESTS) if is_signed(path.parent) else None
    recorded = signed.get(path.name) if isinstance(signed, Mapping) else None
    if recorded is not None and digest_of(path) != recorded:
        raise EquiregError(f"{path}: was changed after it was written: made_by.json has another digest. {remedy}")


def check_format(path: Path, found: Any, verb: str) -> None:
    """Refuse a folder or file of another format version.

    Args:
        path: the folder or file.
        found: the version that it says.
        verb: the verb that makes such a folder.

    Raises:
        EquiregError: if ``found`` is not the version that this equireg reads; names the command to run.
    """
    if found == FORMAT_VERSION:
        return
    is_newer = isinstance(found, int) and found > FORMAT_VERSION
    remedy = "Install the equireg that made it (`pip install --upgrade equireg`), or make" if is_newer else "Make"
    raise EquiregError(
        f"{path}: has format version {str(found)[:40]}; this equireg {__version__} reads version {FORMAT_VERSION}. "
        f"{remedy} it again with this version, by the same `equireg {verb}`."
    )


def is_signed(folder: Path) -> bool:
    """Whether a verb of equireg made a folder, and ended well."""
    return (folder / SIGNATURE).is_file()


def made_by(folder: Path | str) -> str | None:
    """Name the verb that made a folder, or None where it is unsigned."""
    path = Path(folder) / SIGNATURE
    return read_content(path.parent).get("verb") if path.is_file() else None


def _git_commit() -> str | None:
    """Return the commit of the checkout that equireg runs from, or None outside one."""
    here = Path(__file__).resolve().parents[1]
    try:
        command = ["git", "-C", str(here), "rev-parse", "--show-toplevel", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    top, commit = done.stdout.split("\n")[:2]
    # An environment inside somebody else's repository must not sign with that one's commit.
    return commit if (Path(top) / "src" / "equireg").resolve() == here else None
