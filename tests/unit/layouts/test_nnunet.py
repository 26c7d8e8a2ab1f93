"""nnU-Net raw folders."""

from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover
from layout_folders import describe, files, labelled, masks, names, put


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
        ({"background": [0], "all": [1, 2]}, ("background", "label_1", "label_2")),
        ({"1": "tumour", "tumour": 2}, ("background", "tumour", "tumour_1")),
    ],
)
def test_names_that_are_made_up_are_taken_by_no_other_label(tmp_path, labels, expected):
    table = discover(nnunet(tmp_path, labels=labels)).labels
    assert table is not None
    assert table.names == expected


@pytest.mark.parametrize(
    "labels",
    [
        {"lesion": 0, "background": 1},
        {"0": "lesion", "1": "Background"},
        {"background": [0, 1], "x": 2},
        {"1": "background", "2": "x"},
        {"ignore": 0, "background": 1, "x": 2},
    ],
)
def test_the_background_is_0(tmp_path, labels):
    with pytest.raises(EquiregError, match=r"dataset\.json: calls the label values \[.*1\] background; expected"):
        discover(nnunet(tmp_path, labels=labels))


def test_nnunet_lacks_a_channel(tmp_path):
    (nnunet(tmp_path) / "imagesTr/b_0001.nii.gz").unlink()
    dataset = discover(tmp_path)
    assert "b" not in names(dataset)
    (refusal,) = dataset.refused
    assert refusal.case == "b"
    assert refusal.reason.startswith(str(tmp_path / "imagesTr/b_0001.nii.gz"))


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


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("lists", [{}, {"training": [], "numTraining": 2}, {"test": ["./imagesTs/t.nii.gz"]}])
def test_version_1_without_a_list_of_the_training_cases(tmp_path, channels, lists):
    for case in ("imagesTr/a", "imagesTr/b", "imagesTs/t"):
        put(tmp_path, *(f"{case}_{index:04d}.nii.gz" for index in range(channels)))
    put(tmp_path, "labelsTr/a.nii.gz", "labelsTr/b.nii.gz")
    describe(tmp_path, modality={str(index): f"MR {index}" for index in range(channels)}, **lists)
    dataset = discover(tmp_path)
    assert (dataset.layout, len(dataset.channels)) == ("nnunet", channels)
    assert (names(dataset), labelled(dataset)) == (["a", "b", "t"], ["a", "b"])
    assert dataset.refused == ()


def test_version_1_without_the_scan_that_is_listed_first(tmp_path):
    nnunet(tmp_path)
    listed = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("gone", "a")]
    describe(tmp_path, modality={"0": "T2", "1": "ADC"}, training=listed)
    dataset = discover(tmp_path)
    assert dataset.layout == "nnunet"
    assert "a" in labelled(dataset)
    assert [refusal.case for refusal in dataset.refused] == ["gone"]


def test_nnunet_cases_listed_file_by_file(tmp_path):
    put(tmp_path, "deep/x1.nii.gz", "deep/x2.nii.gz", "deep/m.nii.gz")
    listed = {"x": {"images": ["deep/x1.nii.gz", "deep/x2.nii.gz"], "label": "deep/m.nii.gz"}}
    dataset = discover(nnunet(tmp_path, dataset=listed))
    assert files(dataset, "x") == ["deep/x1.nii.gz", "deep/x2.nii.gz"]
    assert "x" in labelled(dataset)


def test_nnunet_of_another_kind(tmp_path):
    with pytest.raises(EquiregError, match=r"file_ending '.gif'"):
        discover(nnunet(tmp_path, file_ending=".gif"))


@pytest.mark.parametrize("ending", ["nii.gz", ".NII.GZ"])
def test_a_file_ending_may_lack_its_dot_and_be_in_capitals(tmp_path, ending):
    assert discover(nnunet(tmp_path, file_ending=ending)).layout == "nnunet"


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


def listed_cases(*numbers: int, image: str = "imagesTr/c{}.nii.gz", label: str = "labelsTr/c{}.nii.gz") -> list[object]:
    return [{"image": image.format(i), "label": label.format(i)} for i in numbers]


def five(root: Path, channels: int = 1) -> dict[str, object]:
    put(root, *(f"imagesTr/c{i}_{channel:04d}.nii.gz" for i in range(5) for channel in range(channels)))
    put(root, *(f"labelsTr/c{i}.nii.gz" for i in range(5)))
    return {"labels": {"0": "background", "1": "x"}, "modality": {str(i): f"X{i}" for i in range(channels)}}


