"""Where the runs of a loop lie, and which one is served."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from equireg.errors import EquiregError
from equireg.folders.signature import read_content, write_content
from equireg.serving.rounds import Rounds


def run(folder: Path, *, finished: bool = True, init: str | None = None, dataset: str = "livers") -> Path:
    folder.mkdir(parents=True)
    start = None if init is None else f"{init}@0123456789abcdef"
    facts = {"name": folder.name, "dataset": dataset}
    write_content(folder, {"verb": "train", "finished": finished, "config": {"init": start}, "run": facts})
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Any:
    """Return what is asked of a prepared folder."""
    (tmp_path / "prepared").mkdir()
    return SimpleNamespace(root=tmp_path / "prepared", manifest=SimpleNamespace(dataset="livers"))


def test_a_run_is_followed_by_those_beside_it(tmp_path: Path, data: Any, caplog: pytest.LogCaptureFixture):
    first = run(tmp_path / "liver")
    rounds = Rounds(first, data)
    assert (rounds.newest(), rounds.next_folder()) == (first, tmp_path / "liver_2")
    second = run(tmp_path / "liver_2", init="liver")
    run(tmp_path / "liver_3", finished=False, init="liver_2")
    run(tmp_path / "liver_fast", init="liver")
    assert (rounds.newest(), rounds.next_folder()) == (second, tmp_path / "liver_4")
    tenth = run(tmp_path / "liver_10", init="liver_9")
    assert (rounds.newest(), rounds.name) == (tenth, "liver")
    assert not caplog.messages
    assert Rounds(first).newest() == first
    assert "liver_10 is not served without --prepared. Give its own path" in caplog.text


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, "because it did not start from the weights of liver"),
        ({"init": "kidney"}, "because it did not start from the weights of liver"),
        ({"init": "liver", "dataset": "spleens"}, "with .*prepared"),
    ],
)
def test_a_run_that_is_only_called_as_a_further_round_is_not_served(
    tmp_path: Path, data: Any, facts: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
):
    first, other = run(tmp_path / "liver"), run(tmp_path / "liver_2", **facts)
    rounds = Rounds(first, data)
    assert (rounds.newest(), rounds.next_folder()) == (first, tmp_path / "liver_3")
    assert re.search(f"{other} is not served {why}", caplog.text)


def test_rounds_are_known_after_they_were_renamed_or_the_data_set_was(tmp_path: Path, data: Any):
    run(tmp_path / "liver")
    made = run(tmp_path / "liver_2", init="liver", dataset="older name")
    write_content(made, {**read_content(made), "source": "prepared", "source_path": "../prepared"})
    first, second = ((tmp_path / f"liver{end}").rename(tmp_path / f"hepar{end}") for end in ("", "_2"))
    assert Rounds(first, data).newest() == second


def test_rounds_of_an_ensemble_start_from_no_weights(tmp_path: Path, data: Any):
    both = tmp_path / "both"
    both.mkdir()
    write_content(both, {"verb": "ensemble"})
    rounds = Rounds(both, data)
    assert rounds.newest_network() is None
    second = run(tmp_path / "both_2")
    run(tmp_path / "both_3", dataset="spleens")
    assert rounds.newest_network() == second
    fourth = run(tmp_path / "both_4", init="weights_of_train_config")
    assert rounds.newest_network() == fourth


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
