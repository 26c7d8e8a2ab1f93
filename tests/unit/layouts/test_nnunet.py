"""nnU-Net raw folders."""

from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover
from layout_folders import describe, files, labelled, names, put


def nnunet(root: Path, **changes: object) -> Path:
    for name in ("a", "b", "year_2019"):
        put(root, f"imagesTr/{name}_0000.nii.gz", f"imagesTr/{name}_0001.nii.gz")
    put(root, "labelsTr/a.nii.gz", "labelsTr/year_2019.nii.gz")
    put(root, "imagesTs/t_0000.nii.gz", "imagesTs/t_0001.nii.gz", "labelsTs/t.nii.gz")
    put(root, "imagesUn/u_0000.nii.gz", "imagesUn/u_0001.nii.gz")
    content = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "gland": 1, "lesion": 2},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    describe(root, **(content | changes))
    return root


def test_nnunet(tmp_path):
    dataset = discover(nnunet(tmp_path))
    assert (dataset.layout, dataset.channels, dataset.modality) == ("nnunet", ("T2", "ADC"), "mri")
    assert names(dataset) == ["a", "b", "t", "u", "year_2019"]
    assert labelled(dataset) == ["a", "t", "year_2019"]
    assert [case.name for case in dataset.cases if case.held_out] == ["t"]
    assert files(dataset, "a") == ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"]
    assert dataset.labels is not None
    assert dict(zip(dataset.labels.names, dataset.labels.values, strict=True))["lesion"] == 2


def test_nnunet_regions_and_ignore(tmp_path):
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    table = discover(nnunet(tmp_path, labels=labels, regions_class_order=[1, 2, 3])).labels
    assert table is not None
    assert table.values == (0, 1, 2, 3)
    assert table.names == ("background", "label_1", "label_2", "enhancing")
    assert table.regions == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert table.ignore == 4
    assert type(table).from_dict(table.as_dict()) == table


def test_the_ignore_label_has_one_value_and_is_no_region(tmp_path):
    table = discover(nnunet(tmp_path / "a", labels={"background": 0, "x": 1, "Ignore": [3]})).labels
    assert table is not None
    assert (table.names, table.ignore, table.regions) == (("background", "x"), 3, {})
    table = discover(nnunet(tmp_path / "b", labels={"ignore": 0, "x": 1})).labels
    assert table is not None
    assert (table.names, table.ignore) == (("background", "x"), 0)
    for index, labels in enumerate(
        ({"background": 0, "x": 1, "ignore": [4, 5]}, {"0": "b", "4": "ignore", "5": "ignore"})
    ):
        with pytest.raises(EquiregError, match=r"gives the ignore label the values \[4, 5\]; expected one"):
            discover(nnunet(tmp_path / f"c{index}", labels=labels))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"background": 0, "all": [1, 2], "label_1": 2}, ("background", "label_1_3", "label_1")),
        ({"1": "background", "2": "tumour"}, ("label_0", "background", "tumour")),
        ({"1": "tumour", "tumour": 2}, ("background", "tumour", "tumour_1")),
    ],
)
def test_names_that_are_made_up_are_taken_by_no_other_label(tmp_path, labels, expected):
    table = discover(nnunet(tmp_path, labels=labels)).labels
    assert table is not None
    assert table.names == expected


def test_nnunet_lacks_a_channel(tmp_path):
    (nnunet(tmp_path) / "imagesTr/b_0001.nii.gz").unlink()
    dataset = discover(tmp_path)
    assert "b" not in names(dataset)
    (refusal,) = dataset.refused
    assert refusal.case == "b"
    assert refusal.reason.startswith(str(tmp_path / "imagesTr/b_0001.nii.gz"))


def test_nnunet_mask_without_scan(tmp_path):
    put(nnunet(tmp_path), "labelsTr/orphan.nii.gz")
    (refusal,) = discover(tmp_path).refused
    assert "labelsTr/orphan.nii.gz" in refusal.reason


def test_nnunet_version_1(tmp_path):
    nnunet(tmp_path)
    describe(
        tmp_path,
        modality={"0": "T2", "1": "ADC"},
        labels={"0": "background", "1": "gland"},
        training=[{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
    )
    dataset = discover(tmp_path)
    assert dataset.layout == "nnunet"
    assert files(dataset, "a") == ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"]


def test_nnunet_cases_listed_file_by_file(tmp_path):
    put(tmp_path, "deep/x1.nii.gz", "deep/x2.nii.gz", "deep/m.nii.gz")
    listed = {"x": {"images": ["deep/x1.nii.gz", "deep/x2.nii.gz"], "label": "deep/m.nii.gz"}}
    dataset = discover(nnunet(tmp_path, dataset=listed))
    assert files(dataset, "x") == ["deep/x1.nii.gz", "deep/x2.nii.gz"]
    assert "x" in labelled(dataset)


def test_nnunet_of_another_kind(tmp_path):
    with pytest.raises(EquiregError, match=r"file_ending '.gif'"):
        discover(nnunet(tmp_path, file_ending=".gif"))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("case", ["c{}", "amos_{:04d}"])
def test_scans_without_channel_numbers_hold_all_channels(tmp_path, channels, case):
    names_ = [case.format(i) for i in range(3)]
    put(tmp_path, *(f"imagesTr/{name}.nii.gz" for name in names_), channels=channels)
    put(tmp_path, *(f"labelsTr/{name}.nii.gz" for name in names_[:2]))
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    describe(tmp_path, channel_names={str(i): f"X{i}" for i in range(channels)}, labels=labels, numTraining=3)
    dataset = discover(tmp_path)
    assert (dataset.layout, len(dataset.channels)) == ("nnunet", channels)
    assert (names(dataset), labelled(dataset)) == (names_, names_[:2])
    assert dataset.labels is not None
    assert dataset.labels.ignore == 3


def test_files_of_channels_by_other_names_stay_plain(tmp_path):
    put(tmp_path, *(f"imagesTr/c{i}_{end}.nii.gz" for i in range(2) for end in ("t1", "t2")))
    put(tmp_path, *(f"labelsTr/c{i}.nii.gz" for i in range(2)))
    describe(tmp_path, channel_names={"0": "T1", "1": "T2"}, labels={"background": 0, "a": 1})
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.channels, labelled(dataset)) == ("plain", ("t1", "t2"), ["c0", "c1"])
    assert any("dataset.json was not read" in line for line in dataset.warnings)


def test_lists_of_numbered_files_mean_what_their_folders_hold(tmp_path):
    listed = []
    for i in range(3):
        images = [f"imagesTr/c{i}_000{channel}.nii.gz" for channel in range(2)]
        put(tmp_path, *images, f"labelsTr/c{i}.nii.gz")
        listed.append({"image": images, "label": f"labelsTr/c{i}.nii.gz"})
    stated = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "x": 1}}
    gone = {"image": ["imagesTr/c9_0000.nii.gz", "imagesTr/c9_0001.nii.gz"]}
    describe(tmp_path, training=[*listed[:2], gone], **stated)
    dataset = discover(tmp_path)
    assert (dataset.layout, labelled(dataset)) == ("nnunet", ["c0", "c1", "c2"])
    assert [refusal.case for refusal in dataset.refused] == ["c9"]
    describe(tmp_path, training=listed[:2], validation=listed[2:], **stated)
    dataset = discover(tmp_path)
    assert [case.name for case in dataset.cases if case.held_out] == ["c2"]
