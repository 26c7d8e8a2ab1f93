"""Every figure in the tables of README and docs is that of its result file."""

from dataclasses import replace

import pytest

import check
from pages import Table, agrees, tables_of
from sources import ROOT


def test_every_figure_is_that_of_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main() == 0, capsys.readouterr().out


def test_another_figure_is_named() -> None:
    table = next(one for one in tables_of(ROOT, "docs/performance.md") if one.section == "Memory")
    name, shown, *rest = table.rows[0]
    origin, found = check.problems(replace(table, rows=[(name, f"1{shown}", *rest), *table.rows[1:]]))
    assert "benchmarks/memory/verbs.json" in origin
    assert len(found) == 1
    assert f"'1{shown}' is shown" in found[0]


def test_another_dice_is_named_and_so_is_a_rival_that_is_not_the_best() -> None:
    header = ("data", "labelled", "supervised", "best rival", "EquiReg")
    row = ("hippocampus", "1 of 140", "0.721 ± 0.073", "0.751 ± 0.071 (FixMatch)", "0.771 ± 0.051")
    assert check.problems(Table("README.md", "x", header, [row]))[1] == []
    wrong = [(*row[:4], "0.781 ± 0.051"), (*row[:3], "0.744 ± 0.068 (CPS)", row[4])]
    assert len(check.problems(Table("README.md", "x", header, wrong))[1]) == 2


def test_a_table_without_a_source_is_named() -> None:
    [problem] = check.problems(Table("docs/performance.md", "A new section", ("a", "b"), [("c", "1")]))[1]
    assert "names no source" in problem


@pytest.mark.parametrize(("shown", "value", "same"), [("1,422", 1421.8, True), ("2.5", 2.56, False), ("0", 0.4, True)])
def test_a_rounded_number_agrees(shown: str, value: float, same: bool) -> None:
    assert agrees(shown, value) is same
