"""What the raw files of each case were like, so that what was made from them is not taken for that of others.

raw.json    by which scheme the digests were made, and case to those of its scan and its mask in the raw folder as they
            were prepared last, and of the adopted mask that lies over them, with what they were like when that came
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from equireg import disk
from equireg.errors import EquiregError, some_of
from equireg.folders.digests import digest_of
from equireg.folders.prepared.adopted import adopted_file
from equireg.folders.schema import SchemaError, strict
from equireg.imaging.formats import extension_of
from equireg.layouts import RawCase

log = logging.getLogger("equireg")

_STATES = "raw.json"
_SCHEME = 2
"""Counts up when digests are made in another way: those of another scheme say nothing."""
_BLOCK, _BLOCKS = 2**14, 16
"""Bytes that are read at a time, and how often in a large file: scans are large, and told apart by parts of them."""
_FILES = 8
"""Files of a channel, such as the slices of a DICOM series, that are read; of others the size counts."""
_GZIP_END = 8


@dataclass(frozen=True)
class RawState:
    """Digests of the raw files of a case."""

    scan: str
    mask: str | None

    @classmethod
    def of(cls, case: RawCase) -> "RawState":
        """Read what the files of a case are like.

        Raises:
            OSError: if one cannot be read.
        """
        return cls(_scan_state(case), mask_state(case))

    def differs(self, other: "RawState") -> list[str]:
        """Return which of scan and mask are not those of another state."""
        found = {"scan": is_other(self.scan, other.scan), "mask": self.mask != other.mask}
        return [kind for kind, differs in found.items() if differs]


@dataclass(frozen=True)
class _State:
    scan: str
    mask: str | None
    adopted: str | None
    under: RawState | None
    """What the files were like when the adopted mask came, where they changed since."""

    def below(self, adopted: str | None) -> RawState:
        """Return what the files were like when a mask was adopted: as prepared last, if that is a later mask."""
        return self.under if self.under is not None and self.adopted == adopted else RawState(self.scan, self.mask)


@dataclass(frozen=True)
class _States:
    scheme: int
    cases: Mapping[str, _State]


def tell_changed(out: Path, cases: Iterable[RawCase], adopted: Mapping[str, str]) -> None:
    """Warn of scans and masks of the raw folder that changed or went since a mask was adopted; keep how all are now.

    A change is told again until another mask of the case is adopted.

    Args:
        out: the prepared folder.
        cases: as the raw folder has them.
        adopted: case to the digest of its adopted mask.
    """
    earlier, now, changed, listed = _read(out), {}, dict[str, list[str]](), set[str]()
    for case in cases:
        listed.add(case.name)
        try:
            raw = RawState.of(case)
        except OSError:  # whoever prepares the case says what is wrong
            continue
        mask, before = adopted.get(case.name), earlier.get(case.name)
        under = raw if mask is None or before is None else before.below(mask)
        kinds = raw.differs(under)
        if "mask" in kinds and _is_adopted(case, out):
            kinds.remove("mask")
        changed |= {case.name: kinds} if kinds else {}
        now[case.name] = _State(raw.scan, raw.mask, mask, under if kinds else None)
    # What an adopted mask was drawn on counts also when a scan of its name is there again.
    left = {
        case: replace(before, adopted=adopted[case], under=before.below(adopted[case]))
        for case, before in earlier.items()
        if case in adopted and case not in now
    }
    disk.write_json(out / _STATES, asdict(_States(_SCHEME, now | left)))
    if changed:
        log.warning(
            "the raw folder changed since masks were adopted: %s. The adopted masks count. %sake these cases out of "
            "adopted/adopted.json for the masks of the raw folder to count.",
            some_of([f"{case} ({' and '.join(kinds)})" for case, kinds in changed.items()]),
            "Adopt masks of the new scans, or t" if any("scan" in kinds for kinds in changed.values()) else "T",
        )
    alone = [case for case in adopted if case not in listed]
    if alone:
        _tell_alone(alone, left, now)


def changes_since(out: Path, cases: Iterable[RawCase]) -> list[str]:
    """Return which cases of a raw folder are not as they were prepared, each with what it is that differs.

    Args:
        out: the prepared folder.
        cases: as the raw folder has them; those that it had and has no more count too.
    """
    earlier, names, found = _read(out), set[str](), []
    for case in cases:
        names.add(case.name)
        before = earlier.get(case.name)
        if before is None:
            found.append(f"{case.name} (new)")
            continue
        with suppress(OSError):
            kinds = RawState.of(case).differs(RawState(before.scan, before.mask))
            found += [f"{case.name} ({' and '.join(kinds)})"] if kinds else []
    return [*found, *(f"{case} (gone)" for case in earlier if case not in names)] if earlier else []


def changed_scans(out: Path, cases: Iterable[RawCase]) -> list[str]:
    """Return the names of the cases whose scan is not the one that was prepared, as far as this was kept.

    Args:
        out: the prepared folder.
        cases: as a raw folder has them now.
    """
    return others_than(prepared_scans(out), cases)


def others_than(kept: Mapping[str, str], cases: Iterable[RawCase]) -> list[str]:
    """Return the names of the cases whose scan is not the one that is expected, as far as that is known.

    Args:
        kept: case to the digest of its scan, as ``prepared_scans`` returns it.
        cases: as a raw folder has them now.
    """
    return [case for case, scan in raw_scans(cases).items() if is_other(scan, kept.get(case, scan))]


def is_other(scan: str, kept: str, *, some_channels: bool = False) -> bool:
    """Return whether two digests are of different scans; of files of other kinds, which may hold the same, none is.

    Args:
        scan: the digest of a scan.
        kept: that which it should be.
        some_channels: whether some channels of the other one are enough.
    """
    ours, theirs = scan.split("-"), kept.split("-")
    kinds, expected = ({state.partition(":")[2] for state in several} for several in (ours, theirs))
    if some_channels:
        return kinds <= expected and not set(ours) <= set(theirs)
    return kinds == expected and sorted(ours) != sorted(theirs)


def prepared_scans(out: Path) -> dict[str, str]:
    """Return case to the digest of its raw scan as a folder was prepared from it; empty where none was kept."""
    return {case: state.scan for case, state in _read(out).items()}


def raw_scans(cases: Iterable[RawCase]) -> dict[str, str]:
    """Return case to the digest of its scan; those that cannot be read are left out."""
    found = {}
    for case in cases:
        with suppress(OSError):
            found[case.name] = _scan_state(case)
    return found


def are_of(out: Path, cases: Iterable[RawCase]) -> bool:
    """Return whether most scans that a prepared folder was made from are in a raw folder, by the same names.

    Args:
        out: the prepared folder.
        cases: as the raw folder has them.
    """
    earlier = prepared_scans(out)
    now = raw_scans(case for case in cases if case.name in earlier)
    return 2 * sum(earlier[case] == scan for case, scan in now.items()) > len(earlier)


def _is_adopted(case: RawCase, out: Path) -> bool:
    """Return whether the mask of a raw case has the voxels of its adopted one, as where it was saved there too."""
    with suppress(EquiregError, OSError, ValueError):
        geometry = case.read_geometry()
        adopted = case.with_mask(adopted_file(out, case.name))
        return np.array_equal(case.read_label(geometry), adopted.read_label(geometry))
    return False


def _tell_alone(alone: Sequence[str], left: Mapping[str, _State], now: Mapping[str, _State]) -> None:
    """Warn of adopted masks without a scan, and name the case that has the scan now."""
    new = {state.scan: case for case, state in now.items() if state.adopted is None}
    names = {case: new.get(state.below(state.adopted).scan) for case, state in left.items()}
    log.warning(
        "adopted masks have no scan of their name in the raw folder, and count for no case: %s. Give these scans their "
        "earlier names, or adopt the masks (adopted/CASE.nii.gz) under the names of their scans.",
        some_of([case if names.get(case) is None else f"{case} (its scan is {names[case]} now)" for case in alone]),
    )


def _read(out: Path) -> Mapping[str, _State]:
    """Read the states that were kept; none where there are none to be read."""
    try:
        found = strict(_States, disk.read_json(out / _STATES), _STATES)
    except (EquiregError, SchemaError, OSError):
        return {}
    return found.cases if found.scheme == _SCHEME else {}


def mask_state(case: RawCase) -> str | None:
    """Return the digest of a mask: of its files."""
    if case.mask is None:
        return None
    files = case.files[len(case.scan_files) :]
    return _digest([path.stat().st_size, digest_of(path)] for path in files)


def channel_states(case: RawCase, *, as_packed: bool = False) -> list[str]:
    """Return the digest of each channel of a scan, of the sizes of its files and of parts of them, with their kind.

    Args:
        case: the case.
        as_packed: tell files of one content apart where gzip packed them otherwise, or they are damaged.
    """
    series = [f"{_state(one.files)}:dicom{'s' * (len(one.files) > 1)}" for one in case.series]
    return series or [f"{_state([path], as_packed)}:{extension_of(path) or ''}" for path in case.scan_files]


def _scan_state(case: RawCase) -> str:
    """Return the digest of a scan, whose channels another verb may have in another order."""
    return "-".join(sorted(channel_states(case)))


def _state(files: Sequence[Path], as_packed: bool = False) -> str:
    read = set(files[:: max(1, len(files) // _FILES)])
    return _digest(_sample(path, as_packed) if path in read else [path.stat().st_size] for path in files)


def _sample(path: Path, as_packed: bool) -> list[object]:
    """Return what tells a file: for gzip the checksum and length of what is in it, unless its packing counts."""
    size = path.stat().st_size
    if not as_packed and path.suffix.lower() == ".gz" and size > _GZIP_END:
        with path.open("rb") as file:
            file.seek(size - _GZIP_END)
            end = file.read()
        if int.from_bytes(end[4:], "little") > size:  # else it has several parts, and this is the end of the last
            return [end.hex()]
    return [size, _blocks(path, size)]


def _blocks(path: Path, size: int) -> str:
    """Return the digest of a small file, or of blocks all over a large one."""
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
