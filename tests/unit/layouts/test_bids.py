"""BIDS folders."""

import re
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover
from layout_folders import files, labelled, masks, names, put


def scan(sub, ses=None, suffix="T1w", kind="anat", **entities):
    stem = "_".join(
        [f"sub-{sub}", *([f"ses-{ses}"] if ses else []), *(f"{k}-{v}" for k, v in entities.items()), suffix]
    )
    return f"sub-{sub}/{f'ses-{ses}/' if ses else ''}{kind}/{stem}.nii.gz"


@pytest.mark.parametrize("home", ["derivatives/labels", "derivatives", "derivatives/manual/masks", "Derivatives/seg"])
@pytest.mark.parametrize("mask", ["T1w_seg", "seg", "dseg", "T1w_mask", "label-lesion_mask", "T1w_label-lesion", "msk"])
@pytest.mark.parametrize("ses", [None, "01"])
def test_masks_below_derivatives(tmp_path, home, mask, ses):
    for sub in ("01", "02", "03"):
        put(tmp_path, scan(sub, ses))
        if sub != "03":
            put(tmp_path, f"{home}/{scan(sub, ses, mask)}")
    (tmp_path / "dataset_description.json").write_text('{"Name": "x"}')
    dataset = discover(tmp_path)
    end = f"_ses-{ses}" if ses else ""
    assert (dataset.layout, dataset.channels) == ("bids", ("t1",))
    assert names(dataset) == [f"sub-0{i}{end}" for i in (1, 2, 3)]
    assert labelled(dataset) == names(dataset)[:2]
    assert dataset.refused == ()


@pytest.mark.parametrize("home", ["labels", "derivatives/labels", "masks", "derivatives/lesion_masks"])
@pytest.mark.parametrize("flat", [False, True])
def test_masks_of_the_same_names_in_a_parallel_tree(tmp_path, home, flat):
    for sub in ("01", "02"):
        path = scan(sub, "01")
        put(tmp_path, path, f"{home}/{path.rsplit('/')[-1] if flat else path}", f"sourcedata/{path}")
    dataset = discover(tmp_path)
    assert labelled(dataset) == names(dataset) == ["sub-01_ses-01", "sub-02_ses-01"]
    assert dataset.refused == ()


def test_sessions_are_scans_of_one_patient_and_suffixes_its_channels(tmp_path):
    for ses in ("01", "02"):
        put(tmp_path, scan("a", ses, "T1w"), scan("a", ses, "T1w", ce="gd"), scan("a", ses, "FLAIR"))
        put(tmp_path, scan("a", ses, "FLAIR_lesion_mask"))
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1", "t1ce", "flair")
    assert names(dataset) == labelled(dataset) == ["sub-a_ses-01", "sub-a_ses-02"]
    assert {case.patient for case in dataset.cases} == {"sub-a"}
    assert files(dataset, "sub-a_ses-01")[1].endswith("sub-a_ses-01_ce-gd_T1w.nii.gz")


def test_no_series_and_no_processed_scan_is_a_case(tmp_path):
    put(tmp_path, scan("1"), scan("1", None, "bold", "func", task="rest"), scan("1", None, "epi", "fmap", dir="AP"))
    put(tmp_path, f"derivatives/fmriprep/{scan('1', None, 'T1w', desc='preproc')}")
    put(tmp_path, f"derivatives/fmriprep/{scan('1', None, 'mask', desc='brain')}")
    dataset = discover(tmp_path)
    assert masks(dataset) == {"sub-1": None}
    assert dataset.channels == ("t1",)
    assert len(dataset.notes) == 3


def test_diffusion_in_many_directions_is_no_contrast_beside_others(tmp_path):
    for sub in ("1", "2"):
        put(tmp_path, scan(sub))
        series = tmp_path / scan(sub, None, "dwi", "dwi")
        series.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(np.zeros((4, 4, 3, 5), np.int16), np.eye(4)), series)
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1",)
    assert names(dataset) == ["sub-1", "sub-2"]
    assert any("no anatomy" in note for note in dataset.notes)
    for path in tmp_path.glob("sub-*/anat/*"):
        path.unlink()
    assert names(discover(tmp_path)) == ["sub-1", "sub-2"]  # where it is all there is, its volumes are channels


