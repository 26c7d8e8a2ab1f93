"""Folders of DICOM files, in any nesting and order: series to cases, with their masks."""

from equireg.layouts.dicom.cases import cases_of_masks as cases_of_masks
from equireg.layouts.dicom.cases import find as find
