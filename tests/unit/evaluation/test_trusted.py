"""Quality beside Dice: of the predictions that are still as the model made them."""

from pathlib import Path

import pytest

from equireg.evaluation.evaluate import evaluate
from equireg.folders.digests import digest_of
from equireg.folders.evaluation import read_quality
from equireg.folders.quality import CaseQuality, record_file, write_quality, write_record
from equireg.imaging.labels import LabelTable
from judged_folders import box, sign_predictions, write_masks

CASES = ("a", "b", "c")


def folders_of(root: Path) -> tuple[Path, Path]:
    """Write predictions as `equireg predict` does, with their qualities, and masks to judge them by."""
    labels = LabelTable((0, 1), ("background", "lesion"))
    predictions = write_masks(root / "predictions", dict.fromkeys(CASES, box(start=3)), labels)
    found = [CaseQuality(case, 0.9, mask_digest=digest_of(predictions / f"{case}.nii.gz")) for case in CASES]
    for one in found:
        write_record(predictions, one)
    write_quality(predictions, found)
    return sign_predictions(predictions), write_masks(root / "masks", dict.fromkeys(CASES, box()))


def test_masks_that_were_corrected_in_place_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictions, masks = folders_of(tmp_path)
    evaluate(predictions, masks, tmp_path / "before", jobs=1)
    assert read_quality(tmp_path / "before") == dict.fromkeys(CASES, (0.9, 0.75))
    assert "no longer" not in caplog.text
    write_masks(predictions, {"b": box()})
    evaluate(predictions, masks, tmp_path / "after", jobs=1)
    assert read_quality(tmp_path / "after") == dict.fromkeys("ac", (0.9, 0.75))
    assert "1 of 3 masks are no longer those that `equireg predict` wrote (b)" in caplog.text


def test_nothing_is_said_of_predictions_without_a_digest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictions, masks = folders_of(tmp_path)
    write_record(predictions, CaseQuality("a", 0.9))
    record_file(predictions, "b").unlink()
    write_masks(predictions, {"a": box(), "b": box()})
    evaluate(predictions, masks, tmp_path / "out", jobs=1)
    assert list(read_quality(tmp_path / "out")) == list(CASES)
    assert "no longer" not in caplog.text
