"""Decathlon folders."""

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover
from layout_folders import decathlon, describe, files, labelled, masks, names, put


def test_decathlon(tmp_path):
    dataset = discover(decathlon(tmp_path))
    assert (dataset.layout, dataset.channels, dataset.modality) == ("decathlon", ("FLAIR", "T1w"), "mri")
    assert names(dataset) == ["a", "b", "c", "extra", "z"]
    assert labelled(dataset) == ["a"]
    assert [case.name for case in dataset.cases if case.held_out] == ["z"]
    assert files(dataset, "a") == ["imagesTr/a.nii.gz"]
    assert dataset.labels is not None
    assert dataset.labels.values == (0, 1, 2)
    assert dataset.labels.names == ("background", "tumour", "oedema")
    assert dataset.refused == ()


def test_a_validation_list_is_held_out(tmp_path):
    put(tmp_path, "imagesVa/v1.nii.gz", "imagesVa/v2.nii.gz", "labelsVa/v1.nii.gz", "labelsVa/v2.nii.gz")
    listed = [{"image": f"./imagesVa/v{i}.nii.gz", "label": f"./labelsVa/v{i}.nii.gz"} for i in (1, 2)]
    dataset = discover(decathlon(tmp_path, validation=listed, modality={"0": "CT", "1": "X"}))
    assert [case.name for case in dataset.cases if case.held_out] == ["v1", "v2", "z"]
    assert labelled(dataset) == ["a", "v1", "v2"]
    assert dataset.refused == ()


def test_validation_scans_that_no_list_names_have_their_masks(tmp_path):
    put(decathlon(tmp_path), "imagesVa/v1.nii.gz", "labelsVa/v1.nii.gz")
    case = next(case for case in discover(tmp_path).cases if case.name == "v1")
    assert case.held_out
    assert case.label == tmp_path / "labelsVa/v1.nii.gz"


def test_decathlon_lists_a_scan_that_is_not_there(tmp_path):
    entry = {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/a.nii.gz"}
    dataset = discover(decathlon(tmp_path, training=[entry]))
    assert [refusal.case for refusal in dataset.refused] == ["gone"]
    assert dataset.refused[0].reason.startswith(str(tmp_path / "imagesTr/gone.nii.gz"))


@pytest.mark.parametrize(
    "scan", [".\\imagesTr\\b.nii.gz", "/data/Task9/imagesTr/b.nii.gz", "D:\\x\\imagesTr\\b.nii.gz", "imagesTr/b.nii"]
)
def test_a_listed_file_is_found_where_it_is_meant(tmp_path, scan):
    entry = {"image": scan, "label": scan.replace("imagesTr", "labelsTr").replace("b.", "a.")}
    dataset = discover(decathlon(tmp_path, training=[entry]))
    assert not dataset.refused
    assert masks(dataset)["b"] == "labelsTr/a.nii.gz"


def test_a_mask_may_be_a_list_of_one(tmp_path):
    put(tmp_path, *(f"im/c{i}.nii.gz" for i in range(3)), *(f"lb/{end}{i}.nii.gz" for i in range(2) for end in "cd"))
    entries = [
        {"image": [f"im/c{i}.nii.gz"], "label": [f"lb/{end}{i}.nii.gz" for end in "cd"[: i + 1]]} for i in (0, 1)
    ]
    describe(tmp_path, training=entries, testing=[{"image": ["im/c2.nii.gz"]}])
    dataset = discover(tmp_path)
    assert (dataset.layout, masks(dataset)) == ("decathlon", {"c0": "lb/c0.nii.gz", "c2": None})
    assert [case.name for case in dataset.cases if case.held_out] == ["c2"]
    (refused,) = dataset.refused
    assert (refused.case, "one of 2 masks of c1" in refused.reason) == ("c1", True)


def test_listed_masks_that_are_not_there_are_told(tmp_path):
    assert any(
        "1 masks that are not there" in note and "b.nii.gz" in note for note in discover(decathlon(tmp_path)).notes
    )


def test_a_description_below_the_folder_is_told(tmp_path):
    decathlon(tmp_path / "Task09")
    assert any("dataset.json was not read" in line and "Task09 itself" in line for line in discover(tmp_path).warnings)
    assert not discover(tmp_path / "Task09").warnings


def test_decathlon_test_scans_that_were_never_fetched(tmp_path):
    dataset = discover(decathlon(tmp_path, test=["./elsewhere/y.nii.gz"]))
    assert dataset.refused == ()


@pytest.mark.parametrize(("names_", "modality"), [({"0": "CT"}, "ct"), ({"0": "ADC"}, "mri"), ({"0": "PET"}, "other")])
def test_modality_by_channel(tmp_path, names_, modality):
    assert discover(decathlon(tmp_path, modality=names_)).modality == modality


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"modality": {"1": "T1"}}, "channels"),
        ({"labels": {"one": "tumour"}}, "labels"),
        ({"labels": ["tumour"]}, "labels"),
        ({"training": [7]}, "the file 7"),
        ({"training": {"a": 1}}, "training"),
    ],
)
def test_damaged_dataset_json(tmp_path, change, word):
    with pytest.raises(EquiregError, match=word) as caught:
        discover(decathlon(tmp_path, **change))
    assert str(caught.value).startswith(str(tmp_path / "dataset.json"))


def test_a_key_that_stands_twice_in_dataset_json(tmp_path):
    (decathlon(tmp_path) / "dataset.json").write_text('{"modality": {"0": "T1", "0": "T2"}}')
    with pytest.raises(EquiregError, match=r"dataset\.json: is not valid JSON \(the key '0' is there twice\b.*\)"):
        discover(tmp_path)


