"""A layout: NAME.scan.nii.gz beside NAME.truth.nii.gz."""

from pathlib import Path

from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError

_SCAN, _TRUTH = ".scan.nii.gz", ".truth.nii.gz"


def find(root: Path) -> FoundSet:
    """Find the scans of a folder.

    Raises:
        LayoutMismatchError: if it holds none.
    """
    scans = sorted(root.glob(f"*{_SCAN}"))
    if not scans:
        raise LayoutMismatchError(f"{root}: has no NAME{_SCAN}.")
    cases = []
    for scan in scans:
        name = scan.name.removesuffix(_SCAN)
        truth = scan.with_name(name + _TRUTH)
        cases.append(FoundCase(name, {STACKED: scan}, truth if truth.exists() else None, False))
    return FoundSet("scan_truth", ("scan",), "mri", None, tuple(cases))
