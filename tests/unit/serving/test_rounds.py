"""Where the runs of a loop lie, and which one is served."""

import json
from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.folders.signature import write_content
from equireg.serving.rounds import Rounds


def run(folder: Path, *, finished: bool = True) -> Path:
    folder.mkdir(parents=True)
    write_content(folder, {"verb": "train", "finished": finished})
    return folder


def test_a_run_is_followed_by_those_beside_it(tmp_path: Path):
    first = run(tmp_path / "liver")
    rounds = Rounds(first)
    assert (rounds.newest(), rounds.next_folder()) == (first, tmp_path / "liver_2")
    second = run(tmp_path / "liver_2")
    run(tmp_path / "liver_3", finished=False)
    run(tmp_path / "liver_fast")
    assert (rounds.newest(), rounds.next_folder()) == (second, tmp_path / "liver_4")
    tenth = run(tmp_path / "liver_10")
    assert (rounds.newest(), rounds.name) == (tenth, "liver")


def test_a_new_folder_has_no_run_so_far(tmp_path: Path):
    rounds = Rounds(tmp_path / "loop")
    assert (rounds.newest(), rounds.next_folder()) == (None, tmp_path / "loop" / "run_1")
    first = run(tmp_path / "loop" / "run_1")
    assert (rounds.newest(), rounds.next_folder()) == (first, tmp_path / "loop" / "run_2")


def test_another_verb_s_folder_is_refused(tmp_path: Path):
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "made_by.json").write_text(json.dumps({"verb": "predict"}))
    with pytest.raises(EquiregError, match="was made by `equireg predict`; expected"):
        Rounds(folder)
