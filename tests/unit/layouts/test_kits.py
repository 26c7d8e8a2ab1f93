"""KiTS of all years."""

from equireg.layouts import discover
from layout_folders import files, masks, put


def test_kits(tmp_path):
    for index in range(3):
        put(tmp_path, f"data/case_{index:05d}/imaging.nii.gz")
    put(tmp_path, *(f"data/case_{index:05d}/segmentation.nii.gz" for index in range(2)))
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.channels, dataset.modality) == ("kits", ("CT",), "ct")
    assert files(dataset, "case_00002") == ["data/case_00002/imaging.nii.gz"]
    assert masks(dataset) == {
        "case_00000": "data/case_00000/segmentation.nii.gz",
        "case_00001": "data/case_00001/segmentation.nii.gz",
        "case_00002": None,
    }
    assert dataset.notes == dataset.refused == ()


def test_further_annotations_are_no_scans(tmp_path):
    put(tmp_path, "case_00000/imaging.nii.gz", "case_00000/segmentation.nii.gz")
    put(tmp_path, "case_00000/instances/kidney_instance-1_annotation-1.nii.gz")
    put(tmp_path, "case_00001/imaging.nii.gz", "case_00001/aggregated_MAJ_seg.nii.gz")
    put(tmp_path, "case_00001/aggregated_OR_seg.nii.gz")
    dataset = discover(tmp_path)
    assert masks(dataset) == {
        "case_00000": "case_00000/segmentation.nii.gz",
        "case_00001": "case_00001/aggregated_MAJ_seg.nii.gz",
    }
    assert "2 further images" in dataset.notes[0]
