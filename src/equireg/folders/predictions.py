"""The folder of predictions: the names of its files, what is written beside them, and how both are read."""

import io
import re
import zipfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders import tables
from equireg.folders.label_tables import read_label_table
from equireg.folders.quality import DISAGREEMENT, RECORDS, Row, disagreement_file, read_quality, record_file
from equireg.folders.signature import EQUIVARIANCE, SIGNATURE, UNFINISHED, is_signed, read_signature
from equireg.imaging.formats import EXTENSIONS, composed
from equireg.imaging.labels import LabelTable

ENDING = ".nii.gz"
"""Ending of the volumes that lie beside predictions, and of predictions in NIfTI."""
ENDINGS = {"nifti": ENDING, "nrrd": ".seg.nrrd", "png": ".png"}
"""Ending of a prediction in each format; 3D Slicer opens ``.seg.nrrd`` as a segmentation."""
DICOM = "dicom"
"""Folder of predictions of DICOM scans for the archive, beside the same masks in NIfTI. These files alone name the
patient, as the standard wants it."""
PROBABILITIES = "_probabilities"
"""What the name of a file of probabilities has behind the name of its case."""
LABELS = "labels.json"
TIMES = "times.csv"
PORTAL_ZIP = "portal.zip"
FAILED = "failed.json"
"""By which a command whose scans failed knows its folder again; it holds digests, and no path."""
SUBFOLDERS = (EQUIVARIANCE, RECORDS, DISAGREEMENT, DICOM)
"""Folders beside the predictions, a file or more a case in each."""
_TIMES = ("case", "seconds")

_LONGEST = 255
"""Longest name of a file in bytes."""
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a prediction of every scan that it was made for, and none of them failed."""
    return is_signed(folder) and not (folder / FAILED).is_file()


def prediction_file(folder: Path, case: str, ending: str | None = None) -> Path:
    """Return where a case's prediction lies, directly inside the folder.

    Args:
        folder: of predictions.
        case: name of the case.
        ending: one of ``ENDINGS``; None finds the file that is there, ``CASE.nii.gz`` where none is.

    Raises:
        EquiregError: if the name of the case would leave the folder.
    """
    if ending is not None:
        return _inside(folder, case, ending)
    first = _inside(folder, case, ENDING)
    there = (path for other in dict.fromkeys(ENDINGS.values()) if (path := folder / f"{case}{other}").is_file())
    return next(there, first)


def case_of(name: str) -> str | None:
    """Return the case that a prediction's file name is of; None for another kind of file."""
    lowered = name.lower()
    endings = sorted((*ENDINGS.values(), *EXTENSIONS), key=len, reverse=True)
    return next((composed(name[: -len(ending)]) for ending in endings if lowered.endswith(ending)), None)


def dicom_file(folder: Path, case: str) -> Path:
    """Return where the prediction of a DICOM scan lies as DICOM."""
    return _inside(folder / DICOM, case, ".dcm")


def probabilities_file(folder: Path, case: str) -> Path:
    """Return where a case's probabilities lie, a volume a class."""
    return _inside(folder, case, f"{PROBABILITIES}{ENDING}")


@dataclass(frozen=True)
class Files:
    """Where one case's volumes lie that were made under its fixed transform T."""

    transformed_scan: Path
    """T x"""
    predicted_transform: Path
    """f(T x)"""
    transformed_prediction: Path
    """T f(x)"""

    @classmethod
    def of(cls, predictions: Path, case: str) -> "Files":
        """Name the files of a case in a folder of predictions."""
        return cls(*(_inside(predictions / EQUIVARIANCE, case, f"_{name}{ENDING}") for name in cls.__annotations__))


def files_of(folder: Path, case: str) -> list[Path]:
    """Return all files that a case may have in a folder of predictions."""
    moved = Files.of(folder, case)
    beside = (record_file(folder, case), disagreement_file(folder, case), dicom_file(folder, case))
    return [prediction_file(folder, case), probabilities_file(folder, case), *vars(moved).values(), *beside]


def has_transformed(folder: Path) -> bool:
    """Whether the cases of a folder were predicted under their fixed transforms too."""
    return (folder / EQUIVARIANCE).is_dir()


