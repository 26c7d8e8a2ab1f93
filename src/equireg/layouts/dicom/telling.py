"""Whether a path tells who a patient is: folders of DICOM are often named after the patient."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from equireg.imaging.dicom.heads import read_dataset
from equireg.layouts.base import RawCase

_SHORTEST = 3
"""Letters or digits from which on a part of a name is looked for."""


def names_a_patient(path: Path, cases: Iterable[RawCase]) -> bool:
    """Whether a part of a path holds a name, an ID or a birth date from the headers of the cases' DICOM files.

    Args:
        path: such as the raw folder.
        cases: scans below it; those that are no DICOM are passed over.
    """
    way = " ".join(_plain(part) for part in Path(os.path.abspath(path)).parts)
    return any(word in way for case in cases if case.series for word in _words(case.images[0]))


def _words(file: Path) -> Iterator[str]:
    """Yield what the header of a file says of its patient, in lower case without separators."""
    try:
        header = read_dataset(file)
        found = [str(header.get(name) or "") for name in ("PatientID", "PatientBirthDate")]
        parts = re.split(r"[\^=\s,]+", str(header.get("PatientName") or ""))
    except Exception:  # whoever reads the scan says so
        return
    yield from (word for text in (*found, *parts) if len(word := _plain(text)) >= _SHORTEST)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())
