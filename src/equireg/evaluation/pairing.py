"""Which prediction is judged by which mask, and what their label values mean."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from equireg.errors import EquiregError
from equireg.evaluation.naming import one_error, some_of
from equireg.evaluation.predictions import Predictions
from equireg.evaluation.references.masks import Reference
from equireg.folders import SCANS
from equireg.imaging.alignment import find_turn, one_line_a_remark
from equireg.imaging.dicom.identity import advice_on_names
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import Limits
from equireg.imaging.masks import MaskFiles
from equireg.imaging.pictures import is_picture
from equireg.imaging.segments import is_named, numbers_of, place_in, plain, stated_names
from equireg.layouts.dataset_json import described_labels
from equireg.preparation.raw_states import is_other

_logger = logging.getLogger("equireg")

_PERPENDICULAR = 0.9998
"""Shear factor from which distances are taken as those of perpendicular axes: an angle of a degree is left."""

Numbers = tuple[tuple[int, int], ...]
"""Label value of the reference, and that of the same name in the table to judge by; none where they agree."""


@dataclass(frozen=True)
class Pair:
    """One case: its prediction and its mask, on one voxel grid."""

    case: str
    prediction: MaskFiles
    reference: MaskFiles
    geometry: Geometry

    def by_names_of(self, table: LabelTable, numbers: Numbers) -> "Pair":
        """Return the pair with segments read by their names, where a file names them.

        Args:
            table: the labels.
            numbers: the mask's label values and those of the same names in the table, as ``choose_labels`` has it.
        """
        limits = replace(self.reference.limits, segments=numbers_of(table))
        return replace(
            self,
            prediction=replace(self.prediction, limits=limits),
            reference=replace(self.reference, limits=_of_files(self.reference, limits, numbers), numbers=numbers),
        )


def _of_files(mask: MaskFiles, limits: Limits, numbers: Numbers) -> Limits:
    """Return limits with the values that the names have in a mask's files, if these name no segments."""
    if not is_picture(mask.path) or stated_names(mask.path):
        return limits
    own = {meant: value for value, meant in numbers}
    return replace(limits, segments=tuple((name, own.get(value, value)) for name, value in limits.segments))


def pair_up(predictions: Predictions, reference: Reference) -> list[Pair]:
    """Pair each case that is judged with its mask, sorted by name.

    A folder of masks is judged completely; of a raw or prepared folder, the cases that were predicted are. Cases
    that a raw or prepared folder knows without a mask may be all there are, where they were predicted under
    their transforms: those are compared without a mask.

    Raises:
        EquiregError: if a prediction is absent, no case is common, or pairs differ in shape or affine; names all.
    """
    predicted = predictions.cases
    judged = {*reference.masks, *(reference.without_mask() if predictions.has_transformed else ())}
    if not set(predicted) & judged:
        raise _nothing_in_common(predictions, reference, sorted(judged))
    cases = reference.cases_to_judge(predicted)
    _refuse_absent(predictions, reference, cases)
    _log_what_is_left_out(predictions, reference)
    _tell_other_scans(predictions, reference, cases)
    pairs, problems = [], {}
    with one_line_a_remark():
        for case in cases:
            prediction = MaskFiles(predictions.files[case], limits=predictions.limits)
            mask = replace(reference.masks[case], limits=predictions.limits)
            try:
                pairs.append(Pair(case, prediction, mask, _common_geometry(prediction, mask)))
            except EquiregError as error:
                problems[case] = error
    if problems:
        raise one_error(problems, len(cases))
    return pairs


