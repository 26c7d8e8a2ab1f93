"""Tables of codes that a user writes."""

import json
from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.imaging.dicom.codes import codes_of
from equireg.imaging.labels import LabelTable


def test_garbage_in_a_table_is_not_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    path.write_text(json.dumps([{"name": "x" * 5000, "code": "1", "meaning": "one"}]))
    with pytest.raises(EquiregError, match=r"codes\.json: is no table of codes") as caught:
        codes_of(LabelTable((0, 1), ("background", "organ")), path)
    assert len(str(caught.value)) < 700 + len(str(path))


def test_rows_that_are_none_are_refused_and_cells_of_null_are_empty(tmp_path: Path) -> None:
    path, labels = tmp_path / "codes.json", LabelTable((0, 1), ("background", "organ"))
    path.write_text(json.dumps({"organ": "10200004"}))
    with pytest.raises(EquiregError, match="no list of rows"):
        codes_of(labels, path)
    path.write_text(json.dumps({"organ": {"code": "10200004", "meaning": "Liver", "scheme": None, "category": None}}))
    assert codes_of(labels, path)["organ"].type.scheme == "SCT"


def test_a_label_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    path.write_text('{"organ": {"code": "10200004", "meaning": "Liver"}, "organ": {"code": "1", "meaning": "One"}}')
    with pytest.raises(EquiregError, match=r"codes\.json: is no table of codes \(the key 'organ' is there twice\b.*\)"):
        codes_of(LabelTable((0, 1), ("background", "organ")), path)
