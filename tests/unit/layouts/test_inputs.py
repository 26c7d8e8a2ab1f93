"""Scans to predict: channel names, and inputs matched to a model's channels."""

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover, discover_inputs
from equireg.layouts.channels import ALIASES, match_channels, meaning, modality_of, split_channel, without_numbers
from layout_folders import FOUR, decathlon, describe, put, put_brats


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("T1Gd", "t1ce"),
        ("t1c", "t1ce"),
        ("T1-ce", "t1ce"),
        ("T1n", "t1"),
        ("T2-FLAIR", "flair"),
        ("T2w", "t2"),
        ("X 1", "x1"),
        ("T2*", "t2star"),
        ("T1+", "t1ce"),
        ("T1-", "t1"),
        ("T1 + C", "t1ce"),
        ("phase +", "phase+"),
    ],
)
def test_meaning(name, expected):
    assert meaning(name) == expected


def test_no_alias_has_two_meanings():
    aliases = [alias for several in ALIASES.values() for alias in several]
    assert len(aliases) == len(set(aliases))
    assert all(alias == alias.lower() and alias.isalnum() for alias in aliases)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("P01_T2_FLAIR", ("P01", "flair")),
        ("P01_t2", ("P01", "t2")),
        ("BraTS-GLI-1-t1c", ("BraTS-GLI-1", "t1ce")),
        ("flair", ("", "flair")),
        ("P01", None),
        ("act", None),
    ],
)
def test_split_channel(stem, expected):
    assert split_channel(stem) == expected


def test_several_scans_in_a_file_for_a_model_of_one_channel():
    with pytest.raises(EquiregError, match=r"has 2 channels .* expected 1 \(MRI\) .* save each as a file of its own"):
        match_channels(("channel_0", "channel_1"), ("MRI",), "x")


@pytest.mark.parametrize(
    ("found", "wanted", "picks"),
    [
        (("FLAIR", "T1w", "t1gd", "T2w"), FOUR, (1, 2, 3, 0)),
        (FOUR, ("flair",), (3,)),
        (("channel_0", "channel_1"), ("T2", "ADC"), (0, 1)),
        (("t1",), ("MRI",), (0,)),
        (("T2*", "T2"), ("T2", "T2*"), (1, 0)),
        (("CTA", "NCCT"), ("NCCT", "CTA"), (1, 0)),
        (("t1N", "T1w"), ("T1w", "T1n"), (1, 0)),
        (("T1+", "T1"), ("T1", "T1+"), (1, 0)),
        (("phase+", "phase-"), ("phase-", "phase+"), (1, 0)),
        (("CTA", "CT"), ("NCCT", "CTA"), (1, 0)),
        (("CT", "CT"), ("CT", "CT"), (0, 1)),
        (("channel_0", "channel_1"), ("NCCT", "CTA"), (0, 1)),
        (("channel_0", "T1"), ("T1", "T2"), (1, 0)),
    ],
)
def test_channels_go_by_their_meanings_and_those_of_one_meaning_by_their_names(found, wanted, picks):
    assert match_channels(found, wanted, "x") == picks


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (("CT_0", "CT_1"), ["CT", "CT"]),
        (("CT_0", "PET", "CT_2"), ["CT", "PET", "CT"]),
        (("T1_1", "T1_2"), ["T1_1", "T1_2"]),
        (("CT", "CT_1"), ["CT", "CT_1"]),
    ],
)
def test_numbers_that_tell_channels_of_one_name_apart_say_nothing_else(channels, expected):
    assert without_numbers(channels) == expected
    assert modality_of(channels, "other") == ("ct" if "CT" in expected else "other")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (FOUR, ("MRI",)),
        (("t1",), ("flair",)),
        (("t1",), FOUR),
        (("t1", "t2"), ("t1", "adc")),
        (("CT", "CECT"), ("NCCT", "CTA")),
        (("T2*",), ("T2",)),
    ],
)
def test_channels_that_do_not_fit_or_do_not_tell_which_is_which_are_refused(found, wanted):
    words = f"has {len(found)} channel.*expected {len(wanted)} .* as the model was trained on"
    with pytest.raises(EquiregError, match=words):
        match_channels(found, wanted, "x")


