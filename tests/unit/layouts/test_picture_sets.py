"""Folders of pictures, as they are published."""

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover, discover_inputs
from equireg.layouts.masks import mask_files
from layout_folders import describe, files, labelled, masks, names, put
from pictures_made_up import blank, disc, photo, save

COLOURS = ("red", "green", "blue")

SETS = {
    "folders": (("images/a.png", "images/b.png", "masks/a.png"), {"a": "masks/a.png", "b": None}),
    "imgs": (("imgs/a.jpg", "imgs/b.jpg", "labels/a.png"), {"a": "labels/a.png", "b": None}),
    "annotations": (("images/a.bmp", "annotations/a.png"), {"a": "annotations/a.png"}),
    "CVC-ClinicDB": (("Original/1.tif", "Ground Truth/1.tif"), {"1": "Ground Truth/1.tif"}),
    "VOC": (("JPEGImages/a.jpg", "SegmentationClass/a.png"), {"a": "SegmentationClass/a.png"}),
    "Kvasir": (
        ("images/x.jpg", "images/y.jpg", "masks/x.jpg", "masks/y.jpg"),
        {"x": "masks/x.jpg", "y": "masks/y.jpg"},
    ),
    "ISIC, one folder": (
        ("ISIC_0001.jpg", "ISIC_0001_segmentation.png", "ISIC_0002.jpg"),
        {"ISIC_0001": "ISIC_0001_segmentation.png", "ISIC_0002": None},
    ),
    "ISIC": (
        ("ISIC_Training_Input/I_1.jpg", "ISIC_Training_Input/I_2.jpg", "ISIC_GroundTruth/I_1_segmentation.png"),
        {"I_1": "ISIC_GroundTruth/I_1_segmentation.png", "I_2": None},
    ),
    "Carvana": (
        ("train/a_01.jpg", "train/b_01.jpg", "train_masks/a_01_mask.png"),
        {"a_01": "train_masks/a_01_mask.png", "b_01": None},
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_masks_are_found(tmp_path, name):
    listed, expected = SETS[name]
    blank(tmp_path, *listed)
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.pictures, dataset.modality) == ("pictures", True, "other")
    assert masks(dataset) == expected
    assert dataset.refused == ()


def test_several_masks_of_one_picture_are_united(tmp_path):
    blank(
        tmp_path,
        *("benign/benign (1).png", "benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png"),
        *("benign/benign (2).png", "benign/benign (2)_mask.png"),
        *("normal/normal (1).png", "normal/normal (1)_mask.png", "normal/normal (2).png", "normal/normal (2)_mask.png"),
    )
    dataset = discover(tmp_path)
    assert names(dataset) == ["benign (1)", "benign (2)", "normal (1)", "normal (2)"] == labelled(dataset)
    first = dataset.cases[0]
    assert first.mask is not None
    assert [path.name for path in first.mask.files] == ["benign (1)_mask.png", "benign (1)_mask_1.png"]
    values = first.read_label(first.read_geometry())
    assert set(values.ravel().tolist()) == {0, 255}
    assert any("the masks of 1 pictures are united" in note for note in dataset.notes)
    assert dataset.warnings == ()


@pytest.mark.parametrize("folders", [("rater1", "rater2"), ("cup", "disc")])
def test_masks_of_one_name_in_two_folders_are_not_united(tmp_path, folders):
    blank(tmp_path, *(f"images/c{i}.png" for i in range(2)))
    blank(tmp_path, *(f"masks/{folder}/c{i}.png" for folder in folders for i in range(2)))
    dataset = discover(tmp_path)
    assert dataset.cases == ()
    assert all(str(tmp_path / "masks" / folder / "c0.png") in dataset.refused[0].reason for folder in folders)


def test_masks_of_the_left_and_the_right_side_are_united(tmp_path):
    blank(tmp_path, *(f"CXR/c{i}.png" for i in range(2)))
    blank(tmp_path, *(f"ManualMask/{side}Mask/c{i}.png" for side in ("left", "right") for i in range(2)))
    dataset = discover(tmp_path)
    assert [len(case.mask.files) for case in dataset.cases if case.mask] == [2, 2]
    assert (dataset.refused, dataset.warnings) == ((), ())


def test_as_many_masks_of_each_picture_may_be_those_of_raters(tmp_path):
    for i in range(3):
        blank(tmp_path, f"case{i}/image.png", *(f"case{i}/task01_seg0{rater}.png" for rater in range(1, 4)))
    (warning,) = discover(tmp_path).warnings
    assert "the masks of 3 pictures are united" in warning
    assert "several raters" in warning


def test_manual_masks_go_before_those_of_the_field_of_view(tmp_path):
    for i in range(1, 3):
        blank(tmp_path, f"training/images/2{i}_training.tif", f"training/1st_manual/2{i}_manual1.png")
        blank(tmp_path, f"training/mask/2{i}_training_mask.png")
        blank(tmp_path, f"test/images/0{i}_test.tif", f"test/mask/0{i}_test_mask.png")  # DRIVE
    dataset = discover(tmp_path)
    assert masks(dataset) == {
        **{f"2{i}_training": f"training/1st_manual/2{i}_manual1.png" for i in (1, 2)},
        **{f"0{i}_test": None for i in (1, 2)},
    }
    assert dataset.refused == ()
    assert "left aside: 4 masks of the field of view" in dataset.notes[0]


def test_words_of_folders_other_than_sets_are_part_of_a_name(tmp_path):
    for i in range(2):
        blank(tmp_path, f"art/images/p{i}_art.png", f"ven/images/p{i}_ven.png", f"masks/p{i}.png")
    dataset = discover(tmp_path)
    assert set(masks(dataset).values()) == {None}
    assert len(dataset.refused) == 2


@pytest.mark.parametrize(
    ("scan", "mask", "drawing"),
    [
        ("Input/c{}.jpg", "GroundTruth/c{}_segmentation.png", "Input/c{}_superpixels.png"),
        ("images/c{}.png", "masks/c{}.png", "masks/c{}_overlay.png"),
        ("c{}_json/img.png", "c{}_json/label.png", "c{}_json/label_viz.png"),
    ],
)
def test_drawings_of_a_picture_are_left_aside(tmp_path, scan, mask, drawing):
    for i in range(3):
        save(tmp_path, scan.format(i), photo(disc(), i))
        save(tmp_path, mask.format(i), disc())
        save(tmp_path, drawing.format(i), photo(disc(), 9 + i))
    dataset = discover(tmp_path)
    assert sorted(str(path) for path in masks(dataset).values()) == [mask.format(i) for i in range(3)]
    assert all(case.mask and len(case.mask.files) == 1 for case in dataset.cases)
    assert (dataset.refused, dataset.warnings) == ((), ())
    assert "left aside: 3 pictures such as" in dataset.notes[-1]


def test_a_drawing_that_holds_labels_is_the_mask_of_a_scan_without_another(tmp_path):
    for i in range(3):
        save(tmp_path, f"c{i}.jpg", photo(disc(), i))
        save(tmp_path, f"c{i}_viz.png", disc())
    assert masks(discover(tmp_path)) == {f"c{i}": f"c{i}_viz.png" for i in range(3)}


def test_a_folder_of_masks_for_one_picture_is_united(tmp_path):
    blank(tmp_path, "s1/images/s1.png", "s1/masks/aa.png", "s1/masks/bb.png", "s2/images/s2.png", "s2/masks/cc.png")
    dataset = discover(tmp_path)
    assert [len(case.mask.files) for case in dataset.cases if case.mask] == [2, 1]
    assert dataset.refused == ()


def test_folders_of_a_split(tmp_path):
    blank(
        tmp_path, *(f"{part}/{kind}/{part}1.png" for part in ("train", "val", "test") for kind in ("images", "masks"))
    )
    assert [(case.name, case.held_out) for case in discover(tmp_path).cases] == [
        ("test1", True),
        ("train1", False),
        ("val1", True),
    ]


def test_a_long_name_may_say_validation(tmp_path):
    blank(tmp_path, "ISIC_Training_Input/a.jpg", "ISIC_Training_Input/b.jpg", "ISIC_Validation_Input/c.jpg")
    blank(tmp_path, "ISIC_Validation_Input/d.jpg")
    assert [case.held_out for case in discover(tmp_path).cases] == [False, False, True, True]
    assert discover(tmp_path).warnings == ()


def test_training_and_test_in_one_folder_are_told(tmp_path):
    blank(tmp_path, "train_1.bmp", "testA_1.bmp", "train_1_anno.bmp", "testA_1_anno.bmp")
    assert "(train_1.bmp, testA_1.bmp), and none is held out" in discover(tmp_path).warnings[-1]


def test_grey_pictures_among_coloured_ones_stand_for_all_colours(tmp_path):
    save(tmp_path, "images/a.png", photo(disc(), colour=False))
    save(tmp_path, "images/b.png", photo(disc()))
    dataset = discover(tmp_path)
    assert dataset.channels == COLOURS
    assert [case.read_image()[0].shape[0] for case in dataset.cases] == [3, 3]
    assert discover(tmp_path).cases[0].picks == (0, 0, 0)


def test_numbers_count_pictures_and_not_channels(tmp_path):
    blank(tmp_path, *(f"images/frame_{number:04d}.png" for number in range(3)))
    assert names(discover(tmp_path)) == ["frame_0000", "frame_0001", "frame_0002"]


def test_pictures_beside_volumes_are_previews(tmp_path):
    put(tmp_path, "images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz")
    blank(tmp_path, "images/a.png", "preview.png", "labels/a.png")
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.pictures) == ("plain", False)
    assert names(dataset) == ["a", "b"]
    assert labelled(dataset) == ["a"]