def _nothing_in_common(predictions: Predictions, reference: Reference, judged: Sequence[str]) -> EquiregError:
    scans = reference.scans()
    left = "".join(f" {note[:1].upper()}{note[1:]}." for note in (scans.notes if scans else ()))
    if not judged:
        return EquiregError(
            f"{reference.root}: has no mask; expected those of the predicted cases {some_of(predictions.cases)}. Give "
            f"the folder with their masks.{left}"
        )
    return EquiregError(
        f"{predictions.root}: no case in common with {reference.root}; found the predictions "
        f"{some_of(predictions.cases)} and the masks {some_of(judged)}. Give the masks of the cases that were "
        f"predicted, under the same names.{advice_on_names(predictions.cases, 'predict')}{left}"
    )


def choose_labels(predictions: Predictions, reference: Reference) -> tuple[LabelTable | None, Numbers]:
    """Return the label table to judge by: the predictions' own, else the reference's, else None.

    The ``dataset.json`` that nnU-Net leaves beside its predictions comes last, unless it has the reference's names with
    other values. Then, and where the predictions' own table has them so, labels are compared by their names.
    """
    ours, theirs = predictions.table, reference.table
    beside = described_labels(predictions.root) if ours is None else None
    table, numbers, used = ours or theirs or beside, (), "the predictions'" if ours else "the reference's"
    own = ours or beside
    if own is not None and theirs is not None and not _alike(own, theirs):
        if by_name := _by_name(own, theirs):
            (table, numbers), used = by_name, "the names are compared, and the predictions' values"
        _logger.warning(
            "%s and %s declare other labels; %s are used. Predictions: %s; reference: %s",
            predictions.root,
            reference.root,
            used,
            own.as_dict(),
            theirs.as_dict(),
        )
    if table is not None and not table.judged_regions():
        raise EquiregError(f"{predictions.root}: its labels declare no label but the background; nothing to judge.")
    return table, numbers


def warn_of_shear(pairs: Sequence[Pair]) -> None:
    """Warn of masks whose axes are not perpendicular, as their distances are not exact."""
    sheared = [pair.case for pair in pairs if pair.geometry.shear_factor < _PERPENDICULAR]
    if sheared:
        _logger.warning(
            "the axes of %d of %d masks are not perpendicular (a gantry tilt, say): %s. Dice and volumes are exact; "
            "HD95 and NSD measure as if the axes were. Resample scans and masks for exact distances.",
            len(sheared),
            len(pairs),
            some_of(sheared),
        )


def not_listed(pairs: Sequence[Pair], table: LabelTable) -> str | None:
    """Return which regions DICOM masks do not list, in a line if there are any."""
    lacking = {
        name: found
        for name, members in table.judged_regions().items()
        if (found := [pair.reference.path for pair in pairs if not pair.reference.lists(members)])
    }
    if not lacking:
        return None
    told = [f"{name} ({len(paths)} of {len(pairs)}, such as {paths[0]})" for name, paths in lacking.items()]
    return (
        f"masks do not list the regions {some_of(told)}: these cases have no score for them. If a region is known to "
        "be absent, list it in the mask, empty."
    )


def _refuse_absent(predictions: Predictions, reference: Reference, cases: Sequence[str]) -> None:
    absent = [case for case in cases if case not in predictions.files]
    if not absent:
        return
    first = absent[0]
    others = f" So lack {len(absent) - 1} more: {', '.join(absent[1:])}." if len(absent) > 1 else ""
    raise EquiregError(
        f"{predictions.root / first}.*: no such file; expected the prediction of case {first}, whose mask is "
        f"{reference.masks[first]}.{others} Predict these cases, or take their masks away."
    )


def _log_what_is_left_out(predictions: Predictions, reference: Reference) -> None:
    """Warn of predictions without a mask, and of masks without a prediction."""
    predicted = predictions.cases
    without_mask = sorted(set(predicted) - set(reference.masks))
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
    not_predicted = reference.not_predicted(predicted)
    if not_predicted and not reference.complete:
        # equireg's own predictions say which cases they were asked for; of others nobody knows what should be there.
        level = logging.WARNING if predictions.is_unsigned else logging.INFO
        _logger.log(
            level,
            "%s: %d of %d masks have no prediction in %s and are not judged: %s",
            reference.root,
            len(not_predicted),
            len(reference.masks),
            predictions.root,
            some_of(not_predicted),
        )


