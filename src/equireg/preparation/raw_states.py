"""What the raw files of each case were like, so that a change under what was prepared or adopted is told.

raw.json    case to digests of its scan and its mask in the raw folder as they were under its adopted mask, of that
            mask, and of the scan as it was prepared
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.digests import digest_of
from equireg.folders.schema import SchemaError, strict
from equireg.layouts import RawCase

log = logging.getLogger("equireg")

_STATES = "raw.json"
_BLOCK, _BLOCKS = 2**14, 16
"""Bytes that are read at a time, and how often in a large file: scans are large, and told apart by parts of them."""
_FILES = 8
"""Files of a scan, such as the slices of a DICOM series, that are read; of others the size counts."""
_SHOWN = 5


@dataclass(frozen=True)
class _State:
    scan: str
    mask: str | None
    adopted: str | None
    prepared: str | None = None
    """Of the scan as it was prepared, its files in any order; None where an earlier version prepared it."""


def tell_changed(out: Path, cases: Iterable[RawCase], adopted: Mapping[str, str]) -> None:
    """Warn of scans and masks of the raw folder that changed since a mask was adopted; keep how all are now.

    A change is told again until another mask of the case is adopted.

    Args:
        out: the prepared folder.
        cases: as the raw folder has them.
        adopted: case to the digest of its adopted mask.
    """
    earlier, states, changed = _read(out), {}, []
    for case in cases:
        try:
            files = _scan_state(case.scan_files)
            prepared = _digest(sorted(files, key=repr))
            state = _State(_digest(files), _mask_state(case), adopted.get(case.name), prepared)
        except OSError:  # whoever prepares the case says what is wrong
            continue
        before = earlier.get(case.name, state)
        if state.adopted is not None and before.adopted in (None, state.adopted):
            kinds = [kind for kind in ("scan", "mask") if getattr(state, kind) != getattr(before, kind)]
            changed += [f"{case.name} ({' and '.join(kinds)})"] if kinds else []
            state = replace(before, adopted=state.adopted, prepared=prepared)
        states[case.name] = asdict(state)
    disk.write_json(out / _STATES, states)
    if changed:
        log.warning(
            "the raw folder changed since masks were adopted: %s%s. The adopted masks count. Adopt masks of the new "
            "scans, or take these cases out of adopted/adopted.json for the masks of the raw folder to count.",
            ", ".join(changed[:_SHOWN]),
            f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "",
        )


def changed_scans(out: Path, cases: Iterable[RawCase]) -> list[str]:
    """Return the names of the cases whose scan is not the one that was prepared, as far as this was kept.

    Args:
        out: the prepared folder.
        cases: as a raw folder has them now.
    """
    kept, found = _read(out), []
    for case in cases:
        before = kept[case.name].prepared if case.name in kept else None
        with suppress(OSError):  # whoever reads the scan says what is wrong
            changed = before is not None and before != _digest(sorted(_scan_state(case.scan_files), key=repr))
            found += [case.name] * changed
    return found


def _read(out: Path) -> Mapping[str, _State]:
    """Read the states that were kept; none where there are none to be read."""
    try:
        return strict(Mapping[str, _State], disk.read_json(out / _STATES), _STATES)
    except (EquiregError, SchemaError, OSError):
        return {}


def _mask_state(case: RawCase) -> str | None:
    if case.mask is None:
        return None
    files = case.files[len(case.scan_files) :]
    return _digest([path.stat().st_size, digest_of(path)] for path in files)


def _scan_state(files: Sequence[Path]) -> list[list[object]]:
    read = set(files[:: max(1, len(files) // _FILES)])
    return [[path.stat().st_size, _sample(path) if path in read else ""] for path in files]


def _sample(path: Path) -> str:
    """Return the digest of a small file, or of blocks all over a large one."""
    size = path.stat().st_size
    if size <= _BLOCK * _BLOCKS:
        return digest_of(path)
    found = blake2b(digest_size=16)
    with path.open("rb") as file:
        for index in range(_BLOCKS):
            file.seek((size - _BLOCK) * index // (_BLOCKS - 1))
            found.update(file.read(_BLOCK))
    return found.hexdigest()


def _digest(states: Iterable[object]) -> str:
    return blake2b(repr(list(states)).encode(), digest_size=16).hexdigest()