@pytest.mark.parametrize("key", ["modality", "channel_names"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "held_out",
    [
        {"validation": listed_cases(3), "test": ["./imagesTr/c4.nii.gz"]},
        {"validation": listed_cases(3, 4, image="/data/T1/imagesTr/c{}_0000.nii.gz")},
        {"test": ["c3.nii.gz", "imagesTr\\c4_0000.nii.gz"]},
    ],
)
def test_what_other_lists_name_is_held_out(tmp_path, key, channels, held_out):
    stated = five(tmp_path, channels)
    describe(tmp_path, training=listed_cases(0, 1, 2), **{key: stated.pop("modality")}, **stated, **held_out)
    dataset = discover(tmp_path)
    assert (dataset.layout, names(dataset)) == ("nnunet", ["c0", "c1", "c2", "c3", "c4"])
    assert [case.name for case in dataset.cases if case.held_out] == ["c3", "c4"]
    assert (dataset.warnings, dataset.refused) == ((), ())


def test_a_test_list_of_other_folders_holds_no_namesake_out(tmp_path):
    stated = five(tmp_path)
    describe(tmp_path, training=listed_cases(*range(5)), test=["./imagesTs/c1.nii.gz"], numTest=1, **stated)
    dataset = discover(tmp_path)
    assert not [case.name for case in dataset.cases if case.held_out]
    assert dataset.warnings == ()


def test_a_case_under_training_and_another_list_trains_and_is_told(tmp_path):
    stated = five(tmp_path)
    describe(tmp_path, training=listed_cases(*range(5)), validation=listed_cases(4), **stated)
    dataset = discover(tmp_path)
    assert not [case.name for case in dataset.cases if case.held_out]
    (warning,) = dataset.warnings
    assert 'both under "training" and elsewhere, which are used for training: c4.' in warning


def test_the_listed_mask_goes_before_that_of_the_scans_name(tmp_path):
    stated = five(tmp_path)
    put(tmp_path, "labels2/c0.nii.gz", "labelsTr/seg_4.nii.gz")
    (tmp_path / "labelsTr/c4.nii.gz").unlink()
    entries = [
        *listed_cases(0, 1, label="labels2/c{}.nii.gz"),
        *listed_cases(2, 3),
        *listed_cases(4, label="labelsTr/seg_{}.nii.gz"),
    ]
    describe(tmp_path, training=entries, **stated)
    dataset = discover(tmp_path)
    own = {f"c{i}": f"labelsTr/c{i}.nii.gz" for i in range(1, 4)}
    assert masks(dataset) == {"c0": "labels2/c0.nii.gz", **own, "c4": "labelsTr/seg_4.nii.gz"}
    assert dataset.refused == ()
    (warning,) = dataset.warnings
    assert "lists masks elsewhere than under the names of their scans, which are used: c0." in warning


@pytest.mark.parametrize(
    "lists",
    [
        {"training": listed_cases(0, 1, 2)},
        {
            "channel_names": {"0": "X0"},
            "dataset": {
                f"c{i}": {"images": [f"imagesTr/c{i}_0000.nii.gz"], "label": f"labelsTr/c{i}.nii.gz"} for i in range(3)
            },
        },
    ],
)
def test_cases_with_a_mask_that_a_list_leaves_out_are_told(tmp_path, lists):
    stated = five(tmp_path)
    put(tmp_path, "imagesTr/u_0000.nii.gz", "imagesTs/t_0000.nii.gz", "labelsTs/t.nii.gz")
    describe(tmp_path, **stated, **lists)
    dataset = discover(tmp_path)
    assert labelled(dataset) == ["c0", "c1", "c2", "c3", "c4", "t"]
    (warning,) = dataset.warnings
    assert "does not list 2 cases such as c3, which are used for training" in warning


@pytest.mark.parametrize("channels", [1, 2])
def test_lists_of_first_channels_mean_cases_without_the_number(tmp_path, channels):
    stated = five(tmp_path, channels)
    first = "imagesTr/c{}_0000.nii.gz"
    describe(tmp_path, training=listed_cases(0, 1, 2, image=first), test=["imagesTr/c3_0000.nii.gz"], **stated)
    dataset = discover(tmp_path)
    assert (dataset.layout, names(dataset), len(dataset.channels)) == ("nnunet", [f"c{i}" for i in range(5)], channels)
    assert [case.name for case in dataset.cases if case.held_out] == ["c3"]
    assert dataset.refused == ()


def test_numbers_of_cases_in_a_list_stay(tmp_path):
    put(tmp_path, *(f"{kind}Tr/c_000{i}.nii.gz" for kind in ("images", "labels") for i in range(2)))
    image, label = "imagesTr/c_000{}.nii.gz", "labelsTr/c_000{}.nii.gz"
    describe(tmp_path, modality={"0": "CT", "1": "X"}, training=listed_cases(0, 1, image=image, label=label))
    dataset = discover(tmp_path)
    assert (dataset.layout, labelled(dataset)) == ("decathlon", ["c_0000", "c_0001"])
