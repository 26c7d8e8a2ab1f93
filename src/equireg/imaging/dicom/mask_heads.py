"""What a DICOM-SEG or an RTSTRUCT says of itself: which series it is of, and what its segments are called."""

from collections.abc import Iterator, MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg.imaging.dicom.heads import GROUPS, Head, read_dataset
from equireg.imaging.dicom.library import quietly
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.dicom.seg_writing import MAKER


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


@quietly()
def read_mask_head(head: Head) -> MaskHead:
    """Read the whole header of a mask.

    Raises:
        SeriesError: if it does not say what its segments are.
    """
    try:
        dataset = read_dataset(head.path)
        names = tuple(segments_of(dataset) if head.kind == "segmentation" else regions_of(dataset))
        series, images = _references(dataset)
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
        _problem(head.path, dataset, names),
    )


def _is_automatic(dataset: Any) -> bool:
    ways = [str(item.get("SegmentAlgorithmType")) for item in dataset.get("SegmentSequence") or []]
    ways += [str(item.get("ROIGenerationAlgorithm")) for item in dataset.get("StructureSetROISequence") or []]
    return set(ways) == {"AUTOMATIC"}


def _problem(path: Path, dataset: Any, names: tuple[tuple[int, str], ...]) -> SeriesError | None:
    if str(dataset.get("SegmentationType", "")).upper() == "FRACTIONAL":
        finding = (
            "is a fractional segmentation, of probabilities or parts of voxels; expected a binary one or a labelmap."
        )
        return SeriesError(
            path, finding, "Threshold it, for example in 3D Slicer, and save it as a binary segmentation."
        )
    if not names:
        return SeriesError(path, "has no segment; expected one or more.", "Export it again, or remove it.")
    return None


def segments_of(dataset: Any) -> Iterator[tuple[int, str]]:
    """Yield number and name of each segment of a DICOM-SEG, from its whole header."""
    for segment in dataset.get("SegmentSequence") or []:
        number = int(segment.SegmentNumber)
        if number > 0:  # 0 is the background of a labelmap
            yield number, _name(segment.get("SegmentLabel"), number)


def regions_of(dataset: Any) -> Iterator[tuple[int, str]]:
    """Yield number and name of each region of an RTSTRUCT, from its whole header."""
    for region in dataset.get("StructureSetROISequence") or []:
        yield int(region.ROINumber), _name(region.get("ROIName"), int(region.ROINumber))


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
    groups = [*(dataset.get("SharedFunctionalGroupsSequence") or []), *(dataset.get(GROUPS) or [])]
    for group in groups:
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
