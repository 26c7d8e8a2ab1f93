"""The names of a prepared folder's files.

manifest.json     the facts of the data set and a record of every case
made_by.json      the signature
raw.json          what the raw files were like (``preparation/raw_states.py``)
splits.json       who trained, validated and tested so far (``preparation/known_splits.py``)
adopted/          masks that were taken in later (``adopted.py``)
examples/         CASE.npz, one case after each step, for the report
cases/CASE/       a folder for each case:
    image.b2nd        working array of the scan
    label.b2nd        class indices, where the case has a mask
    foreground.npz    some places of each class, where the case has a mask
    reference.nii.gz  the mask in the scan's own geometry, where the case has a mask
    equivariance.npy  seeds of the fixed transforms, one a slice
    case.json         the record, with what the case was made from
"""

from pathlib import Path

from equireg.errors import EquiregError

MANIFEST = "manifest.json"
EXAMPLES = "examples"
CASES = "cases"
IMAGE, LABEL = "image.b2nd", "label.b2nd"
PLACES = "foreground.npz"
REFERENCE = "reference.nii.gz"
SEEDS = "equivariance.npy"
RECORD = "case.json"
MANIFEST_DIGEST = "manifest_digest"
"""Fact in the signature: the digest of the manifest's bytes."""
NEXT_DIGEST = "next_manifest_digest"
"""The same of a manifest that is about to take its place: whichever of the two a stop leaves is whole."""
LONGEST = 200
"""Longest name of a case in bytes: file systems allow 255, and hidden folders add to it."""


def case_folder(root: Path, name: str) -> Path:
    """Return the folder of a case, which always lies inside ``root / CASES``.

    Raises:
        EquiregError: if the name is not fit for a folder.
    """
    bad = not name or name.startswith(".") or any(letter in "/\\" or ord(letter) < 32 for letter in name)
    if bad or len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        raise EquiregError(
            f"the case name {name[:80]!r} is not fit for a folder; expected at most {LONGEST} bytes, no slash, no "
            "control character and no dot in front. Rename the case."
        )
    return root / CASES / name
