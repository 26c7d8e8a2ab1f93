"""A scan in another unit gives a warning; one that differs as scans do gives none."""

import pytest

from equireg.preparation.intensities import far_from_training, looks_like_ct, odd_scans
from prepared_sets import record

KNOWN = {
    "percentiles": [0.5, 50.0, 99.5],
    "least": [[-980.0, 20.0, 700.0], [10.0, 80.0, 200.0]],
    "median": [[-900.0, 40.0, 900.0], [15.0, 100.0, 250.0]],
    "greatest": [[-700.0, 60.0, 1300.0], [20.0, 120.0, 300.0]],
}
USUAL = [[-850.0, 50.0, 1000.0], [12.0, 90.0, 260.0]]
CHANNELS = ("ct", "pet")


def warnings(found: list[list[float]], name: str = "ct") -> list[str]:
    return [text for _, text in far_from_training(found, KNOWN, {"name": name}, CHANNELS)]


@pytest.mark.parametrize("name", ["ct", "zscore"])
@pytest.mark.parametrize(
    "found",
    [
        USUAL,
        [[-150.0, 50.0, 400.0], USUAL[1]],  # a small field of view
        [[-1000.0, -100.0, 1500.0], USUAL[1]],
        [USUAL[0], [20.0, 170.0, 420.0]],
    ],
)
def test_scans_that_differ_as_scans_do(found: list[list[float]], name: str) -> None:
    assert warnings(found, name) == []


@pytest.mark.parametrize("name", ["ct", "zscore"])
@pytest.mark.parametrize(
    "of_ct",
    [[474.0, 1374.0, 2324.0], [-850e3, 50e3, 1000e3], [-0.85, 0.05, 1.0], [10.0, 110.0, 250.0]],
    ids=["shifted", "larger", "smaller", "8 bits"],
)
def test_another_unit_is_reported(of_ct: list[float], name: str) -> None:
    (warning,) = warnings([of_ct, USUAL[1]], name)
    assert warning.startswith("channel ct:")
    assert f"{of_ct[0]:.4g} to {of_ct[2]:.4g}" in warning
    assert "-980 to 1300" in warning


def test_an_offset_of_many_widths_is_reported_always() -> None:
    (warning,) = warnings([USUAL[0], [1012.0, 1090.0, 1260.0]], "zscore")
    assert warning.startswith("channel pet:")


def test_runs_that_know_nothing_are_silent() -> None:
    assert list(far_from_training(USUAL, None, {"name": "ct"}, CHANNELS)) == []
    assert list(far_from_training((), KNOWN, {"name": "ct"}, CHANNELS)) == []


def test_training_scans_of_several_scanners_bound_each_other() -> None:
    """Their scales differ by orders of magnitude, so a scan like the least or the largest is nothing unusual."""
    known = {
        "percentiles": [0.5, 50.0, 99.5],
        "least": [[2.0, 65.0, 140.0]],
        "median": [[9.0, 400.0, 1100.0]],
        "greatest": [[7100.0, 183_100.0, 420_000.0]],
    }
    zscore = {"name": "zscore"}
    assert list(far_from_training([[1.0, 60.0, 130.0]], known, zscore, ("mri",))) == []
    assert list(far_from_training([[13_000.0, 263_000.0, 468_000.0]], known, zscore, ("mri",))) == []
    assert len(list(far_from_training([[13e6, 263e6, 468e6]], known, zscore, ("mri",)))) == 1
    ((channel, warning),) = far_from_training([[0.01, 0.4, 1.0]], known, zscore, ("mri",))
    assert channel == "mri"
    assert "from 0.01 to 1" in warning


def test_prepare_tells_of_a_ct_without_its_offset() -> None:
    usual = [[-990.0 + 10 * index, 40.0, 900.0] for index in range(4)]
    cases = [record(f"c{index}", intensities=(tuple(found),)) for index, found in enumerate(usual)]
    odd = record("odd", intensities=((34.0, 1064.0, 1924.0),))
    (note,) = odd_scans([*cases, odd], {"name": "ct"}, ["ct"])
    assert note.startswith("odd: channel ct: its intensities reach from 34 to 1924")
    assert "all other scans" in note
    assert not list(odd_scans([*cases, odd], {"name": "zscore"}, ["ct"]))
    assert list(odd_scans([*cases, odd], {"name": "mixed", "schemes": ["ct"]}, ["ct"])) == [note]
    assert not list(odd_scans([*cases, odd], {"name": "mixed", "schemes": ["zscore"]}, ["t1"]))
    assert not list(odd_scans([*cases, record("d", intensities=(tuple(usual[0]),))], {"name": "ct"}, ["ct"]))


def test_ct_that_no_name_calls_so_is_told() -> None:
    of_ct, of_mri = ((-990.0, 40.0, 900.0),), ((0.0, 40.0, 900.0),)
    cases = [record("a", intensities=of_ct), record("b", intensities=of_ct), record("c", intensities=of_mri)]
    (note,) = looks_like_ct(cases, {"name": "zscore"}, ["image"])
    assert "begin at -990 as those of CT do" in note
    assert "--normalise ct" in note
    assert not list(looks_like_ct(cases[1:], {"name": "zscore"}, ["image"]))
    assert not list(looks_like_ct(cases, {"name": "ct"}, ["ct"]))
    assert list(looks_like_ct(cases, {"name": "mixed", "schemes": ["zscore"]}, ["image"])) == [note]
    assert not list(looks_like_ct(cases, {"name": "mixed", "schemes": ["ct"]}, ["ct"]))