@pytest.mark.parametrize("redrawn", ["masks/a", "masks/a_seg"])
def test_a_mask_that_was_redrawn_as_a_volume_leaves_the_others(tmp_path, redrawn):
    blank(tmp_path, "images/a.png", "images/b.png", "images/c.png", "masks/a.png", "masks/b.png")
    put(tmp_path, f"{redrawn}.nii.gz", slices=1)
    dataset = discover(tmp_path)
    assert masks(dataset) == {"a": f"{redrawn}.nii.gz", "b": "masks/b.png", "c": None}
    assert any("masks/a.png" in note for note in dataset.notes)


def test_pictures_beside_masks_of_several_slices_are_previews(tmp_path):
    put(tmp_path, "a.nii.gz", "b.nii.gz")
    blank(tmp_path, "overview.png", "b.png")
    assert [file.name for file in mask_files(tmp_path)] == ["a.nii.gz", "b.nii.gz"]


def test_pictures_of_nnunet(tmp_path):
    blank(tmp_path, "imagesTr/a_0000.png", "imagesTr/b_0000.png", "labelsTr/a.png")
    described = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "lesion": 1}}
    describe(tmp_path, **described, file_ending=".png", numTraining=2)
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.pictures, dataset.channels) == ("nnunet", True, ("R", "G", "B"))
    assert files(dataset, "a") == ["imagesTr/a_0000.png"]
    assert labelled(dataset) == ["a"]


