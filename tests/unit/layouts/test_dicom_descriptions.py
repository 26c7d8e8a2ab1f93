"""What the descriptions of DICOM series are taken for, and what is told of that."""

from pathlib import Path

import pytest

from dicom_series import MR, phantom, slices, write
from equireg.layouts import discover
from equireg.layouts.dicom.descriptions import contrast_of


@pytest.mark.parametrize(("description", "channel"), [
    ("AX T1 MPRAGE", "t1"),
    ("t1_mprage_sag_p2_iso post KM", "t1ce"),
    ("T1 without contrast", "t1"),
    ("T2 FLAIR TRA DARK-FLUID", "flair"),
    ("ep2d_diff_ADC", "adc"),
    ("T1 and T2", None),
    ("AX T1 W/O CONTRAST", "t1"),
    ("t1_wo_contrast", "t1"),
    ("T1 NON-CONTRAST", "t1"),
    ("T1 without iv contrast", "t1"),
    ("T1 C-", "t1"),
    ("T1 -C", "t1"),
    ("T1 ohne KM", "t1"),
    ("T1 vor KM", "t1"),
    ("T1 KM ohne", "t1"),
    ("T1 sans gado", "t1"),
    ("T1 TSE C+", "t1ce"),
    ("T1 POST NO FS", "t1ce"),
    ("T1 GADOVIST", "t1ce"),
    ("T1 avec injection", "t1ce"),
    ("T1 SAG+COR", "t1"),
    ("T1 W/WO CONTRAST", None),
    ("T1 W + WO", None),
    ("BRAIN W/WO CONTRAST AX T1 POST", "t1ce"),
    ("BRAIN WITH AND WITHOUT GAD AX T1 PRE", "t1"),
    ("BRAIN W/WO CONTRAST FLAIR", "flair"),
    ("T1 SEM CONTRASTE", "t1"),
    ("T1 S/ CONTRASTE", "t1"),
    ("T1 COM CONTRASTE", "t1ce"),
    ("T1 CONTRASTE NAO", "t1"),
    ("T1 uten kontrast", "t1"),
    ("T1 kein KM", "t1"),
    ("t2_space_dark-fluid_sag", "flair"),
    ("t1_tse_dark-fluid", "t1"),
    ("Abdomen 1.0 B30f", None),
])  # fmt: skip
def test_descriptions_name_channels(description: str, channel: str | None) -> None:
    assert contrast_of(description) == channel


def test_what_the_series_of_a_channel_are_called_is_told(tmp_path: Path) -> None:
    for index, words in enumerate(("AX T1 W/O CONTRAST", "T1 MPRAGE")):
        for number, description in enumerate((words, "AX FLAIR"), 1):
            one = phantom(patient=f"P{index}", study=f"s{index}", series=number, description=description)
            write(tmp_path / f"{index}{number}", slices(one, MR))
    found = discover(tmp_path)
    assert found.channels == ("t1", "flair")
    told = "series are channels by their descriptions: t1 'AX T1 W/O CONTRAST', 'T1 MPRAGE'; flair 'AX FLAIR'"
    assert told in found.notes
