"""What a DICOM-SEG or an RTSTRUCT says of itself: which series it is of, and what its segments are called."""

from collections import Counter
from collections.abc import Iterator, MutableSequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from equireg.errors import some_of
from equireg.imaging.alignment import warn_once
from equireg.imaging.dicom.elements import optional, whole
from equireg.imaging.dicom.heads import GROUPS, Head, read_dataset
from equireg.imaging.dicom.library import quietly
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.dicom.seg_writing import MAKER

_BACKGROUND = ("125040", "DCM")
"""Code of what is no segment."""


@dataclass(frozen=True)
class DrawnOn:
    """What a region of an RTSTRUCT was drawn on."""

    frame_of_reference: str
    image_uids: frozenset[str]
    """Images that its contours name."""


@dataclass(frozen=True)
class MaskHead:
    """A segmentation, or a set of contours."""

    path: Path
    description: str
    """Of its own series."""
    study_uid: str
    frame_of_reference: str
    series_uids: frozenset[str]
    """Series that it says it is of."""
    image_uids: frozenset[str]
    """Images that it says it is of."""
    names: tuple[tuple[int, str], ...]
    """Number and name of each segment."""
    automatic: bool = False
    """Whether it says of all its segments that a program drew them alone."""
    own: bool = False
    """Whether it is as equireg drew it: nobody corrected or approved it."""
    problem: SeriesError | None = None
    """Why its voxels cannot be taken for labels."""
    drawn_on: tuple[tuple[int, DrawnOn], ...] = ()
    """Number of each region, where it is an RTSTRUCT, to what it was drawn on."""

    def of_series(self, frame_of_reference: str, image_uids: Set[str]) -> "MaskHead":
        """Leave out the regions that were drawn on another scan than this one, and log them.

        Such as those of an MR that was fused with the planning CT. Where the file does not tell its regions apart,
        because identities were removed from the scan or the mask alone, all stay.
        """
        here = {number for number, drawn in self.drawn_on if drawn.image_uids & image_uids}
        told = frame_of_reference and frame_of_reference in {drawn.frame_of_reference for _, drawn in self.drawn_on}
        others = {
            number
            for number, drawn in self.drawn_on
            if number not in here
            and drawn.frame_of_reference != frame_of_reference
            and (drawn.frame_of_reference if told else here and drawn.image_uids)
        }
        names = tuple((number, name) for number, name in self.names if number not in others)
        if names == self.names or not names:
            return self
        left = some_of([name for number, name in self.names if number in others])
        warn_once(f"{self.path}: regions that were drawn on another scan than that of the mask are left out: {left}.")
        return replace(self, names=names)


@quietly()
def read_mask_head(head: Head) -> MaskHead:
    """Read the whole header of a mask.

    Raises:
        SeriesError: if it does not say what its segments are.
    """
    try:
        dataset = read_dataset(head.path)
        names = tuple(segments_of(dataset))
        series, images = _references(dataset)
        problem, drawn_on = _problem(head, dataset, names), tuple(_drawn_on(dataset))
    except Exception as error:  # a header is foreign, and pydicom raises whatever its parts do
        finding = f"is a mask whose header cannot be read ({' '.join(str(error).split())[:100]})."
        raise SeriesError(head.path, finding, "Export it again.") from error
    automatic = _is_automatic(dataset)
    reference = str(dataset.get("FrameOfReferenceUID") or "") or _contours_frame(dataset)
    return MaskHead(
        head.path,
        head.description,
        head.study_uid,
        reference,
        frozenset(series),
        frozenset(images),
        names,
        automatic,
        automatic and dataset.get("Manufacturer") == MAKER and dataset.get("ApprovalStatus") != "APPROVED",
        problem,
        drawn_on,
    )


def _is_automatic(dataset: Any) -> bool:
    ways = [str(item.get("SegmentAlgorithmType")) for item in dataset.get("SegmentSequence") or []]
    ways += [str(item.get("ROIGenerationAlgorithm")) for item in dataset.get("StructureSetROISequence") or []]
    return set(ways) == {"AUTOMATIC"}


def _problem(head: Head, dataset: Any, names: tuple[tuple[int, str], ...]) -> SeriesError | None:
    if str(dataset.get("SegmentationType", "")).upper() == "FRACTIONAL":
        finding = (
            "is a fractional segmentation, of probabilities or parts of voxels; expected a binary one or a labelmap."
        )
        return SeriesError(
            head.path, finding, "Threshold it, for example in 3D Slicer, and save it as a binary segmentation."
        )
    if not names:
        return SeriesError(head.path, "has no segment; expected one or more.", "Export it again, or remove it.")
    known = {number for number, _ in names}
    damage = _lost_frames(dataset, known) if head.kind == "segmentation" else _lost_contours(dataset, known)
    return SeriesError(head.path, f"is damaged or incomplete: {damage}.", "Export it again.") if damage else None