def test_runs_are_cases_with_masks_of_their_own(tmp_path):
    put(tmp_path, *(scan("1", "1", "T2w", run=run) for run in (1, 2)), scan("2", "1", "T2w"))
    put(tmp_path, *(f"derivatives/{scan('1', '1', 'T2w_seg', run=run)}" for run in (1, 2)))
    dataset = discover(tmp_path)
    assert names(dataset) == ["sub-1_ses-1_run-1", "sub-1_ses-1_run-2", "sub-2_ses-1"]
    assert labelled(dataset) == names(dataset)[:2]
    assert "run-2" in str(masks(dataset)["sub-1_ses-1_run-2"])


def test_several_masks_refuse_the_session_alone(tmp_path):
    put(tmp_path, scan("1"), scan("2"), f"derivatives/a/{scan('1', None, 'T1w_seg')}")
    put(tmp_path, f"derivatives/b/{scan('1', None, 'T1w_seg')}", f"derivatives/b/{scan('2', None, 'T1w_seg')}")
    dataset = discover(tmp_path)
    assert labelled(dataset) == names(dataset) == ["sub-2"]
    assert "several masks" in dataset.refused[0].reason


def test_a_mask_of_a_session_that_is_not_there_is_reported(tmp_path):
    put(tmp_path, scan("1", "1"), f"derivatives/{scan('1', '2', 'seg')}")
    dataset = discover(tmp_path)
    assert masks(dataset) == {"sub-1_ses-1": None}
    assert "ses-2" in dataset.refused[0].reason