@pytest.mark.parametrize("odd", ["readable", "damaged"])
def test_one_odd_volume_among_the_masks_of_pictures_leaves_them(tmp_path, odd):
    blank(tmp_path, *(f"{folder}/c{i}.png" for folder in ("images", "masks") for i in range(3)))
    put(tmp_path, "masks/all.nii.gz")
    if odd == "damaged":
        (tmp_path / "masks" / "all.nii.gz").write_bytes(b"x")
    assert masks(discover(tmp_path)) == {f"c{i}": f"masks/c{i}.png" for i in range(3)}


def test_a_volume_among_the_masks_of_nnunet_leaves_the_pictures(tmp_path):
    blank(tmp_path, "imagesTr/a_0000.png", "imagesTr/b_0000.png", "labelsTr/a.png")
    put(tmp_path, "labelsTr/b.nii.gz", slices=1)
    describe(
        tmp_path, channel_names={"0": "R"}, labels={"background": 0, "lesion": 1}, file_ending=".png", numTraining=2
    )
    assert labelled(discover(tmp_path)) == ["a", "b"]


def test_inputs_fit_the_channels_of_a_model(tmp_path):
    grey = save(tmp_path, "grey.png", photo(disc(), colour=False))
    colour = save(tmp_path, "colour.png", photo(disc()))
    grey_in_colour = save(tmp_path, "both.png", photo(disc(), colour=False)[..., None].repeat(3, axis=2))
    assert discover_inputs(grey, COLOURS)[0].picks == (0, 0, 0)
    assert discover_inputs(colour, COLOURS)[0].picks is None
    assert discover_inputs(grey_in_colour, ("image",))[0].picks == (0,)
    with pytest.raises(EquiregError, match="has 3 channels"):
        discover_inputs(colour, ("image",))


def test_pictures_with_channel_numbers_hold_all_colours_of_a_model(tmp_path):
    for index in range(2):
        save(tmp_path, f"t{index}_0000.png", photo(disc(), index))
    save(tmp_path, "u_0000.png", photo(disc(), colour=False))
    cases = discover_inputs(tmp_path, ("R", "G", "B"))
    assert [(case.name, case.problem, case.picks) for case in cases] == [
        *((f"t{index}", None, None) for index in range(2)),
        ("u", None, (0, 0, 0)),
    ]
    assert cases[0].read_image()[0].shape[0] == 3
    (alone,) = discover_inputs(tmp_path / "t0_0000.png", ("R", "G", "B"))
    assert (alone.name, alone.problem) == ("t0", None)


def test_numbers_are_channels_of_grey_pictures_where_masks_lack_them(tmp_path):
    for index in range(3):
        for channel in range(2):
            save(tmp_path, f"images/c{index}_{channel:04d}.png", photo(disc(), index + 9 * channel, colour=False))
    save(tmp_path, "masks/c0.png", disc())
    dataset = discover(tmp_path)
    assert (dataset.channels, labelled(dataset)) == (("channel_0", "channel_1"), ["c0"])
    assert dataset.cases[0].read_image()[0].shape[0] == 2
    assert dataset.refused == ()
    assert [case.name for case in discover_inputs(tmp_path / "images", dataset.channels)] == ["c0", "c1", "c2"]


def test_the_remedy_for_several_masks_of_a_picture(tmp_path):
    blank(tmp_path, *(f"images/c{i}.png" for i in range(2)), *(f"masks/c{i}_{k}.png" for i in range(2) for k in "123"))
    remedies = {item.remedy for item in discover(tmp_path).refused}
    assert all("the values of one file" in remedy for remedy in remedies)