def is_probabilities(stem: str, stems: Container[str]) -> bool:
    """Whether a file named ``stem`` holds the probabilities of another case of the folder."""
    return stem.endswith(PROBABILITIES) and stem.removesuffix(PROBABILITIES) in stems


def read_facts(folder: Path) -> dict[str, Any]:
    """Read the signature of a finished folder of predictions, with the keys ``cases`` and ``run`` among others.

    Raises:
        EquiregError: if the folder is unfinished, is not the output of `equireg predict`, or is damaged.
    """
    refuse_unfinished(folder)
    signature = read_signature(folder, "predict")
    cases, run = signature.get("cases"), signature.get("run")
    if not isinstance(cases, list) or not all(isinstance(case, str) for case in cases) or not isinstance(run, dict):
        raise EquiregError(
            f"{folder / 'made_by.json'}: is damaged; expected the cases as a list of names, and the facts of the run. "
            "Run `equireg predict` again into a new folder."
        )
    for case in cases:
        try:
            prediction_file(folder, case)
        except EquiregError as error:
            raise EquiregError(f"{folder / SIGNATURE}: is damaged: {error}") from error
    return signature


def by_doubt(folder: Path) -> list[Row]:
    """Return the cases of a folder, the least trusted first; those of unknown quality last, by name.

    Raises:
        EquiregError: if the folder is not the output of `equireg predict`, or is damaged.
    """
    cases = read_facts(folder)["cases"]
    known = [row for row in read_quality(folder) if row.case in set(cases)]
    rest = sorted(set(cases) - {row.case for row in known})
    return known + [Row(0, case, None, False, "") for case in rest]


def refuse_unfinished(folder: Path) -> None:
    """Refuse a folder that `equireg predict` has not finished.

    Raises:
        EquiregError: if it is unfinished.
    """
    if (folder / UNFINISHED).is_file():
        raise EquiregError(f"{folder}: is not finished. Run the same `equireg predict` again: it continues from there.")


def write_labels(folder: Path, labels: LabelTable) -> None:
    """Write what the label values of the predictions mean."""
    disk.write_json(folder / LABELS, labels.as_dict())


def read_labels(folder: Path) -> LabelTable | None:
    """Read what the label values of the predictions mean; None where the folder does not say.

    Raises:
        EquiregError: if the file is damaged.
    """
    path = folder / LABELS
    if not path.exists():
        return None
    return read_label_table(path, "Restore or remove it.")


def write_times(folder: Path, seconds: Mapping[str, float]) -> None:
    """Write the seconds of each predicted case; no file where there is none."""
    if seconds:
        tables.write_table(folder / TIMES, _TIMES, [(name, f"{value:.3f}") for name, value in seconds.items()])
    else:
        (folder / TIMES).unlink(missing_ok=True)


def read_times(folder: Path) -> dict[str, float]:
    """Read the seconds of each predicted case; empty where there is no such file.

    Raises:
        EquiregError: if the file is damaged.
    """
    path, remedy = folder / TIMES, "Remove it: all is predicted again."
    if not path.is_file():
        return {}
    rows = tables.read_table(path, _TIMES, remedy)
    return {row["case"]: tables.number(path, line, "seconds", row["seconds"], remedy) for line, row in rows}


def write_portal_zip(folder: Path, cases: Sequence[str]) -> None:
    """Pack the predictions flat, as the evaluation portal of BraTS takes them; the same bytes every time."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:  # the files are compressed already
        for path in (prediction_file(folder, case) for case in cases):
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    disk.write_atomic(folder / PORTAL_ZIP, content.getvalue())


def _inside(folder: Path, case: str, ending: str) -> Path:
    """Return the path of a case's file, which must lie directly inside ``folder``, whatever the name says."""
    too_long = len(f"{case}{ending}".encode("utf-8", "surrogatepass")) > _LONGEST
    if too_long or not case or case in (".", "..") or _UNSAFE.search(case) or case.startswith("."):
        raise EquiregError(
            f"{case[:80]!r}: is no name for a prediction; expected one without a slash, a control character or a dot "
            "in front, that is not too long for a file. Rename the scan."
        )
    return folder / f"{case}{ending}"
