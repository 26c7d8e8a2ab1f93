"""Damaged signatures, options and facts are named with their file."""

import json
from pathlib import Path
from typing import Any

import pytest

from equireg import folders
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.folders.run import RunFolder


def changed(folder: Path, **values: Any) -> Path:
    path = folder / "made_by.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


@pytest.mark.parametrize("text", ["[]", '"train"', "null", "3"])
def test_a_signature_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    (tmp_path / "made_by.json").write_text(text)
    for read in (lambda: folders.read_signature(tmp_path, "train"), lambda: folders.made_by(tmp_path)):
        with pytest.raises(EquiregError, match=r"made_by\.json: is damaged"):
            read()


@pytest.mark.parametrize("values", [{"config": []}, {"versions": {"a": 1}}, {"source": 3}, {"seed": "x"}])
def test_a_signature_with_values_of_another_kind(tmp_path: Path, values: Any) -> None:
    folders.sign(tmp_path, "train", {}, seed=1, source=tmp_path)
    folders.read_signature(tmp_path, "train")
    changed(tmp_path, **values)
    with pytest.raises(EquiregError, match=r"made_by\.json: is damaged \((config|versions|source|seed)"):
        folders.read_signature(tmp_path, "train")


@pytest.mark.parametrize("facts", [[], {"name": "r", "seed": "x"}, {"name": "r", "options": 3}])
def test_facts_of_another_kind(tmp_path: Path, facts: Any) -> None:
    folders.sign(tmp_path, "train", {}, run=facts)
    with pytest.raises(EquiregError, match=r"made_by\.json: is damaged"):
        RunFolder(tmp_path).facts()


@pytest.mark.parametrize("text", ["max_step: 3", "max_steps: x", "seed: 1"])
def test_options_of_a_run_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(EquiregError, match=r"config\.yaml: is damaged"):
        RunFolder(tmp_path).check_config()


@pytest.mark.parametrize("name", ["n" * 300, "../x", ""])
def test_predictions_of_cases_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    folders.sign(tmp_path, "predict", {}, cases=[name], run={})
    with pytest.raises(EquiregError, match=r"made_by\.json: is damaged: .* is no name for a prediction"):
        predictions.read_facts(tmp_path)


def test_a_signature_with_another_value_is_named(tmp_path: Path) -> None:
    folders.sign(tmp_path, "train", {"a": 1.5}, seed=1, source=tmp_path, cases=("a", "b"))
    folders.read_signature(tmp_path, "train")
    changed(tmp_path, seed=2)
    with pytest.raises(EquiregError, match=r"made_by\.json: is damaged: its values are not those that were written"):
        folders.read_signature(tmp_path, "train")


def test_a_version_that_is_a_whole_text_is_not_shown_whole(tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match="has format version") as caught:
        folders.check_format(tmp_path, "x" * 5000, "train")
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_signature_that_lost_its_seal_is_damaged_unless_it_never_had_one(tmp_path: Path) -> None:
    folders.sign(tmp_path, "train", {}, seed=1)
    path = tmp_path / "made_by.json"
    content = {name: value for name, value in json.loads(path.read_text()).items() if name != "seal"}
    path.write_text(json.dumps(content))
    with pytest.raises(EquiregError, match=r"made_by\.json: is damaged: its values are not those that were written"):
        folders.read_signature(tmp_path, "train")
    path.write_text(json.dumps({**content, "versions": {"equireg": "0.1.0"}}))
    folders.read_signature(tmp_path, "train")
