"""The tables of quality: who is looked at first, written and read."""

from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.folders.quality import (
    CaseQuality,
    DiceEstimate,
    RegionQuality,
    in_words,
    ranked,
    read_quality,
    read_record,
    record_file,
    write_quality,
    write_record,
)


def test_the_worst_tenth_the_low_and_those_with_a_reason_are_looked_at():
    good = [CaseQuality(f"case_{index:02}", 0.9 + index / 1000) for index in range(17)]
    cases = [*good, CaseQuality("low", 0.3), CaseQuality("odd", 0.99, reasons=("nothing was found",))]
    rows = ranked(cases)
    assert [row.rank for row in rows] == list(range(1, 20))
    assert [row.case for row in rows if row.look] == ["low", "case_00", "odd"]
    assert rows[-1].why == "nothing was found"


def test_among_few_cases_none_is_worst_for_its_rank_alone():
    assert not any(row.look for row in ranked([CaseQuality("a", 0.9), CaseQuality("b", 0.8)]))


def test_cases_with_one_view_come_last_and_have_no_quality(tmp_path: Path):
    cases = [CaseQuality("one", None), CaseQuality("two", 0.8, {"a": RegionQuality(0.8, 12.5, None)})]
    write_quality(tmp_path, cases)
    assert [(row.case, row.quality) for row in read_quality(tmp_path)] == [("two", 0.8), ("one", None)]
    assert (tmp_path / "quality_regions.csv").read_text().splitlines()[1] == "two,a,0.8,12.5,"


def test_a_record_comes_back_and_a_damaged_one_is_named(tmp_path: Path):
    found = CaseQuality("a", 0.5, {"tumour": RegionQuality(0.5, 3.0, 0.25)}, ("views disagree",))
    write_record(tmp_path, found)
    assert read_record(tmp_path, "a") == found
    record_file(tmp_path, "a").write_text('{"case": 3}')
    with pytest.raises(EquiregError, match=r"a\.json: is damaged"):
        read_record(tmp_path, "a")
    assert read_quality(tmp_path) == []


def test_estimates_of_the_dice_come_back_and_need_no_columns_where_there_are_none(tmp_path: Path):
    estimate = DiceEstimate(0.8, 0.65, 0.9, 12)
    write_quality(tmp_path, [CaseQuality("a", 0.9, estimate=estimate), CaseQuality("b", None)])
    assert [(row.case, row.estimate) for row in read_quality(tmp_path)] == [("a", estimate), ("b", None)]
    write_quality(tmp_path, [CaseQuality("a", 0.9)])
    assert (tmp_path / "quality.csv").read_text().splitlines()[0] == "rank,case,quality,look,why"
    write_record(tmp_path, CaseQuality("a", 0.9, estimate=estimate))
    assert read_record(tmp_path, "a").estimate == estimate


def test_an_estimate_down_to_nothing_says_that_dice_is_not_known() -> None:
    assert in_words(DiceEstimate(0.85, 0.83, 1.0, 7)).startswith("Dice probably 0.85 (0.83 to 1.00")
    assert in_words(DiceEstimate(0.85, 0.0, 1.0, 7)) == "Dice not known (0 to 1.00, from 7 held-out patients)"


def test_a_table_that_lost_rows_is_refused(tmp_path: Path) -> None:
    cases = [CaseQuality("a.1", 0.5), CaseQuality("b", 0.8)]
    for case in cases:
        write_record(tmp_path, case)
    write_quality(tmp_path, cases)
    assert len(read_quality(tmp_path)) == 2
    write_quality(tmp_path, cases[1:])
    with pytest.raises(EquiregError, match=r"quality\.csv: is damaged; it lacks a\.1, which quality/ has"):
        read_quality(tmp_path)