def test_inputs_of_other_brats_years(tmp_path):
    put_brats(tmp_path, "BraTS-GLI-00000-000", new=True, mask=False)
    (case,) = discover_inputs(tmp_path, ("T1", "FLAIR", "T1ce"))
    assert case.name == "BraTS-GLI-00000-000"
    assert [path.name[20:] for path in case.images] == ["t1n.nii.gz", "t2f.nii.gz", "t1c.nii.gz"]


def test_inputs_lack_only_what_the_model_does_not_use(tmp_path):
    put_brats(tmp_path, "A_1")
    put_brats(tmp_path, "B_1", skip="_t2")
    assert [case.name for case in discover_inputs(tmp_path, ("flair", "t1"))] == ["A_1", "B_1"]
    whole, lacking = discover_inputs(tmp_path, FOUR)
    whole.read_image()
    with pytest.raises(EquiregError, match=r"B_1_t2\.nii\.gz: no such file"):
        lacking.read_image()


def test_inputs_that_all_lack_a_channel_are_an_error(tmp_path):
    put_brats(tmp_path, "B_1", skip="_t2")
    with pytest.raises(EquiregError, match=r"B_1_t2\.nii\.gz: no such file"):
        discover_inputs(tmp_path, FOUR)


def test_inputs_pick_channels_of_a_stacked_file(tmp_path):
    (case, *_) = discover_inputs(decathlon(tmp_path), ("t1",))
    whole, _ = discover(tmp_path).cases[0].read_image()
    picked, _ = case.read_image()
    assert case.picks == (1,)
    np.testing.assert_array_equal(picked, whole[1:])


def test_inputs_loose_files_keep_their_names(tmp_path):
    put(tmp_path, "x.nii.gz", "y_0001.nii.gz", "y_0000.nii.gz", "z_t2.nii.gz")
    assert [case.name for case in discover_inputs(tmp_path, ("MRI",))] == ["x", "y_0000", "y_0001", "z_t2"]


def test_inputs_loose_files_group_by_number_and_contrast(tmp_path):
    put(tmp_path / "n", *(f"{name}_000{c}.nii.gz" for name in "ab" for c in range(2)))
    assert [case.name for case in discover_inputs(tmp_path / "n", ("T2", "ADC"))] == ["a", "b"]
    put(tmp_path / "c", *(f"{name}_{c}.nii.gz" for name in "ab" for c in ("adc", "t2")))
    cases = discover_inputs(tmp_path / "c", ("T2", "ADC"))
    assert [path.name for path in cases[0].images] == ["a_t2.nii.gz", "a_adc.nii.gz"]
    put(tmp_path / "one", "a_0000.nii.gz", "b_0000.nii.gz")
    assert [case.name for case in discover_inputs(tmp_path / "one", ("CT",))] == ["a", "b"]


def test_inputs_one_file(tmp_path):
    put(tmp_path, "a.nii.gz")
    put(tmp_path, "b.nii.gz", channels=2)
    put(tmp_path, "c_0000.nii.gz", "d_flair.nii.gz")
    assert discover_inputs(tmp_path / "a.nii.gz", ("MRI",))[0].images == (tmp_path / "a.nii.gz",)
    assert discover_inputs(tmp_path / "b.nii.gz", ("T2", "ADC"))[0].name == "b"
    assert discover_inputs(tmp_path / "c_0000.nii.gz", ("MRI",))[0].name == "c"
    assert discover_inputs(tmp_path / "d_flair.nii.gz", ("MRI",))[0].name == "d_flair"
    with pytest.raises(EquiregError, match=r"a\.nii\.gz: has 1 channel .*expected 4 \(t1, t1ce, t2, flair\)"):
        discover_inputs(tmp_path / "a.nii.gz", FOUR)


