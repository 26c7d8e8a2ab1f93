"""JSON may escape half a letter, which no file and no screen can take."""

import json
from pathlib import Path

import pytest

from equireg import disk
from equireg.errors import EquiregError


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"\\uDC00": 1}'])
def test_half_a_letter_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(EquiregError, match=r"x\.json: is not valid JSON"):
        disk.read_json(path)


def test_a_whole_letter_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": "\U0001f9e0"}))
    assert disk.read_json(path) == {"a": "\U0001f9e0"}