def _lost_frames(dataset: Any, known: Set[int]) -> str | None:
    """Say why the frames of a segmentation would not become segments."""
    if GROUPS not in dataset:
        return f"it does not say of its frames which segments they are of, and where they lie ({GROUPS})"
    found: Counter[int] = Counter()
    for group in _groups(dataset):
        for item in group.get("SegmentIdentificationSequence") or []:
            found[int(item.ReferencedSegmentNumber)] += 1
    known = known | _background(dataset) | {0}
    unknown = {number: count for number, count in found.items() if number not in known}
    return f"it has frames of segments that it does not list: {_counted(unknown)}" if unknown else None


def _lost_contours(dataset: Any, known: Set[int]) -> str | None:
    """Say why the contours of an RTSTRUCT would not become regions; regions without contours are empty ones."""
    if "ROIContourSequence" not in dataset:
        return "it has names of regions and no contours (ROIContourSequence)"
    listed = {
        int(item.ReferencedROINumber): len(item.get("ContourSequence") or []) for item in dataset.ROIContourSequence
    }
    unknown = {number: count for number, count in listed.items() if count and number not in known}
    if unknown and not known <= set(listed):
        return f"it has contours of regions that it does not list: {_counted(unknown)}"
    return None


def _groups(dataset: Any) -> list[Any]:
    """Return the functional groups, that which all frames share first."""
    return [*(dataset.get("SharedFunctionalGroupsSequence") or []), *(dataset.get(GROUPS) or [])]


def _counted(numbers: dict[int, int]) -> str:
    return some_of([f"number {number} ({count})" for number, count in sorted(numbers.items())])


def _drawn_on(dataset: Any) -> Iterator[tuple[int, DrawnOn]]:
    """Yield number of each region of an RTSTRUCT and what it was drawn on."""
    images = {
        int(item.ReferencedROINumber): frozenset[str]().union(
            *(_image_uids(contour.get("ContourImageSequence")) for contour in item.get("ContourSequence") or [])
        )
        for item in dataset.get("ROIContourSequence") or []
    }
    for region in dataset.get("StructureSetROISequence") or []:
        number = int(region.ROINumber)
        frame = str(region.get("ReferencedFrameOfReferenceUID") or "")
        yield number, DrawnOn(frame, images.get(number, frozenset()))


def segments_of(dataset: Any) -> Iterator[tuple[int, str]]:
    """Yield number and name of each segment of a DICOM-SEG or region of an RTSTRUCT, from its whole header."""
    background = _background(dataset)
    for segment in dataset.get("SegmentSequence") or []:
        number = int(segment.SegmentNumber)
        if number not in background:
            yield number, _name(segment.get("SegmentLabel"), number)
    for region in dataset.get("StructureSetROISequence") or []:
        yield int(region.ROINumber), _name(region.get("ROIName"), int(region.ROINumber))


def is_labelmap(dataset: Any) -> bool:
    """Whether the pixels of a segmentation are numbers of segments."""
    return str(dataset.get("SegmentationType", "")).upper() == "LABELMAP"


def _background(dataset: Any) -> set[int]:
    """Return the numbers that mean no segment: in a labelmap the padding's and those coded so, else 0."""
    if not is_labelmap(dataset):
        return {0}
    coded = {
        int(segment.SegmentNumber)
        for segment in dataset.get("SegmentSequence") or []
        for code in segment.get("SegmentedPropertyTypeCodeSequence") or []
        if (code.get("CodeValue"), code.get("CodingSchemeDesignator")) == _BACKGROUND
    }
    padding = optional(dataset, "PixelPaddingValue", whole)
    return coded | {padding} if padding is not None else coded or {0}


def _name(value: Any, number: int) -> str:
    text = "\\".join(map(str, value)) if isinstance(value, MutableSequence) else str(value or "")
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words[:64] or f"segment {number}"


def _references(dataset: Any) -> tuple[set[str], set[str]]:
    """Return the series and the images that a mask refers to, in the places where writers put them."""
    series = {str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or []}
    images: set[str] = set()
    for item in dataset.get("ReferencedSeriesSequence") or []:
        images |= _image_uids(item.get("ReferencedInstanceSequence"))
    for group in _groups(dataset):
        for derivation in group.get("DerivationImageSequence") or []:
            images |= _image_uids(derivation.get("SourceImageSequence"))
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for item in study.get("RTReferencedSeriesSequence") or []:
                series.add(str(item.SeriesInstanceUID))
                images |= _image_uids(item.get("ContourImageSequence"))
    for region in dataset.get("ROIContourSequence") or []:
        for contour in region.get("ContourSequence") or []:
            images |= _image_uids(contour.get("ContourImageSequence"))
    return series, images


def _image_uids(sequence: Any) -> set[str]:
    return {str(item.ReferencedSOPInstanceUID) for item in sequence or [] if item.get("ReferencedSOPInstanceUID")}


def _contours_frame(dataset: Any) -> str:
    frames = dataset.get("ReferencedFrameOfReferenceSequence") or []
    return str(frames[0].get("FrameOfReferenceUID") or "") if frames else ""
