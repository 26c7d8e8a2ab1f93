"""Folds as nnU-Net keeps them."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.folders.folds import FoldCases, read_folds


def test_letters_of_names_are_composed(tmp_path: Path) -> None:
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": ["a"], "val": ["Mu\u0308ller"]}]))
    assert read_folds(path) == [FoldCases(("a",), ("Müller",))]


def test_of_a_pickle_it_is_said_how_to_write_json(tmp_path: Path) -> None:
    path = tmp_path / "splits_final.pkl"
    path.write_bytes(pickle.dumps([{"train": np.array(["a", "b"]), "val": np.array(["c"])}]))
    with pytest.raises(EquiregError, match="pickle can run code") as caught:
        read_folds(path)
    code = re.search(r'python -c "(.+)"$', str(caught.value))
    assert code is not None
    subprocess.run([sys.executable, "-c", code[1]], cwd=tmp_path, check=True)
    assert read_folds(tmp_path / "splits_final.json") == [FoldCases(("a", "b"), ("c",))]
