"""The folder of predictions that is judged: equireg's own, or any folder of label files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.config import DicomOptions
from equireg.config.dicom import ALL_SERIES
from equireg.errors import EquiregError
from equireg.folders import made_by, read_signature, source_of
from equireg.folders import predictions as predictions_folder
from equireg.folders.label_tables import read_colour_labels
from equireg.imaging.formats import EXTENSIONS
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS, Limits
from equireg.layouts.masks import mask_files


@dataclass(frozen=True)
class Predictions:
    """A folder of predictions."""

    root: Path
    files: Mapping[str, Path]
    """Case name to its label file."""
    table: LabelTable | None
    """None: the folder does not say what its label values mean."""
    signature: Mapping[str, Any]
    """``made_by.json``; empty for a folder that equireg did not make."""
    has_transformed: bool = False
    """Whether the cases were predicted under their fixed transforms too."""
    limits: Limits = LIMITS
    """What the headers of predictions, masks and scans may claim."""
    origins: Sequence[Mapping[str, Any]] = ()
    """Signatures of the folders behind predictions and reference, which say how raw folders were read."""
    options: DicomOptions = ALL_SERIES
    """How DICOM series become cases."""

    @property
    def cases(self) -> list[str]:
        """Names of all cases that were predicted, whether their files are still there or not, sorted."""
        return sorted(self.signature.get("cases") or self.files)

    def raw_folder(self) -> Path | None:
        """Return the raw folder of the scans that were predicted, or None where it is gone."""
        folder = source_of(self.root, self.signature)
        return None if folder is None else raw_source(folder)

    @property
    def is_unsigned(self) -> bool:
        """Whether another program made the folder, so that nothing says which cases it was asked for."""
        return not self.signature


def raw_source(folder: Path) -> Path | None:
    """Return a folder that is still there, or in place of a prepared one that from which it was made."""
    if made_by(folder) == "prepare":
        recorded = source_of(folder, read_signature(folder, "prepare"))
        return raw_source(recorded) if recorded is not None else None
    return folder if folder.is_dir() else None


def read_predictions(
    folder: Path,
    limits: Limits = LIMITS,
    colours: str | None = None,
    origins: Sequence[Mapping[str, Any]] = (),
    own: DicomOptions = ALL_SERIES,
) -> Predictions:
    """List a folder of predictions.

    Args:
        folder: the predictions.
        limits: what the headers of all that is read may claim.
        colours: file that says what the colours of masks mean, where the folder itself does not.
        origins: signatures of the folders behind predictions and reference, those first that read raw scans.
        own: how DICOM series become cases, where the user says so and not an earlier verb.

    Raises:
        EquiregError: if the folder is missing or unfinished, another verb made it, or it holds no label file.
    """
    folder = disk.existing_folder(folder, "predictions, a CASE.nii.gz each")
    predictions_folder.refuse_unfinished(folder)
    maker = made_by(folder)
    if maker == "prepare":
        raise EquiregError(
            f"{folder}: was made by `equireg prepare`; expected predictions first, and what they are compared with "
            "second: `equireg evaluate PREDICTIONS REFERENCE`."
        )
    signature = {} if maker is None else predictions_folder.read_facts(folder)
    files = label_files(folder)
    if not files and not signature.get("cases"):
        raise EquiregError(
            f"{folder}: holds no prediction; expected label files named by case ({', '.join(EXTENSIONS)}). "
            "Run `equireg predict` first, or name the folder that holds them."
        )
    table = predictions_folder.read_labels(folder) or (None if colours is None else read_colour_labels(Path(colours)))
    if table is not None:
        limits = replace(limits, colours=table.colour_table())
    transformed, options = predictions_folder.has_transformed(folder), DicomOptions.recorded(origins, own)
    return Predictions(folder, files, table, signature, transformed, limits, origins, options)


def label_files(folder: Path) -> dict[str, Path]:
    """Return case name to label file, of the files directly inside a folder.

    Raises:
        EquiregError: if two files are of one case.
    """
    files: dict[str, Path] = {}
    for path in mask_files(folder):
        case = predictions_folder.case_of(path.name)
        if case is None:
            continue
        if case in files:
            raise EquiregError(f"{files[case]} and {path.name}: two files of one case. Remove one of them.")
        files[case] = path
    return files