def test_raw_data_beside_derivatives(tmp_path):
    for suffix in ("dwi", "adc"):
        put(tmp_path, f"rawdata/sub-s1/ses-1/sub-s1_ses-1_{suffix}.nii.gz")
    put(tmp_path, "derivatives/sub-s1/ses-1/sub-s1_ses-1_msk.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.channels == ("adc", "dwi")
    assert labelled(dataset) == ["sub-s1_ses-1"]


def test_names_alone_make_no_bids(tmp_path):
    put(tmp_path, "images/sub-01_ses-01.nii.gz", "labels/sub-01_ses-01.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.layout == "plain"
    assert labelled(dataset) == ["sub-01_ses-01"]


def test_masks_of_other_pipelines_and_spaces_are_left_aside(tmp_path):
    for sub in ("01", "02", "03"):
        put(tmp_path, scan(sub), f"derivatives/fmriprep/{scan(sub, suffix='dseg', desc='aseg')}")
        put(tmp_path, f"derivatives/labels/{scan(sub, suffix='seg', space='MNI152')}")
        if sub != "03":
            put(tmp_path, f"derivatives/labels/{scan(sub, suffix='T1w_seg')}")
    dataset = discover(tmp_path)
    manual = {f"sub-{i}": f"derivatives/labels/{scan(i, suffix='T1w_seg')}" for i in ("01", "02")}
    assert masks(dataset) == {**manual, "sub-03": None}
    assert dataset.refused == ()
    assert [note.split(",")[0] for note in dataset.notes] == [
        "left aside: 3 masks in another space than the scans",
        "left aside: 3 masks of another kind",
    ]


def test_probabilities_beside_masks_are_left_aside(tmp_path):
    for sub in ("01", "02"):
        put(tmp_path, scan(sub, desc="preproc"), scan(sub, suffix="dseg"), scan(sub, suffix="mask", desc="brain"))
        put(
            tmp_path,
            *(scan(sub, suffix="probseg", label=label) for label in ("CSF", "GM")),
            scan(sub, suffix="probseg"),
        )
    dataset = discover(tmp_path)
    assert masks(dataset) == {f"sub-{sub}": scan(sub, suffix="dseg") for sub in ("01", "02")}
    assert dataset.refused == ()
    assert [note.split(",")[0] for note in dataset.notes] == [
        "left aside: 2 brain masks",
        "left aside: 6 probability maps",
    ]


def test_probabilities_alone_are_read_as_masks(tmp_path):
    put(tmp_path, scan("01"), scan("01", suffix="probseg", label="lesion"))
    assert labelled(discover(tmp_path)) == ["sub-01"]


def put_table(path: Path, names: Mapping[int, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("name\tindex\n" + "".join(f"{name}\t{value}\n" for value, name in names.items()))


@pytest.mark.parametrize("place", ["derivatives/manual/dseg.tsv", "derivatives/desc-manual_dseg.tsv", "dseg.tsv"])
def test_labels_are_called_as_the_table_above_the_masks_says(tmp_path: Path, place: str) -> None:
    put(tmp_path, scan("01"), f"derivatives/manual/{scan('01', suffix='dseg', desc='manual')}")
    put_table(tmp_path / place, {0: "Unknown", 1: "RV", 2: "MYO", 700: "MYO", 3: "background"})
    put_table(tmp_path / "derivatives" / "other" / "dseg.tsv", {1: "of other masks"})
    put_table(tmp_path / "derivatives" / "manual" / "desc-other_dseg.tsv", {1: "of other masks"})
    dataset = discover(tmp_path)
    assert dataset.label_names == {1: "RV", 2: "MYO 2", 700: "MYO 700", 3: "background 3"}
    assert dataset.labels is None
    (warning,) = dataset.warnings
    assert warning.startswith(f"{tmp_path / place}: calls the label value 3 'background', and 0 is learnt")
    assert f"names of labels: {tmp_path / place}" in dataset.notes


def test_the_nearest_table_counts_and_two_that_disagree_are_refused(tmp_path: Path) -> None:
    for sub in ("01", "02"):
        put(tmp_path, scan(sub), f"derivatives/manual/{scan(sub, suffix='dseg')}")
    put_table(tmp_path / "dseg.tsv", {1: "far"})
    put_table(tmp_path / "derivatives" / "manual" / "dseg.tsv", {1: "RV"})
    assert discover(tmp_path).label_names == {1: "RV"}
    put_table(tmp_path / "derivatives" / "manual" / "sub-01" / "anat" / "sub-01_dseg.tsv", {1: "LV"})
    with pytest.raises(EquiregError, match=r"label value 1 'RV', and .*sub-01_dseg\.tsv 'LV'; expected one name"):
        discover(tmp_path)


def test_tables_of_subjects_may_list_some_of_the_labels_each(tmp_path: Path) -> None:
    for sub, called in (("01", {1: "CA1", 3: "tail", 4: "tail"}), ("02", {2: "CA1", 3: "tail"})):
        put(tmp_path, scan(sub), mask := f"derivatives/{scan(sub, suffix='dseg')}")
        put_table((tmp_path / mask).parent / f"sub-{sub}_dseg.tsv", called)
    assert discover(tmp_path).label_names == {1: "CA1 1", 2: "CA1 2", 3: "tail 3", 4: "tail 4"}


@pytest.mark.parametrize("text", ["", "index\tlabel\n1\tRV\n", "index\tname\nRV\t1\n", "index\tname\n1\tA\n1\tB\n"])
def test_a_table_that_is_none_says_what_was_expected(tmp_path: Path, text: str) -> None:
    put(tmp_path, scan("01"), f"derivatives/{scan('01', suffix='dseg')}")
    (tmp_path / "dseg.tsv").write_text(text)
    found = discover(tmp_path)
    [warning] = found.warnings
    assert re.search(r"dseg\.tsv: is no table of labels .*expected the columns index and name", warning)
    assert "its labels have no names" in warning
    assert (len(found.cases), found.label_names) == (1, {})