def test_dataset_json_that_is_no_json(tmp_path):
    (decathlon(tmp_path) / "dataset.json").write_text('{"modality": ')
    with pytest.raises(EquiregError, match=r"dataset\.json: is not valid JSON .*Correct it there, or restore it"):
        discover(tmp_path)


@pytest.mark.parametrize(
    ("stated", "channels"), [({}, ("image",)), ({"channel_names": {"0": "CT"}}, ("CT",)), ({"modality": "CT"}, ("CT",))]
)
@pytest.mark.parametrize("held_out", ["validation", "test", "testing"])
def test_the_lists_of_a_datalist_count(tmp_path, stated, channels, held_out):
    put(tmp_path, *(f"{kind}/c{i}.nii.gz" for kind in ("images", "labels") for i in range(4)))
    listed = [{"image": f"images/c{i}.nii.gz", "label": f"labels/c{i}.nii.gz", "fold": i} for i in range(4)]
    labels = {"0": "background", "1": "spleen"}
    describe(tmp_path, labels=labels, training=listed[:2], **{held_out: listed[2:]}, **stated)
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.channels) == ("decathlon", channels)
    assert [case.name for case in dataset.cases if case.held_out] == ["c2", "c3"]
    assert dataset.labels is not None
    assert dataset.labels.names == ("background", "spleen")
    assert dataset.warnings == ()


@pytest.mark.parametrize("stated", [{}, {"modality": {"0": "T1", "1": "FLAIR"}}])
@pytest.mark.parametrize("form", ["x/c{}_{}", "c{}/{}", "c{}/c{}_{}"])
def test_a_list_of_files_holds_the_channels(tmp_path, stated, form):
    listed = []
    for i in range(2):
        images = [form.format(*[i] * (form.count("{}") - 1), end) + ".nii.gz" for end in ("t1", "flair")]
        put(tmp_path, *images, f"masks/{i}.nii.gz")
        listed.append({"image": images, "label": f"masks/{i}.nii.gz"})
    describe(tmp_path, training=listed, **stated)
    dataset = discover(tmp_path)
    assert tuple(channel.lower() for channel in dataset.channels) == ("t1", "flair")
    assert labelled(dataset) == ["c0", "c1"]
    assert files(dataset, "c1") == listed[1]["image"]
    listed[0]["image"].append("masks/0.nii.gz")
    describe(tmp_path, training=listed, modality={"0": "T1", "1": "FLAIR"})
    assert "one of 3 files; expected 2 (T1, FLAIR)" in discover(tmp_path).refused[0].reason


def test_listed_scans_of_one_name_are_called_after_their_folders(tmp_path):
    put(tmp_path, *(f"c{i}/{kind}.nii.gz" for i in range(2) for kind in ("scan", "mask")))
    describe(tmp_path, training=[{"image": f"c{i}/scan.nii.gz", "label": f"c{i}/mask.nii.gz"} for i in range(2)])
    assert masks(discover(tmp_path)) == {"c0": "c0/mask.nii.gz", "c1": "c1/mask.nii.gz"}


def test_a_description_that_no_layout_reads_is_told(tmp_path):
    put(tmp_path, *(f"{kind}/c{i}.nii.gz" for kind in ("images", "labels") for i in range(2)))
    describe(tmp_path, training=["c0", "c1"], labels={"0": "background", "1": "spleen"})
    dataset = discover(tmp_path)
    assert labelled(dataset) == ["c0", "c1"]
    assert any(line.startswith(f"{tmp_path / 'dataset.json'} was not read") for line in dataset.warnings)
    describe(tmp_path, licence="CC0")
    assert discover(tmp_path).warnings == ()


def test_cases_that_lie_as_those_of_a_datalist_do_are_used_with_their_masks(tmp_path):
    put(tmp_path, *(f"{kind}/c{i}.nii.gz" for kind in ("images", "segs") for i in range(5)))
    put(tmp_path, "images/c4_t2.nii.gz", "segs/c4_t2.nii.gz", "images/c9.nii.gz", "other/x.nii.gz")
    listed = [{"image": f"images/c{i}.nii.gz", "label": f"segs/c{i}.nii.gz"} for i in range(5)]
    describe(tmp_path, training=listed[:3], test=["images/c4.nii.gz"])
    dataset = discover(tmp_path)
    assert masks(dataset) == {**{f"c{i}": f"segs/c{i}.nii.gz" for i in range(4)}, "c4": None, "c9": None}
    assert [case.name for case in dataset.cases if case.held_out] == ["c4"]
    assert dataset.refused == ()
    aside, used = dataset.warnings
    assert aside.startswith(f"left aside: 1 images such as {tmp_path / 'other/x.nii.gz'}, because")
    assert "does not list 2 cases such as c3, which are used for training" in used


def test_folders_of_files_that_a_datalist_does_not_name_are_told(tmp_path):
    listed = []
    for i in range(6):
        images = [f"BraTS_{i}/BraTS_{i}_{end}.nii.gz" for end in ("flair", "t1")]
        put(tmp_path, *images, f"BraTS_{i}/BraTS_{i}_t2.nii.gz")
        label = f"BraTS_{i}/BraTS_{i}_seg.nii.gz"
        put(tmp_path, *([label] if i != 5 else []))
        listed.append({"image": images, "label": label})
    describe(tmp_path, training=listed[:3], validation=listed[3:4])
    dataset = discover(tmp_path)
    assert labelled(dataset) == [f"BraTS_{i}" for i in range(4)]
    (aside,) = dataset.warnings
    assert "left aside: 7 images such as" in aside
    assert "BraTS_4" in aside
    assert "does not list them" in aside
    assert [case.name for case in dataset.cases if case.held_out] == ["BraTS_3"]
