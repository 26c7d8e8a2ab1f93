"""Which prediction is judged by which mask, and what their label values mean."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg.disk import existing_folder, read_json
from equireg.errors import EquiregError
from equireg.folders import EQUIVARIANCE, UNDERWAY, made_by, read_signature
from equireg.imaging.formats import EXTENSIONS, extension_of
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import TOLERANCE_MM, Geometry, read_geometry
from equireg.layouts import RawDataset, discover
from equireg.layouts.dataset_json import NAME, label_table, read_description
from equireg.layouts.masks import split_mask

LABELS = "labels.json"
_MANIFEST = "manifest.json"
_PROBABILITIES = "_probabilities"
_logger = logging.getLogger("equireg")


@dataclass(frozen=True)
class Predictions:
    """A folder of predictions: equireg's own, or any folder of label files."""

    root: Path
    files: Mapping[str, Path]
    """Case name to its label file."""
    table: LabelTable | None
    """None: the folder does not say what its label values mean."""
    signature: Mapping[str, Any]
    """``made_by.json``; empty for a folder that equireg did not make."""
    has_transformed: bool = False
    """Whether the cases were predicted under their fixed transforms too."""

    @property
    def cases(self) -> list[str]:
        """Names of all cases that were predicted, whether their files are still there or not, sorted."""
        return sorted(self.signature.get("cases") or self.files)


@dataclass(frozen=True)
class Reference:
    """Where the masks are: a folder of masks, a raw folder or a prepared one."""

    root: Path
    masks: Mapping[str, Path]
    """Case name to its mask."""
    table: LabelTable | None
    complete: bool
    """Whether each mask demands a prediction: nothing but masks is a folder made for this evaluation."""
    unmasked: frozenset[str] = frozenset()
    """Cases that it knows and has no mask of."""
    raw: RawDataset | None = None
    """The raw folder, where the reference is one: its scans can be shown."""


@dataclass(frozen=True)
class Pair:
    """One case: its prediction and its mask, on one voxel grid."""

    case: str
    prediction: Path
    reference: Path
    geometry: Geometry


def read_predictions(folder: Path) -> Predictions:
    """List a folder of predictions.

    Raises:
        EquiregError: if the folder is missing, another verb made it, or it holds no label file.
    """
    folder = existing_folder(folder, "predictions, a CASE.nii.gz each")
    if (folder / UNDERWAY).is_file():
        raise EquiregError(f"{folder}: is not finished. Run the same `equireg predict` again: it goes on from there.")
    signature = read_signature(folder, "predict") if made_by(folder) is not None else {}
    files = label_files(folder)
    if not files and not signature.get("cases"):
        raise EquiregError(
            f"{folder}: holds no prediction; expected label files named by case ({', '.join(EXTENSIONS)}). "
            "Run `equireg predict` first, or name the folder that holds them."
        )
    transformed = (folder / EQUIVARIANCE).is_dir()
    return Predictions(folder, files, _declared_labels(folder), signature, transformed)


def read_reference(folder: Path, predictions: Predictions) -> Reference:
    """List the masks of a prepared folder, of a folder of masks or of a raw folder in any known layout.

    Raises:
        EquiregError: if the folder is missing or none of these.
    """
    folder = existing_folder(folder, "reference masks: a folder of masks, a raw folder or a prepared one")
    if made_by(folder) == "prepare" or (folder / _MANIFEST).exists():
        return _prepared_reference(folder)
    masks = label_files(folder)
    beside = _described_labels(folder) or _described_labels(folder.absolute().parent)
    plain = Reference(folder, masks, _declared_labels(folder) or beside, complete=True)
    wanted = set(predictions.files) | set(predictions.signature.get("cases") or ())
    scans_too = any(split_mask(stem) in masks for stem in masks)  # CASE beside CASE_seg: not masks alone
    if wanted & set(masks) and not scans_too:
        return plain
    try:
        raw = discover(folder)
    except EquiregError:
        if masks:
            return plain
        raise
    labelled = {case.name: case.label for case in raw.cases if case.label is not None}
    if not labelled and masks:
        return plain
    unmasked = frozenset(case.name for case in raw.cases) - set(labelled)
    table = _declared_labels(folder) or raw.labels
    return Reference(folder, labelled, table, complete=False, unmasked=unmasked, raw=raw)


