"""Whether a path may tell who a patient is: folders of DICOM are often named after the patient."""

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from equireg.imaging.dicom.heads import read_dataset
from equireg.layouts.base import RawCase

_SHORTEST = 3
"""Letters or digits from which on a word is looked for within others; a shorter name only as a word of its own."""


def may_name_a_patient(path: Path, cases: Iterable[RawCase]) -> bool:
    """Whether a folder of DICOM scans may be named after a patient.

    A folder of one patient's scans may be, whatever it is called: headers spell a name in another way or script, or
    were anonymised. The name of a folder with scans of several patients, and those above it, mean all of them; it is
    still looked for a name, an ID or a birth date from the headers.

    Args:
        path: such as the raw folder.
        cases: scans below it; those that are no DICOM are passed over.
    """
    found = [_Identity.read(case.images[0]) for case in cases if case.series]
    if not found:
        return False
    if len({one.number for one in found if one.number}) < 2:
        return True
    parts = Path(os.path.abspath(path)).parts
    words = {word for part in parts for word in _words(part)}
    joined = " ".join("".join(_words(part)) for part in parts)
    return any(one.names & words or any(text in joined for text in one.longer()) for one in found)


@dataclass(frozen=True)
class _Identity:
    """What a header says of its patient, in words as they compare."""

    number: str = ""
    """The PatientID."""
    born: str = ""
    names: frozenset[str] = frozenset()
    """Parts of the name, and each spelling (Latin, ideographic, phonetic) as one word, in either order.

    Empty where the name is the PatientID again, with a number: a study's name is a part of such pseudonyms (LUNG1-001).
    """

    @classmethod
    def read(cls, file: Path) -> "_Identity":
        """Read a header; nothing is known of a file that cannot be read, as whoever reads the scan says."""
        try:
            header = read_dataset(file)
            number, born, name = (
                str(header.get(key) or "") for key in ("PatientID", "PatientBirthDate", "PatientName")
            )
        except Exception:
            return cls()
        spellings = [_words(spelling) for spelling in name.split("=")]
        whole = ["".join(words) for parts in spellings for words in (parts, parts[::-1])]
        names = frozenset(word for word in (*whole, *(part for parts in spellings for part in parts)) if word)
        patient = "".join(_words(number))
        is_pseudonym = whole[0] == patient and any(map(str.isdigit, patient))
        return cls(patient, "".join(_words(born)), frozenset() if is_pseudonym else names)

    def longer(self) -> list[str]:
        return [text for text in (self.number, self.born, *self.names) if len(text) >= _SHORTEST]


def _words(text: str) -> list[str]:
    """Return the words of a text, as they compare: macOS decomposes letters with marks in names of files."""
    return [word for word in re.split(r"[\W_]+", unicodedata.normalize("NFKC", text).casefold()) if word]
