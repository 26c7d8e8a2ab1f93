"""What predictions are judged by: one class a kind of reference.

folder of masks     every mask is judged, so each needs a prediction
raw folder          the cases that were predicted are judged
prepared folder     the same, by the native masks that it keeps
DICOM masks         the cases of the series that they refer to are judged
portal's table      the scores that BraTS' evaluation portal sent back
"""

from pathlib import Path

from equireg.disk import existing_folder
from equireg.errors import EquiregError
from equireg.evaluation.predictions import Predictions, label_files
from equireg.evaluation.references.dicom import DicomMasks as DicomMasks
from equireg.evaluation.references.masks import MaskFolder as MaskFolder
from equireg.evaluation.references.masks import Reference as Reference
from equireg.evaluation.references.portal import PortalTable as PortalTable
from equireg.evaluation.references.prepared import PreparedFolder as PreparedFolder
from equireg.evaluation.references.raw import RawFolder as RawFolder
from equireg.layouts.masks import split_mask


def read_reference(folder: Path, predictions: Predictions, verify: bool, scans: Path | None) -> Reference:
    """Find out what kind of folder holds the masks, and list them.

    Args:
        folder: the masks.
        predictions: what they are compared with.
        verify: check the masks of a prepared folder against their digests.
        scans: where the scans that were predicted lie; None looks where the predictions say.

    Raises:
        EquiregError: if the folder is missing or of no known kind.
    """
    folder = existing_folder(folder, "reference masks: a folder of masks, a raw folder or a prepared one")
    if PreparedFolder.is_one(folder):
        run = predictions.signature.get("run") or {}
        fold = run.get("fold") if run.get("split") in ("train", "val") else None
        return PreparedFolder.read(folder, predictions.cases, verify, fold)
    masks = label_files(folder)
    scans_too = any(split_mask(stem) in masks for stem in masks)  # CASE beside CASE_seg: not masks alone
    cases = {*predictions.files, *predictions.cases}
    if cases & set(masks) and not scans_too:
        return MaskFolder.read(folder).called_as(cases)
    try:
        raw = RawFolder.read(folder, predictions)
    except EquiregError:
        if masks:
            return MaskFolder.read(folder).called_as(cases)
        raise
    if raw.raw.layout == "dicom" and not raw.raw.cases and not masks:
        return DicomMasks.read(folder, predictions, scans or predictions.raw_folder())
    return raw if raw.masks or not masks else MaskFolder.read(folder).called_as(cases)
