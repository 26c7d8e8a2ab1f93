"""The file of labels: what does not fit is named with its file."""

import json
from pathlib import Path
from typing import Any

import pytest

from equireg.errors import EquiregError
from equireg.folders.label_tables import read_label_table
from equireg.imaging.labels import LabelTable

TABLE = LabelTable((0, 1, 2), ("background", "core", "rim"), {"whole": (1, 2)}, 255)


def test_a_table_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(TABLE.as_dict()))
    assert read_label_table(path, "Restore it.") == TABLE


@pytest.mark.parametrize(
    "content",
    [
        [],
        {**TABLE.as_dict(), "labels": {"background": 0, "core": 0}},
        {**TABLE.as_dict(), "labels": {"background": 0, "core": 1.5}},
        {**TABLE.as_dict(), "regions": {"whole": [7]}},
        {**TABLE.as_dict(), "regions": {"whole": "12"}},
        {**TABLE.as_dict(), "ignore": "x"},
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    with pytest.raises(EquiregError) as caught:
        read_label_table(path, "Restore it.")
    assert str(caught.value).startswith(f"{path}: is not a table of labels")
    assert str(caught.value).endswith("Restore it.")
