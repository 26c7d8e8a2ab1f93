"""Finding the scans that are to be predicted, in whichever kind of folder they are, and reading one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from equireg import folders
from equireg.batches.folds import splits_in
from equireg.config import DicomOptions, PredictConfig
from equireg.errors import EquiregError
from equireg.folders.folds import FoldCases
from equireg.folders.prepared import MANIFEST, PreparedSet
from equireg.imaging.alignment import one_line_a_remark
from equireg.imaging.limits import Limits
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase, discover_inputs
from equireg.layouts.base import with_limits
from equireg.model import ModelFacts
from equireg.prediction.intensities import warn_of
from equireg.preparation.case import WorkingScan, check_resampled, working_scan
from equireg.preparation.raw_states import prepared_scans, raw_scans
from equireg.processes.workers import guarded

_PART_BYTES = 2**16
"""Bytes at the beginning and at the end of a file that its digest is of."""
_MANY = 8
"""Files of a scan from which on they are small: a slice each."""
_FEW_BYTES = 2**12
"""The same bytes for each of many files."""
_SAME_SPACING = 1e-4
"""Relative difference of spacings that counts as none: headers of 32 bits leave less."""


@dataclass(frozen=True)
class RawScan:
    """A scan of a raw folder, or a loose file."""

    case: RawCase
    facts: ModelFacts

    def read(self) -> WorkingScan:
        """Read the scan and prepare it as the model's training scans were; warn of what the user should know."""
        image, geometry = self.case.read_image()
        plan = self.facts.case_plan()
        check_resampled(self.case.images[0], geometry, len(image), plan, self.case.limits.max_voxels)
        scan = working_scan(image, geometry, plan)
        warn_of(scan, self.facts, str(self.case.images[0]))
        return scan

    def geometry(self) -> Geometry:
        """Return from a header where its voxels lie."""
        if self.case.problem is not None:
            raise EquiregError(self.case.problem)
        return self.case.read_geometry()

    def state(self) -> tuple[list[Path], Any]:
        """Return the files that the scan is read from, and what else decides what is read."""
        return list(self.case.scan_files), self.case.picks


@dataclass(frozen=True)
class PreparedScan:
    """A case of a prepared folder."""

    root: Path
    name: str
    verify: bool = True

    def read(self) -> WorkingScan:
        """Read the arrays, which are on disk in 16 bits."""
        data = self._data()
        record = data.by_name[self.name]
        image = np.asarray(data.image(self.name)[:], dtype=np.float32)
        return WorkingScan(image, record.background, record.working_grid())

    def geometry(self) -> Geometry:
        """Return where its voxels lie, in the raw scan's own grid."""
        return self._data().by_name[self.name].working_grid().native

    def state(self) -> tuple[list[Path], Any]:
        """Return the files that the scan is read from, and what else decides what is read."""
        data = self._data()
        return sorted(data.folder(self.name).glob("image*")), vars(data.by_name[self.name])

    def _data(self) -> PreparedSet:
        return _opened(self.root, (self.root / MANIFEST).stat().st_mtime_ns, self.verify)


@lru_cache(maxsize=1)
def _opened(root: Path, _modified_ns: int, verify: bool) -> PreparedSet:
    """Open a prepared folder once for all its cases; a long manifest takes a while to read."""
    return PreparedSet(root, verify)


@dataclass(frozen=True)
class InputCase:
    """A scan that is to be predicted."""

    name: str
    scan: RawScan | PreparedScan
    seeds: Sequence[int] | None = None
    """Seeds of its fixed transforms, one a slice, where they are asked for."""

    def read(self) -> WorkingScan:
        """Read the scan as the network sees it."""
        return self.scan.read()

    def geometry(self) -> Geometry:
        """Return where the scan's own voxels lie.

        Raises:
            EquiregError: if it cannot be read.
        """
        return self.scan.geometry()

    def digest(self) -> str:
        """Return a digest that changes with the scan: of its files' names, sizes, times, beginnings and ends.

        The end of a gzip file holds the checksum of all that is in it.
        """
        files, more = self.scan.state()
        part = _PART_BYTES if len(files) < _MANY else _FEW_BYTES
        state = [*(_file_state(path, part) for path in files), more, self.seeds]
        return blake2b(repr(state).encode(), digest_size=16).hexdigest()


def _file_state(path: Path, part: int) -> tuple[object, ...]:
    try:
        stat = path.stat()
        with path.open("rb") as file:
            begin = file.read(part)
            file.seek(max(0, stat.st_size - part))
            return path.name, stat.st_size, stat.st_mtime_ns, blake2b(begin + file.read(part)).hexdigest()
    except OSError as error:  # it is reported when the scan is read
        return path.name, type(error).__name__


