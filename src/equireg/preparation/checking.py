"""What is known of a raw folder before any scan is prepared: headers, label values, and cases that are no use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from equireg.errors import EquiregError
from equireg.folders.prepared import case_folder
from equireg.imaging import volume
from equireg.imaging.alignment import one_line_a_remark
from equireg.imaging.colours import RGB
from equireg.imaging.grey import check_labels
from equireg.imaging.labels import IGNORED, LabelTable, counted
from equireg.imaging.pictures import is_picture
from equireg.layouts import RawCase, RawDataset, Refusal
from equireg.preparation import label_values, pictures
from equireg.processes.workers import WorkerDiedError, Workers, guarded

REMEDY = "When this is mended, prepare again into the same folder: only this case is done anew."


DIED = "Give it more memory or fewer --jobs, or remove the file, then run the same command again."


@dataclass(frozen=True)
class Survey:
    """What is known before any scan is prepared."""

    cases: tuple[RawCase, ...]
    """Those that may be of use."""
    geometries: Mapping[str, volume.Geometry]
    """Case name to where its voxels lie."""
    labels: LabelTable
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class Headers:
    """What the headers of a raw folder say."""

    cases: tuple[RawCase, ...]
    """Those whose header can be read."""
    geometries: Mapping[str, volume.Geometry]
    refused: tuple[Refusal, ...]


def survey(dataset: RawDataset, headers: Headers, workers: Workers) -> Survey:
    """Read the masks of a layout that declares no labels; what cannot be read is refused."""
    cases, geometries, refused = list(headers.cases), headers.geometries, [*headers.refused]
    labels = dataset.labels
    if labels is None:
        labels, cases, bad = _labels_of_masks(cases, geometries, workers)
        labels = labels.renamed(dataset.label_names)
        refused += bad
    return Survey(tuple(cases), geometries, labels, tuple(refused))


def _header(case: RawCase) -> volume.Geometry:
    case_folder(Path(), case.name)
    return case.read_geometry()


def read_headers(dataset: RawDataset) -> Headers:
    """Read every case's header; those that cannot be read, or whose name is not fit for a folder, are refused."""
    refused = list(dataset.refused)
    geometries: dict[str, volume.Geometry] = {}
    usable = []
    with one_line_a_remark():  # headers are small: a pool would cost more than it saves
        headers = [(case, guarded(_header, case)) for case in dataset.cases]
        for case, found in headers:  # whoever reads the voxels refuses what does not fit
            if not isinstance(found, EquiregError):
                guarded(case.compare_headers, found)
            elif case.mask is not None:
                guarded(case.mask.read_geometry)
    for case, found in headers:
        if isinstance(found, EquiregError):
            refused.append(Refusal(case.name, str(found), REMEDY))
        else:
            geometries[case.name] = found
            usable.append(case)
    pictures.tell_turned(usable)
    return Headers(tuple(usable), geometries, tuple(refused))


def labels_of_values(values: Iterable[int]) -> LabelTable:
    """Return the table of labels that have no name but their value; 0 is the background."""
    foreground = sorted(set(values) - {0})
    return LabelTable((0, *foreground), ("background", *(f"label {value}" for value in foreground)))


@dataclass(frozen=True)
class _Shown:
    """What one mask holds."""

    voxels: Mapping[int, int]
    """Label value to how many voxels have it."""
    colours: Mapping[int, RGB]
    """Label value to its colour, where the mask is a picture with a palette."""
    edge: int | None
    """Label value that covers its border in the plane."""


def _shown(case: RawCase, geometry: volume.Geometry) -> _Shown:
    label = case.read_label(geometry)
    voxels = counted(label)
    check_labels(str(case.mask), label, voxels)
    colours = {} if case.label is None else pictures.palette_of(case.label, list(voxels), case.limits)
    return _Shown(voxels, colours, label_values.edge_of(label))


def _labels_of_masks(
    cases: Sequence[RawCase], geometries: Mapping[str, volume.Geometry], workers: Workers
) -> tuple[LabelTable, list[RawCase], list[Refusal]]:
    """Find the label values of a layout that declares none; a mask that cannot be read refuses its case."""
    tasks = {case.name: (case, geometries[case.name]) for case in cases if case.label is not None}
    shown: dict[str, _Shown] = {}
    refused = []
    for name, found in workers.run(_shown, tasks, "masks"):
        if isinstance(found, EquiregError):
            died = isinstance(found, WorkerDiedError)
            refused.append(Refusal(name, str(found), DIED if died else REMEDY))
        elif len(found.voxels) > IGNORED:
            reason = f"{tasks[name][0].label}: holds {len(found.voxels)} values; expected a mask of at most {IGNORED}."
            refused.append(Refusal(name, reason, REMEDY))
        else:
            shown[name] = found
    masks = {name: Path(str(tasks[name][0].label)) for name in sorted(shown)}
    colours, odd = pictures.common_palette(masks, {name: found.colours for name, found in shown.items()})
    refused += odd
    bad = {item.case for item in refused}
    kept = {masks[name]: found.voxels for name, found in shown.items() if name not in bad}
    edges = {masks[name]: found.edge for name, found in shown.items()}
    background = label_values.tell_background(kept, edges, dict(colours or {}))
    label_values.check_kinds(kept, background)
    label_values.tell_strays(kept)
    label_values.tell_lossy(kept)
    if not background:
        label_values.tell_no_background(kept)
    label_values.tell_objects(kept)
    labels = labels_of_values({0}.union(*kept.values()))
    return (
        replace(pictures.named(labels), colours=colours) if any(map(is_picture, masks.values())) else labels,
        [case for case in cases if case.name not in bad],
        refused,
    )