def _tell_other_scans(predictions: Predictions, reference: Reference, cases: Sequence[str]) -> None:
    """Warn of cases whose mask lies beside another scan than the one that was predicted."""
    predicted = predictions.signature.get(SCANS)
    if not predicted:
        return
    found = reference.scan_digests(cases)
    # A model may take some channels of a folder alone.
    other = [
        case
        for case in cases
        if case in predicted and is_other(predicted[case], found.get(case, predicted[case]), some_channels=True)
    ]
    if other:
        _logger.warning(
            "%s: %d of %d judged cases have other scans in %s than were predicted, so their masks may be of other "
            "scans too: %s. Predict these scans again if they were replaced.",
            predictions.root,
            len(other),
            len(cases),
            reference.root,
            some_of(other),
        )


def _common_geometry(prediction: MaskFiles, reference: MaskFiles) -> Geometry:
    """Return the voxel grid of a pair: the mask's, to whose axes the prediction is turned.

    Raises:
        EquiregError: if the two files do not lie on one grid.
    """
    ours, theirs = prediction.read_geometry(), reference.read_geometry()
    if place_in(reference.path, theirs, ours) is not None:
        return ours
    find_turn(prediction.path, ours, theirs, str(reference), "Give the prediction in the geometry of its scan.")
    if len(reference.files) > 1:
        reference.compare_headers(theirs)
    return theirs


def _alike(ours: LabelTable, theirs: LabelTable) -> bool:
    """Whether two tables give the shared values the same names, and the shared regions the same values."""
    names = {value: plain(name) for value, name in zip(theirs.values[1:], theirs.names[1:], strict=True)}
    same_names = all(
        names.get(value, plain(name)) == plain(name)
        for value, name in zip(ours.values[1:], ours.names[1:], strict=True)
    )
    regions = {plain(name): values for name, values in theirs.judged_regions().items()}
    return (
        same_names
        and ours.values[0] not in names
        and all(set(regions.get(plain(name), values)) == set(values) for name, values in ours.judged_regions().items())
    )


def _by_name(ours: LabelTable, theirs: LabelTable) -> tuple[LabelTable, Numbers] | None:
    """Return our table, with what it lacks of theirs, and their values with those of the same names in it.

    Labels that theirs lacks are not judged, unless the data set has regions. None where labels have no names but their
    values, or all shared names have the same values.
    """
    if not all(map(is_named, (*ours.names[1:], *theirs.names[1:]))):
        return None
    values, wanted = (
        {plain(name): value for name, value in zip(table.names[1:], table.values[1:], strict=True)}
        for table in (ours, theirs)
    )
    if len(values) < ours.classes - 1 or len(wanted) < theirs.classes - 1:
        return None
    if all(wanted.get(name, value) == value for name, value in values.items()):
        return None
    judged = {name: (value,) for name, value in zip(ours.names, ours.values, strict=True) if plain(name) in wanted}
    for name in theirs.names[1:]:
        if plain(name) not in values:
            free = max(*ours.values, ours.ignore or 0) + 1
            values[plain(name)], judged[name] = free, (free,)
            ours = replace(ours, values=(*ours.values, free), names=(*ours.names, name))
    if len(judged) < ours.classes - 1 and not ours.regions:
        ours = replace(ours, regions=judged)
    numbers = {theirs.values[0]: ours.values[0]} | {value: values[name] for name, value in wanted.items()}
    if theirs.ignore is not None:
        free = theirs.ignore if theirs.ignore not in ours.values else max(ours.values) + 1
        ours = ours if ours.ignore is not None else replace(ours, ignore=free)
        numbers[theirs.ignore] = free if ours.ignore is None else ours.ignore
    return ours, tuple(numbers.items())