def pair_up(predictions: Predictions, reference: Reference) -> list[Pair]:
    """Pair each case that is judged with its mask, sorted by name.

    A folder of masks is judged whole; of a raw or prepared folder, the cases that were predicted are. Cases
    that a raw or prepared folder knows without a mask may be all there are, where they were predicted under
    their transforms: those are compared without a mask.

    Raises:
        EquiregError: if a prediction is absent, no case is common, or a pair differs in shape or affine.
    """
    predicted = predictions.cases
    without_mask = sorted(set(predicted) - set(reference.masks))
    cases = sorted(reference.masks) if reference.complete else sorted(set(predicted) & set(reference.masks))
    judged = {*reference.masks, *(reference.unmasked if predictions.has_transformed else ())}
    if not set(predicted) & judged:
        raise EquiregError(
            f"{predictions.root}: no case in common with {reference.root}; found the predictions "
            f"{some_of(predicted)} and the masks {some_of(reference.masks)}. "
            "Give the masks of the cases that were predicted."
        )
    for case in cases:
        if case not in predictions.files:
            raise EquiregError(
                f"{predictions.root / f'{case}.nii.gz'}: no such file; expected the prediction of case "
                f"{case}, whose mask is {reference.masks[case]}. Predict that case, or take its mask away."
            )
    if without_mask:
        _logger.warning(
            "%s: %d of %d predictions have no mask in %s and are %s: %s",
            predictions.root,
            len(without_mask),
            len(predicted),
            reference.root,
            "judged by their equivariance alone" if predictions.has_transformed else "left out",
            some_of(without_mask),
        )
    return [
        Pair(
            case,
            predictions.files[case],
            reference.masks[case],
            _common_geometry(predictions.files[case], reference.masks[case]),
        )
        for case in cases
    ]


def choose_labels(predictions: Predictions, reference: Reference) -> LabelTable | None:
    """Return the label table to judge by: the predictions' own, else the reference's, else None.

    The ``dataset.json`` that nnU-Net leaves beside its predictions comes last.
    """
    ours, theirs = predictions.table, reference.table
    if ours is not None and theirs is not None and not _alike(ours, theirs):
        _logger.warning(
            "%s and %s declare other labels or regions: %s against %s; the predictions' are used",
            predictions.root,
            reference.root,
            ours.as_dict(),
            theirs.as_dict(),
        )
    table = ours or theirs or _described_labels(predictions.root)
    if table is not None and not table.judged_regions():
        raise EquiregError(f"{predictions.root}: its labels declare no label but the background; nothing to judge.")
    return table


def label_files(folder: Path) -> dict[str, Path]:
    """Return case name to label file, of the files directly inside a folder.

    Raises:
        EquiregError: if two files are of one case.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        extension = extension_of(path)
        if extension is None or path.name.startswith(".") or not path.is_file():
            continue
        case = path.name[: -len(extension)]
        if case in files:
            raise EquiregError(f"{files[case]} and {path.name}: two files of one case. Remove one of them.")
        files[case] = path
    return {
        case: path
        for case, path in files.items()
        if not (case.endswith(_PROBABILITIES) and case.removesuffix(_PROBABILITIES) in files)
    }


def _prepared_reference(folder: Path) -> Reference:
    """List the native masks that a prepared folder keeps."""
    read_signature(folder, "prepare")
    manifest = read_json(folder / _MANIFEST)
    masks = {}
    for case in manifest["cases"]:
        mask = folder / "cases" / case["name"] / "reference.nii.gz"
        if mask.exists():
            masks[case["name"]] = mask
    unmasked = frozenset(case["name"] for case in manifest["cases"]) - set(masks)
    return Reference(folder, masks, LabelTable.from_dict(manifest["labels"]), complete=False, unmasked=unmasked)


def _declared_labels(folder: Path) -> LabelTable | None:
    """Read a folder's ``labels.json``, if there is one."""
    path = folder / LABELS
    if not path.exists():
        return None
    try:
        return LabelTable.from_dict(read_json(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EquiregError(
            f"{path}: is not a label table ({error!r}); expected the keys labels, regions and ignore. "
            "Restore or remove it."
        ) from error


def _described_labels(folder: Path) -> LabelTable | None:
    """Read the labels of a folder's ``dataset.json``, if there is one and it has labels."""
    content = read_description(folder)
    return label_table(folder / NAME, content["labels"]) if content and "labels" in content else None


def _common_geometry(prediction: Path, reference: Path) -> Geometry:
    """Return the voxel grid of a pair.

    Raises:
        EquiregError: if the two files differ in shape or affine.
    """
    ours, _ = read_geometry(prediction)
    theirs, _ = read_geometry(reference)
    remedy = "Give the prediction in the geometry of its scan."
    if ours.shape != theirs.shape:
        raise EquiregError(
            f"{prediction}: has the shape {ours.shape}; expected {theirs.shape} as {reference} has. {remedy}"
        )
    distance_mm = ours.corner_distance_mm(theirs)
    if distance_mm > TOLERANCE_MM:
        raise EquiregError(
            f"{prediction}: has another affine than {reference}: corners lie up to {distance_mm:.4g} mm "
            f"apart; expected at most {TOLERANCE_MM:g} mm. {remedy}"
        )
    return theirs


def _alike(ours: LabelTable, theirs: LabelTable) -> bool:
    """Whether two tables give the shared values the same names, and the shared regions the same values."""
    names = dict(zip(theirs.values, theirs.names, strict=True))
    same_names = all(names.get(value, name) == name for value, name in zip(ours.values, ours.names, strict=True))
    regions = theirs.judged_regions()
    return same_names and all(
        set(regions.get(name, values)) == set(values) for name, values in ours.judged_regions().items()
    )


def some_of(names: Iterable[str], most: int = 3) -> str:
    """Name the first few of many."""
    ordered: Sequence[str] = sorted(names)
    shown = ", ".join(ordered[:most]) or "none"
    return shown if len(ordered) <= most else f"{shown} and {len(ordered) - most} more"
