"""Folds as nnU-Net keeps them."""

import json
from pathlib import Path

from equireg.folders.folds import FoldCases, read_folds


def test_letters_of_names_are_composed(tmp_path: Path) -> None:
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": ["a"], "val": ["Mu\u0308ller"]}]))
    assert read_folds(path) == [FoldCases(("a",), ("Müller",))]