def raw_digests(cases: Sequence[InputCase]) -> dict[str, str]:
    """Return case to the digest of the raw scan that it is, or that it was prepared from, where that is known."""
    found = raw_scans(case.scan.case for case in cases if isinstance(case.scan, RawScan))
    for root in {case.scan.root for case in cases if isinstance(case.scan, PreparedScan)}:
        found |= prepared_scans(root)
    return {case.name: found[case.name] for case in cases if case.name in found}


def find_cases(scans: Path, facts: ModelFacts, config: PredictConfig, fold: FoldCases | None = None) -> list[InputCase]:
    """Find the scans of a raw folder, loose files or a prepared folder, in order of their names.

    Args:
        scans: the folder or file.
        facts: what the model expects of a scan.
        config: the options.
        fold: the cases of the fold that the run trained and validated on, where it was one.

    Raises:
        EquiregError: if they do not fit the model or the options.
    """
    if scans.is_dir() and folders.made_by(scans) == "prepare":
        return _prepared_cases(_in_fold(PreparedSet(scans, config.verify), fold, config), facts, config)
    if config.split is not None:
        raise EquiregError(f"{scans}: --split {config.split} needs a prepared folder. Leave it out for raw scans.")
    if config.equivariance:
        raise EquiregError(
            f"{scans}: --equivariance needs a prepared folder, which keeps the fixed transforms of its cases. Run "
            "`equireg prepare` on the scans first, or leave it out."
        )
    found = discover_inputs(scans, facts.channels, follow_links=config.follow_links, options=DicomOptions.of(config))
    limits = Limits.of(config, {"config": facts.pictures})  # pixels are as large as those that were trained on
    cases = with_limits(found, limits)
    with one_line_a_remark():
        for case in cases:
            if case.problem is None:  # whoever reads its voxels says what else is wrong
                found = guarded(case.read_geometry)
                if not isinstance(found, EquiregError):
                    guarded(case.compare_headers, found)
    return [InputCase(case.name, RawScan(case, facts)) for case in cases]


def _in_fold(data: PreparedSet, fold: FoldCases | None, config: PredictConfig) -> PreparedSet:
    """Return the folder with the splits of a fold, where its cases that train or validate are asked for."""
    if fold is None or config.split in (None, "test"):
        return data
    gone = sorted({*fold.train, *fold.val} - data.by_name.keys())
    if gone:
        raise EquiregError(
            f"{data.root}: does not hold {gone[0]}, a case of the fold that the run was trained in, so it has no "
            f"--split {config.split} of that fold. Give the prepared folder of the run, or leave out --split."
        )
    return data.split_as(splits_in(fold, data.manifest.cases))


def _are_alike(ours_mm: Sequence[float] | None, theirs_mm: Sequence[float] | None) -> bool:
    """Whether spacings differ by no more than what headers of 32 bits round off, or are each scan's own in both."""
    if ours_mm is None or theirs_mm is None:
        return ours_mm is theirs_mm
    return np.allclose(ours_mm, theirs_mm, rtol=_SAME_SPACING, atol=0)


def _prepared_cases(data: PreparedSet, facts: ModelFacts, config: PredictConfig) -> list[InputCase]:
    """Take the cases of a prepared folder, all of them or one split."""
    split, manifest = config.split, data.manifest
    ours = (facts.channels, facts.axes, facts.spacing_mm, dict(facts.normalisation))
    alike = _are_alike(facts.spacing_mm, manifest.spacing_mm)
    spacing_mm = facts.spacing_mm if alike else manifest.spacing_mm
    theirs = (manifest.channels, manifest.axes, spacing_mm, dict(manifest.normalisation))
    if ours != theirs:
        raise EquiregError(
            f"{data.root}: was prepared with channels, axes, spacing and normalisation {theirs}; the run was trained "
            f"with {ours}. Prepare the raw folder with the options of the run's own, or predict from the raw folder."
        )
    names = [case.name for case in manifest.cases if split is None or case.split == split]
    if not names:
        counts = {name: sum(case.split == name for case in manifest.cases) for name in ("train", "val", "test")}
        remedy = " Train with --fold 0/5, which sets some patients with a mask aside." if split == "val" else ""
        raise EquiregError(f"{data.root}: has no case in the split {split}; it has {counts}.{remedy}")
    seeds = {name: data.equivariance_seeds(name).tolist() for name in names} if config.equivariance else {}
    return [InputCase(name, PreparedScan(data.root, name, config.verify), seeds.get(name)) for name in names]
