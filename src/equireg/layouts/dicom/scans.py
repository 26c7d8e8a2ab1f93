"""The slices of a series as one scan, with its name."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.identity import patient_name, uid_name
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.dicom.series import Series, series_of
from equireg.layouts.dicom.descriptions import contrast_of

_OF_MODALITY = {"CT": "ct", "PT": "pet"}


@dataclass
class Scan:
    """One series of slices."""

    heads: Sequence[Head]
    """In order of their paths."""
    keep_names: bool
    patient_id: str
    """Also where other scans of the study say it and this one does not."""
    issuer: str
    """Of its patient's ID; also where other scans of the patient say it and this one does not."""

    @property
    def path(self) -> Path:
        """The first file, to name the series by."""
        return self.heads[0].path

    @property
    def key(self) -> tuple[str, str]:
        """Study and series."""
        return self.heads[0].study_uid, self.heads[0].series_uid

    @property
    def study(self) -> tuple[str, str]:
        """Patient and study: some anonymisers give the studies of all patients one UID."""
        return self.patient_id, self.key[0]

    @property
    def patient(self) -> str:
        """Name of the patient: scans with one ID are of one, unless two issuers gave it."""
        return patient_name(_whole_id(self.patient_id, self.issuer), self.key[0], keep=self.keep_names)

    @property
    def study_case(self) -> str:
        """Name of the case that the whole study is, from this scan's header alone."""
        first = self.heads[0]
        patient = patient_name(_whole_id(first.patient_id, first.issuer), first.study_uid, keep=self.keep_names)
        return f"{patient}_{uid_name(first.study_uid)}"

    @property
    def case(self) -> str:
        """Name of the case that the series is; several series of a study may have it."""
        number = self.heads[0].series_number
        return f"{self.study_case}_{uid_name(self.key[1]) if number is None else f'{number:03d}'}"

    @property
    def long_case(self) -> str:
        """Name of the case where another series has the same short one."""
        return f"{self.case}_{uid_name(self.key[1])}"

    @property
    def description(self) -> str:
        """What the scanner or its user calls the series; it may name a person and is never written."""
        return self.heads[0].description

    @property
    def modality(self) -> str:
        """Such as CT or MR."""
        return self.heads[0].modality

    @property
    def derived(self) -> bool:
        """Whether it was computed from another series, for example a reformat."""
        return all(head.derived for head in self.heads)

    @cached_property
    def contrast(self) -> str | None:
        """The known channel that it is of, by its modality and its description."""
        return _OF_MODALITY.get(self.modality) or contrast_of(self.description)

    @cached_property
    def image_uids(self) -> frozenset[str]:
        """Of its images."""
        return frozenset(head.sop_uid for head in self.heads)

    @cached_property
    def found(self) -> Series | SeriesError:
        """Its slices in order, or why they are no stack."""
        patients = {head.patient_id for head in self.heads}
        try:
            if len(patients) > 1:
                finding = f"belongs to a series with images of {len(patients)} patients; expected one."
                raise SeriesError(self.path, finding, "Export each patient's series again.")
            return series_of(self.heads)
        except SeriesError as error:
            return error


def _whole_id(patient_id: str, issuer: str) -> str:
    return f"{patient_id} {issuer}".strip() if patient_id else ""


def named(scans: Sequence[Scan]) -> list[tuple[str, Scan]]:
    """Return scans with the names that they have as cases."""
    count = Counter(scan.case for scan in scans)
    return [(scan.long_case if count[scan.case] > 1 else scan.case, scan) for scan in scans]
