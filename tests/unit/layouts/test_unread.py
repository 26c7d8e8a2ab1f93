"""Files that are not read are told of: other kinds, links to nothing, masks of nearly a scan's name."""

import unicodedata

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover, discover_inputs
from layout_folders import labelled, names, put
from pictures_made_up import disc, photo, save


def test_scans_of_other_kinds_are_told(tmp_path, caplog):
    put(tmp_path, "images/a.nii.gz", "labels/a.nii.gz")
    for name in ("b.img", "c.nii.bz2"):
        (tmp_path / "images" / name).write_bytes(b"x")
    warnings = discover(tmp_path).warnings
    assert any("2 files of kinds" in line and "b.img" in line and ".nii.gz" in line for line in warnings)
    discover_inputs(tmp_path, ["image"])
    assert "2 files of kinds" in caplog.text


@pytest.mark.parametrize(
    "annotation", ["images/a0.json", "annotations/instances_train.json", "Annotations/a0.xml", "images/_coco.json"]
)
def test_annotations_that_are_no_pictures_are_told_where_no_mask_is(tmp_path, annotation):
    for index in range(2):
        save(tmp_path, f"images/a{index}.png", photo(disc(), index))
    (tmp_path / "about.json").write_text("{}")
    assert not discover(tmp_path).warnings
    (tmp_path / annotation).parent.mkdir(exist_ok=True)
    (tmp_path / annotation).write_text("{}")
    (line,) = discover(tmp_path).warnings
    assert f"1 file such as {tmp_path / annotation}" in line
    assert "draw them as masks" in line
    save(tmp_path, "masks/a0.png", disc())
    assert not discover(tmp_path).warnings


@pytest.mark.parametrize(("name", "remedy"), [("a.h5", "Save volumes"), ("a.img", "Save volumes"), ("a.zip", "Unpack")])
def test_a_folder_of_nothing_else_says_what_to_do(tmp_path, name, remedy):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(EquiregError, match=rf"{name}.*{remedy}"):
        discover(tmp_path)


def test_a_link_to_nothing_is_a_case_that_cannot_be_read(tmp_path):
    put(tmp_path, "images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz")
    (tmp_path / "images" / "c.nii.gz").symlink_to("gone")
    (tmp_path / "labels" / "b.nii.gz").symlink_to("gone")
    dataset = discover(tmp_path)
    assert (names(dataset), labelled(dataset)) == (["a", "b", "c"], ["a", "b"])
    with pytest.raises(EquiregError, match="a link to a file that is not there"):
        dataset.cases[2].read_image()


def test_letters_in_two_spellings_are_one_name(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    put(tmp_path, f"images/{composed}.nii.gz", f"labels/{apart}.nii.gz")
    assert labelled(discover(tmp_path)) == [composed]
    put(tmp_path / "folders", f"{apart}/image.nii.gz", f"{apart}/mask.nii.gz", "b/image.nii.gz", "b/mask.nii.gz")
    assert labelled(discover(tmp_path / "folders")) == [composed, "b"]


@pytest.mark.parametrize("mask", ["case01", "Case_1", "case-01_seg"])
def test_a_mask_of_nearly_a_scans_name_is_named_with_it(tmp_path, mask):
    put(tmp_path, "images/Case_01.nii.gz", f"labels/{mask}.nii.gz")
    dataset = discover(tmp_path)
    assert not labelled(dataset)
    near = mask != "case01"  # a mark that is not there may be one that matters
    assert ("scan Case_01, call it so" in dataset.refused[0].remedy) == near


def test_a_mask_is_named_with_the_scan_whose_name_begins_as_its_own(tmp_path):
    put(tmp_path, "images/c1_arterial.nii.gz", "images/c2_a.nii.gz", "images/c2_b.nii.gz")
    put(tmp_path, "labels/c1_label.nii.gz", "labels/c2_label.nii.gz")
    remedies = {item.case: item.remedy for item in discover(tmp_path).refused}
    assert "scan c1_arterial, call it so" in remedies["c1_label.nii.gz"]
    assert remedies["c2_label.nii.gz"] == "Add its scan under the same name."  # which of two is unknown


def test_a_mask_above_several_folders_of_scans_is_told_so(tmp_path):
    for patient in range(3):
        put(tmp_path, *(f"set/{patient}/{stage}/{c}.nii.gz" for stage in ("orig", "pre") for c in ("T1", "FLAIR")))
        put(tmp_path, f"set/{patient}/segm.nii.gz")
    refused = [item for item in discover(tmp_path).refused if item.case == "segm.nii.gz"]
    assert len(refused) == 3
    assert all("above 2 folders of scans (orig, pre)" in item.reason for item in refused)
    assert all("keep one of them" in item.remedy for item in refused)


@pytest.mark.parametrize("mark", ["made_by.json", "underway.json"])
@pytest.mark.parametrize(("folder", "warned"), [("labels", True), ("predictions", False)])
def test_images_in_a_folder_that_equireg_wrote_are_told(tmp_path, mark, folder, warned):
    put(tmp_path, "images/a.nii.gz", "images/b.nii.gz", f"{folder}/b.nii.gz")
    (tmp_path / "runs").mkdir()
    for place in (folder, "runs"):
        (tmp_path / place / mark).write_text("{}")
    found = discover(tmp_path)
    assert labelled(found) == []
    (line,) = found.warnings if warned else found.notes
    assert f"1 images such as {tmp_path / folder / 'b.nii.gz'}" in line
    assert f"move {mark} elsewhere" in line
    assert not (found.notes if warned else found.warnings)


def test_a_folder_of_nothing_but_an_output_says_so(tmp_path):
    put(tmp_path, "images/a.nii.gz")
    (tmp_path / "images/made_by.json").write_text("{}")
    with pytest.raises(EquiregError, match=r"1 images such as .*move made_by\.json elsewhere"):
        discover(tmp_path)
