"""Schemas of the verbs' options: valid themselves, complete, and in agreement with what the verbs take."""

import copy
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
import yaml

from equireg.cli.schema import schema
from equireg.cli.verbs import VERBS
from equireg.config import TrainConfig
from equireg.config.parsing import from_plain, to_yaml
from equireg.errors import UsageError

ROOT = Path(__file__).parents[3]
FILES = sorted(path for folder in ("configs", "benchmarks") for path in (ROOT / folder).rglob("*.yaml"))
HAVING = [name for name, verb in VERBS.items() if verb.config and fields(verb.options() or TrainConfig)]


def options(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every option of a schema, at any depth."""
    for name, entry in content.get("properties", {}).items():
        yield name, entry
        for inner in (entry, *entry.get("anyOf", ())):
            yield from options(inner)


def faults(content: Any, verb: Literal["train", "sweep"]) -> list[str]:
    """What a verb's schema finds wrong."""
    return [fault.message for fault in jsonschema.Draft202012Validator(schema(verb)).iter_errors(content)]


@pytest.mark.parametrize("verb", HAVING)
def test_a_schema_is_valid_and_says_everything(verb: str) -> None:
    content = schema(verb)
    jsonschema.Draft202012Validator.check_schema(content)
    found = list(options(content))
    assert found
    assert [name for name, entry in found if not entry.get("description")] == []
    assert [name for name, entry in found if not entry.keys() & {"type", "enum", "anyOf", "const"}] == []
    assert {field.name for field in fields(VERBS[verb].options() or TrainConfig)} <= {name for name, _ in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_files_that_we_ship_fit(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert faults(content, "sweep" if {"grid", "parts"} & content.keys() else "train") == []


@pytest.mark.parametrize(
    "values",
    [
        {"max_step": 3},
        {"max_steps": "many"},
        {"method": "equirg"},
        {"method": {"name": "supervised", "teacher": "ema"}},
        {"method": {"name": "equireg", "teacher": "me"}},
        {"network": {"name": "segresnet", "max_features": 3}},
        {"optimizer": {"lr": "fast"}},
        {"precision": 64},
    ],
)
def test_what_does_not_fit_is_refused_by_schema_and_verb_alike(values: dict[str, Any]) -> None:
    assert faults(values, "train") != []
    with pytest.raises(UsageError):
        from_plain(TrainConfig, copy.deepcopy(values))


def test_names_of_a_table_are_proposed() -> None:
    assert {"auto", "bids", "plain"} <= set(schema("prepare")["properties"]["layout"]["examples"])
    assert faults({"logger": "csv,tensorboard"}, "train") == []


def test_a_runs_own_file_and_short_forms_fit() -> None:
    for values in (
        yaml.safe_load(to_yaml(from_plain(TrainConfig, {"method": "bcp", "network": "tiramisu"}))),
        {"method": "ict", "method.alpha": 0.3, "network": "segresnet", "precision": 32, "optimizer": "sgd"},
    ):
        assert faults(values, "train") == []


def test_an_unknown_verb_is_an_error() -> None:
    with pytest.raises(UsageError, match="there is no schema of 'completion'; expected one of demo, prepare, plan"):
        schema("completion")
