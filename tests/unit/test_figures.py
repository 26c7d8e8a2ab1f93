"""Every figure in README and docs is that of its result file, in tables and in running text."""

from dataclasses import replace

import pytest

import check
import running_text
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
    assert check.problems(Table("docs/few_labels.md", "How many labels", header, [row]))[1] == []
    wrong = [(*row[:4], "0.781 ± 0.051"), (*row[:3], "0.744 ± 0.068 (CPS)", row[4])]
    assert len(check.problems(Table("docs/few_labels.md", "How many labels", header, wrong))[1]) == 2


def test_a_table_without_a_source_is_named() -> None:
    [problem] = check.problems(Table("docs/performance.md", "A new section", ("a", "b"), [("c", "1")]))[1]
    assert "names no source" in problem


@pytest.mark.parametrize(("shown", "value", "same"), [("1,422", 1421.8, True), ("2.5", 2.56, False), ("0", 0.4, True)])
def test_a_rounded_number_agrees(shown: str, value: float, same: bool) -> None:
    assert agrees(shown, value) is same


def test_another_figure_in_running_text_is_named() -> None:
    page, source = "docs/performance.md", ["json", "benchmarks/speed/transforms.json", "times imgaug", "thesis"]
    right = running_text.Claim(page, "the thesis' transforms, 5.2 times imgaug", [source])
    assert list(running_text.differences(right)) == []
    wrong = replace(right, text="the thesis' transforms, 5.3 times imgaug")
    assert list(running_text.differences(wrong)) == [
        f'{page}: 5.3 is shown in "the thesis\' transforms, 5.3 times imgaug", 5.2 was measured'
    ]
    assert len(list(running_text.differences(replace(right, figures=[])))) == 1


def test_sources_are_combined() -> None:
    file = "benchmarks/label_efficiency/results.csv"
    few = {"dataset": "hippocampus", "method": "supervised", "variant": "", "labelled_cases": "1"}
    lowest, mean, highest = (running_text.evaluate([kind, file, "dice", few]) for kind in ("min", "mean", "max"))
    assert lowest < mean < highest
    assert running_text.evaluate(["*", ["-", 3, 1, 0.5], 100]) == 150
    assert running_text.evaluate(["cell", "docs/performance.md", "Memory", "`prepare` | 16.8", "peak, MiB"]) == 276
    with pytest.raises(ValueError, match="has no row with"):
        running_text.evaluate(["mean", file, "dice", {"method": "none"}])


def test_figures_of_running_text_are_those_with_decimals_or_units() -> None:
    words = "It took 8 to 13 % longer, `--x 0.5`, with torch 2.13.0,\nfor 3 draws: 0.5 Dice."
    page = f"## Speed\n\n{words}\n\n    code 1.5\n\n- 2 s\n"
    passages = list(running_text.passages(page))
    assert [section for section, _ in passages] == ["Speed", "Speed"]
    assert [running_text.FIGURE.findall(text) for _, text in passages] == [["8", "13", "0.5"], ["2"]]


def test_a_figure_that_is_not_listed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, claims, left = running_text.read_list()
    monkeypatch.setattr(running_text, "read_list", lambda: (pages, claims[1:], left))
    found = list(running_text.problems())
    assert found
    assert all("is not listed" in line for line in found)
