from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.folders.suggestions import SUGGESTIONS, Suggestion, read_suggestions, write_suggestions


def test_suggestions_come_back_and_a_lost_rank_is_told(tmp_path: Path) -> None:
    one = Suggestion(1, "=a", "p", 0.5, "far from all others")
    write_suggestions(tmp_path, [one])
    assert read_suggestions(tmp_path) == [one]
    path = tmp_path / SUGGESTIONS
    path.write_text(path.read_text().replace("\n1,", "\n,"))
    with pytest.raises(EquiregError, match=r"suggestions\.csv: line 2, column rank is ''"):
        read_suggestions(tmp_path)
