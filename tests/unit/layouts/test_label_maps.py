"""Telling label maps from scans by their voxels."""

from equireg.layouts.label_maps import holds_labels
from layout_folders import put_kind


def test_what_holds_labels(tmp_path):
    put_kind(tmp_path, "scan.nii.gz")
    put_kind(tmp_path, "mask.nii.gz", kind="mask")
    put_kind(tmp_path, "empty.nii.gz", kind="empty")
    (tmp_path / "bad.nii.gz").write_bytes(b"no image")
    found = [holds_labels(tmp_path / f"{name}.nii.gz") for name in ("scan", "mask", "empty", "bad")]
    assert found == [False, True, None, None]
