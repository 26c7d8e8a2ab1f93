import csv
import math

import pytest

from equireg.errors import EquiregError
from equireg.folders import tables

NASTY = ["=1+1", "+a", "-b", "@c", "\td", "'=e", "''-f", "plain", "'quoted", "with,comma", "two\nlines"]


@pytest.mark.parametrize("text", NASTY)
def test_a_defused_text_is_no_formula_and_comes_back(text):
    assert tables.defused(text)[0] not in "=+-@\t\r"
    assert tables.restored(tables.defused(text)) == text


def test_a_table_comes_back_as_it_was_written(tmp_path):
    tables.write_table(tmp_path / "t.csv", ("name", "value"), [(name, index / 3) for index, name in enumerate(NASTY)])
    rows = [row for _, row in tables.read_table(tmp_path / "t.csv", ("name", "value"), "Mend it.")]
    assert [row["name"] for row in rows] == NASTY
    assert [float(row["value"]) for row in rows] == [index / 3 for index in range(len(NASTY))]


def test_negative_numbers_stay_numbers_and_missing_values_are_empty(tmp_path):
    tables.write_table(tmp_path / "t.csv", ("a", "b", "c"), [(-0.5, None, math.nan), (-2, "", True)])
    with (tmp_path / "t.csv").open() as file:
        assert list(csv.reader(file))[1] == ["-0.5", "", ""]


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "is empty"), ("a,b\n1,2\n", "no column c"), ("a,c\n", "has no rows"), ("\xff", "is not a CSV table")],
)
def test_a_damaged_table_is_named_with_the_remedy(tmp_path, content, said):
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(EquiregError, match=rf"t\.csv: .*{said}.*Mend it\."):
        tables.read_table(path, ("a", "c"), "Mend it.")


def test_a_number_names_line_and_column(tmp_path):
    assert math.isnan(tables.number(tmp_path, 2, "v", " ", "R."))
    with pytest.raises(EquiregError, match=r"line 7, column v is 'x'"):
        tables.number(tmp_path, 7, "v", "x", "R.")


@pytest.mark.parametrize("cell", ["", "nan", "1.5", "inf", "x"])
def test_a_whole_number_is_one(tmp_path, cell):
    assert tables.whole(tmp_path / "t.csv", 3, "rank", "7", "Mend it.") == 7
    with pytest.raises(EquiregError, match=r"t\.csv: line 3, column rank is .* number"):
        tables.whole(tmp_path / "t.csv", 3, "rank", cell, "Mend it.")
