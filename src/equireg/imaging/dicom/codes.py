"""Codes (SNOMED CT) that say in a DICOM segmentation what its segments show."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg.imaging.labels import LabelTable
from equireg.imaging.row_files import RowFile

_EXPECTED = "expected rows of name, code, meaning and category, such as liver,10200004,Liver,anatomical"


@dataclass(frozen=True)
class Code:
    """One concept of a coding scheme."""

    value: str
    meaning: str
    scheme: str = "SCT"


@dataclass(frozen=True)
class SegmentCode:
    """What a segment shows."""

    category: Code
    type: Code


CATEGORIES = {
    "anatomical": Code("91723000", "Anatomical Structure"),
    "abnormal": Code("49755003", "Morphologically Abnormal Structure"),
    "tissue": Code("85756007", "Tissue"),
}
"""Word in a file of codes to the category that it stands for."""
UNKNOWN = SegmentCode(CATEGORIES["tissue"], CATEGORIES["tissue"])
"""For a name that says nothing: true of everything, and no more."""

_ABNORMAL = {
    **dict.fromkeys(
        ("tumour", "tumor", "neoplasm", "cancer", "carcinoma", "glioma", "gtv"), Code("108369006", "Neoplasm")
    ),
    **dict.fromkeys(("lesion", "lesions"), Code("52988006", "Lesion")),
    **dict.fromkeys(("edema", "oedema"), Code("79654002", "Edema")),
    "necrosis": Code("6574001", "Necrosis"),
    **dict.fromkeys(("cyst", "cysts"), Code("367643001", "Cyst")),
    **dict.fromkeys(("hemorrhage", "haemorrhage", "bleeding"), Code("50960005", "Hemorrhage")),
    **dict.fromkeys(("nodule", "nodules"), Code("27925004", "Nodule")),
    "mass": Code("4147007", "Mass"),
}
_ANATOMICAL = {
    "left ventricle": Code("87878005", "Left ventricle"),
    "right ventricle": Code("53085002", "Right ventricle"),
    "left atrium": Code("82471001", "Left atrium"),
    "right atrium": Code("73829009", "Right atrium"),
    "portal vein": Code("32764006", "Portal vein"),
    "inferior vena cava": Code("64131007", "Inferior vena cava"),
    "spinal cord": Code("2748008", "Spinal cord"),
    "brain stem": Code("119238007", "Brain Stem"),
    "small intestine": Code("30315005", "Small intestine"),
    "optic nerve": Code("18234004", "Optic nerve"),
    "adrenal": Code("23451007", "Adrenal gland"),
    "aorta": Code("15825003", "Aorta"),
    "bladder": Code("89837001", "Bladder"),
    "bone": Code("272673000", "Bone"),
    "brain": Code("12738006", "Brain"),
    "breast": Code("76752008", "Breast"),
    "cerebellum": Code("113305005", "Cerebellum"),
    "colon": Code("71854001", "Colon"),
    "duodenum": Code("38848004", "Duodenum"),
    "esophagus": Code("32849002", "Esophagus"),
    "femur": Code("71341001", "Femur"),
    "gallbladder": Code("28231008", "Gallbladder"),
    "heart": Code("80891009", "Heart"),
    "hippocampus": Code("5366008", "Hippocampus"),
    "kidney": Code("64033007", "Kidney"),
    "liver": Code("10200004", "Liver"),
    "lung": Code("39607008", "Lung"),
    "pancreas": Code("15776009", "Pancreas"),
    "prostate": Code("41216001", "Prostate"),
    "rectum": Code("34402009", "Rectum"),
    "rib": Code("113197003", "Rib"),
    "spleen": Code("78961009", "Spleen"),
    "stomach": Code("69695003", "Stomach"),
    "thyroid": Code("69748006", "Thyroid"),
    "trachea": Code("44567001", "Trachea"),
    "uterus": Code("35039007", "Uterus"),
    "vertebra": Code("51282000", "Vertebra"),
}
_OTHER_WORDS = {
    "oesophagus": "esophagus",
    "kidneys": "kidney",
    "lungs": "lung",
    "vertebrae": "vertebra",
    "femoral": "femur",
    "ribs": "rib",
    "bones": "bone",
    "brainstem": "brain stem",
    "postcava": "inferior vena cava",
}
_WORD = re.compile(r"[a-z]+")


def code_of(name: str) -> SegmentCode:
    """Return the code of a label by the common words in its name; ``UNKNOWN`` where there is none.

    What is abnormal counts more than where it is: ``liver tumour`` is a neoplasm.
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # leftKidney
    words = [_OTHER_WORDS.get(str(word), str(word)) for word in _WORD.findall(split.lower())]
    abnormal = next((_ABNORMAL[word] for word in words if word in _ABNORMAL), None)
    if abnormal is not None:
        return SegmentCode(CATEGORIES["abnormal"], abnormal)
    text = f" {' '.join(words)} "
    found = next((code for words, code in _ANATOMICAL.items() if f" {words} " in text), None)
    return UNKNOWN if found is None else SegmentCode(CATEGORIES["anatomical"], found)


def codes_of(labels: LabelTable, file: Path | str | None = None) -> dict[str, SegmentCode]:
    """Return the code of each label but the background.

    Args:
        labels: of the data set.
        file: CSV with the columns name, code, meaning, category and scheme, or the same rows as JSON; labels that it
            does not name keep the code of the words in their name.

    Raises:
        EquiregError: if the file cannot be read, or names a label that there is none of.
    """
    found = {name: code_of(name) for name in labels.names[1:]}
    return found if file is None else found | _read(Path(file), labels.names[1:])


def _read(path: Path, names: Sequence[str]) -> dict[str, SegmentCode]:
    def made(rows: list[dict[str, str]]) -> dict[str, SegmentCode]:
        return dict(_coded(row, number, names) for number, row in enumerate(rows, start=1))

    return RowFile("codes", "--codes", _EXPECTED, _json_rows).read(path, made)


def _json_rows(content: Any) -> list[dict[str, str]]:
    if isinstance(content, dict):
        content = [{"name": name, **entry} if isinstance(entry, dict) else entry for name, entry in content.items()]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise ValueError("it is no list of rows")
    return [
        {str(key).lower(): str(value).strip() for key, value in row.items() if value is not None} for row in content
    ]


def _coded(row: Mapping[str, str], number: int, names: Sequence[str]) -> tuple[str, SegmentCode]:
    name, value, meaning = (row.get(key, "") for key in ("name", "code", "meaning"))
    scheme, category = row.get("scheme") or "SCT", (row.get("category") or "anatomical").lower()
    if name not in names:
        raise ValueError(f"row {number} names the label {name!r}, and the labels are {', '.join(names)}")
    if not value or len(value) > 16 or not meaning or len(meaning) > 64 or not meaning.isprintable():
        raise ValueError(f"row {number} has no code of up to 16 characters and meaning of up to 64")
    if scheme == "SCT" and not value.isdigit():
        raise ValueError(f"row {number} has the code {value!r}, and those of SNOMED CT are numbers")
    if category not in CATEGORIES:
        raise ValueError(f"row {number} has the category {category!r}, not one of {', '.join(CATEGORIES)}")
    return name, SegmentCode(CATEGORIES[category], Code(value, meaning, scheme))