@pytest.mark.parametrize("key", ["channel_names", "modality"])
def test_inputs_below_a_data_set_have_its_channels(tmp_path, caplog, key):
    caplog.set_level("INFO", logger="equireg")
    put(tmp_path / "imagesTs", "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz")
    put(tmp_path / "whole", "c.nii.gz", channels=2)
    describe(tmp_path, **{key: {"0": "T2", "1": "T1"}})
    for folder in ("imagesTs", "whole"):
        caplog.clear()
        (case, *_) = discover_inputs(tmp_path / folder, ("t1", "T2"))
        if case.name == "a":
            assert [path.name for path in case.images] == ["a_0001.nii.gz", "a_0000.nii.gz"]
        else:
            assert case.picks == (1, 0)
        assert "dataset.json names them: T2, T1" in caplog.text
        assert "numbered" not in caplog.text
    assert discover_inputs(tmp_path / "whole" / "c.nii.gz", ("T1", "T2"))[0].picks == (1, 0)
    assert [case.images[0].name for case in discover_inputs(tmp_path / "imagesTs", ("T2",))] == [
        "a_0000.nii.gz",
        "b_0000.nii.gz",
    ]
    (tmp_path / "imagesTs" / "b_0001.nii.gz").unlink()
    with pytest.raises(EquiregError, match=r"b_0001\.nii\.gz: no such file"):
        discover_inputs(tmp_path / "imagesTs", ("T1", "T2"))[1].read_image()


def test_inputs_are_called_as_the_description_beside_them_says(tmp_path):
    put(tmp_path / "new", "a_0000.nii.gz", "a_0001.nii.gz")
    describe(tmp_path / "new", channel_names={"0": "T2", "1": "T1"})
    (case,) = discover_inputs(tmp_path / "new", ("T1", "T2"))
    assert [path.name for path in case.images] == ["a_0001.nii.gz", "a_0000.nii.gz"]


@pytest.mark.parametrize("names_", [{"0": "FLAIR", "1": "PD"}, {"0": "T2", "1": "T1", "2": "PD"}, {"0": "CT"}, {}, 3])
def test_inputs_below_another_data_set_stay_in_their_order(tmp_path, names_):
    put(tmp_path / "new", "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz")
    describe(tmp_path, channel_names=names_)
    case, other = discover_inputs(tmp_path / "new", ("T1", "T2"))
    assert [path.name for path in case.images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert other.name == "b"


def test_inputs_that_are_not_there(tmp_path):
    with pytest.raises(EquiregError, match="nowhere"):
        discover_inputs(tmp_path / "nowhere", ("MRI",))
    with pytest.raises(EquiregError, match="has no scans"):
        discover_inputs(tmp_path, ("MRI",))
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"")
    with pytest.raises(EquiregError, match=r"broken\.nii\.gz: cannot be read"):
        discover_inputs(broken, ("MRI",))


def test_inputs_of_one_name(tmp_path):
    put_brats(tmp_path / "HGG", "A_1")
    put_brats(tmp_path / "LGG", "A_1")
    with pytest.raises(EquiregError, match="A_1 is taken"):
        discover_inputs(tmp_path, FOUR)


def test_what_numbered_files_are_taken_for_is_said(tmp_path, caplog):
    caplog.set_level("INFO", logger="equireg")
    put(tmp_path, *(f"x_{number:04d}.nii.gz" for number in range(4)))
    discover_inputs(tmp_path, FOUR)
    assert (
        "x_0000.nii.gz to x_0003.nii.gz and others are numbered; they are taken for t1, t1ce, t2, flair" in caplog.text
    )
    caplog.clear()
    discover_inputs(tmp_path, ["channel_0", "channel_1", "channel_2", "channel_3"])
    assert "numbered" not in caplog.text
